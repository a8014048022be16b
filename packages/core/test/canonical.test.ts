/** Canonical bencode: golden bytes, round trips, and everything that has a second form refused. */
import test from 'ava';
import fc from 'fast-check';
import { type Canonical, type Decoded, decodeCanonical, encodeCanonical } from '../src/canonical.ts';
import { DiskswarmError } from '../src/errors.ts';
import { toHex } from '../src/ids.ts';

const options = { maxBytes: 4096, what: 'test record' };

const value: fc.Arbitrary<Canonical> = fc.letrec<{ node: Canonical }>((tie) => ({
  node: fc.oneof(
    { maxDepth: 5 },
    fc.maxSafeInteger(),
    fc.uint8Array({ maxLength: 40 }),
    fc.array(tie('node'), { maxLength: 4 }),
    fc.dictionary(fc.stringMatching(/^[a-z-]{1,8}$/), tie('node'), { maxKeys: 4 }),
  ),
})).node;

test('a record has the bytes it always had', (t) => {
  const bytes = encodeCanonical({ b: 1, a: 'x', l: [-1, new Uint8Array([255])] });
  t.is(toHex(bytes), '64313a61313a78313a62693165313a6c6c692d3165313aff6565');
});

test('what was encoded comes back', (t) => {
  fc.assert(
    fc.property(value, (original) => {
      const bytes = encodeCanonical(original);
      t.deepEqual(encodeCanonical(decodeCanonical(bytes, { maxBytes: 1 << 20, what: 'x' }) as Canonical), bytes);
    }),
  );
  t.pass();
});

const refused = test.macro((t, bytes: string, why: RegExp) => {
  const error = t.throws(() => decodeCanonical(Buffer.from(bytes, 'latin1'), options), { instanceOf: DiskswarmError });
  t.is(error?.code, 'FORMAT_INVALID');
  t.regex(error?.message ?? '', why);
});

test('refuses trailing bytes', refused, 'd1:ai1eeX', /trailing/);
test('refuses keys out of order', refused, 'd1:bi1e1:ai2ee', /canonical/);
test('refuses a key twice', refused, 'd1:ai1e1:ai1ee', /canonical/);
test('refuses leading zeros', refused, 'i01e', /integer/);
test('refuses minus zero', refused, 'i-0e', /integer/);
test('refuses integers beyond the safe range', refused, 'i9007199254740993e', /integer/);
test('refuses a cut dictionary', refused, 'd1:ai1e', /cut short/);
test('refuses a length beyond the end', refused, '5:ab', /cut short/);
test('refuses a huge length', refused, '999999999999:ab', /length/);
test('refuses deep nesting', refused, 'l'.repeat(50) + 'e'.repeat(50), /deeply/);
test('refuses the prototype as a key', refused, 'd9:__proto__i1ee', /canonical/);
test('refuses more than it was told', refused, `5000:${'x'.repeat(5000)}`, /at most/);
test('refuses nothing at all', refused, '', /0 bytes/);

test('garbage is refused with a code, never with a crash', (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
      let decoded: Decoded;
      try {
        decoded = decodeCanonical(bytes, options);
      } catch (error) {
        return error instanceof DiskswarmError && error.code === 'FORMAT_INVALID';
      }
      return Buffer.compare(encodeCanonical(decoded as Canonical), bytes) === 0;
    }),
    { numRuns: 2000 },
  );
  t.pass();
});
