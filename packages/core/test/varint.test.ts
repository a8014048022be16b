/** The shortest-form integers: golden bytes, round trips, and that nothing else is accepted. */
import test from 'ava';
import fc from 'fast-check';
import { fromHex, hasCode, toHex, VarintReader, VarintWriter } from '../src/index.ts';

const encode = (...values: number[]): Uint8Array => {
  const writer = new VarintWriter();
  for (const value of values) writer.write(value);
  return writer.finish();
};

test('golden bytes', (t) => {
  t.is(
    toHex(encode(0, 1, 127, 128, 300, 2 ** 32, Number.MAX_SAFE_INTEGER)),
    '00017f8001ac028080808010ffffffffffffff0f',
  );
});

test('numbers come back, and the end is seen', (t) => {
  fc.assert(
    fc.property(fc.array(fc.maxSafeNat(), { maxLength: 200 }), (values) => {
      const reader = new VarintReader(encode(...values), 'a test');
      for (const value of values) t.is(reader.read(Number.MAX_SAFE_INTEGER), value);
      t.true(reader.atEnd);
    }),
  );
});

for (const [name, hex, max] of [
  ['cut short', '80', 1000],
  ['nothing at all', '', 1000],
  ['padded', '8000', 1000],
  ['too large for the caller', 'ac02', 299],
  ['beyond 53 bits', 'ffffffffffffff1f', Number.MAX_SAFE_INTEGER],
  ['nine bytes', 'ffffffffffffffff01', Number.MAX_SAFE_INTEGER],
] as const) {
  test(`refused: ${name}`, (t) => {
    const error = t.throws(() => new VarintReader(fromHex(hex), 'a test').read(max));
    t.true(hasCode(error, 'FORMAT_INVALID'));
  });
}
