/** The LZ4 decoder against hand-made frames, and against garbage. */
import { hasCode } from '@diskswarm/core';
import test from 'ava';
import fc from 'fast-check';
import { extractVmlinux } from '../src/bzimage.ts';
import { decodeLegacyLz4 } from '../src/lz4.ts';

const MAGIC = '02214c18';
const hex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text.replaceAll(' ', ''), 'hex'));
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();

test('literals, an overlapping match and a far match', (t) => {
  // 3 literals "abc", then 9 bytes from 3 back, then the last literals "xyz".
  const block = `35 616263 0300 30 78797a`;
  t.is(text(decodeLegacyLz4(hex(`${MAGIC} 0a000000 ${block}`), 100)), 'abcabcabcabcxyz');
  // 8 literals, then 4 bytes from 8 back, then "!".
  t.is(text(decodeLegacyLz4(hex(`${MAGIC} 0d000000 80 6162636465666768 0800 10 21`), 100)), 'abcdefghabcd!');
});

test('lengths above 15 continue in further bytes', (t) => {
  const literals = '7a'.repeat(300);
  // 300 = 15 + 255 + 30.
  t.is(text(decodeLegacyLz4(hex(`${MAGIC} 2f010000 f0 ff 1e ${literals}`), 1000)), 'z'.repeat(300));
});

test('blocks follow one another, and a length that is no block ends the frame', (t) => {
  const frame = hex(`${MAGIC} 03000000 20 6162 02000000 10 63 00100000`);
  t.is(text(decodeLegacyLz4(frame, 10)), 'abc');
});

const refused = test.macro<[frame: string]>((t, frame) => {
  const error = t.throws(() => decodeLegacyLz4(hex(frame), 8));
  t.true(hasCode(error, 'FORMAT_INVALID'));
});
test('refuses another magic number', refused, '04224d18 00000000');
test('refuses a match before the start', refused, `${MAGIC} 05000000 10 61 0200 00`);
test('refuses a distance of zero', refused, `${MAGIC} 05000000 10 61 0000 00`);
test('refuses more output than the limit', refused, `${MAGIC} 0a000000 90 616161616161616161`);
test('refuses literals that are not there', refused, `${MAGIC} 02000000 50 61`);

test('garbage gives FORMAT_INVALID or at most the limit', (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(300), (garbage, limit) => {
      const frame = new Uint8Array([...hex(MAGIC), garbage.length, 0, 0, 0, ...garbage]);
      try {
        return decodeLegacyLz4(frame, limit).length <= limit;
      } catch (error) {
        return hasCode(error, 'FORMAT_INVALID');
      }
    }),
    { numRuns: 2000 },
  );
  t.pass();
});

test('something that is no kernel image is refused', (t) => {
  for (const image of [new Uint8Array(), new Uint8Array(4096), hex('7f454c46')]) {
    t.true(
      hasCode(
        t.throws(() => extractVmlinux(image)),
        'FORMAT_INVALID',
      ),
    );
  }
});
