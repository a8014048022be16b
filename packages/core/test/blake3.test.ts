/** The hash beside published vectors and a second implementation. */
import test from 'ava';
import * as oracle from 'blake3';
import fc from 'fast-check';
import { blake3, blake3DeriveKey, blake3Keyed } from '../src/blake3.ts';
import { toHex } from '../src/ids.ts';

test.before(() => oracle.load());

test('the empty input has its published hash', (t) => {
  t.is(toHex(blake3(new Uint8Array(0))), 'af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262');
});

test('all three modes agree with the portable implementation', (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 70_000 }), fc.uint8Array({ minLength: 32, maxLength: 32 }), (bytes, key) => {
      const hex = (value: string | Uint8Array): string => (typeof value === 'string' ? value : toHex(value));
      t.is(toHex(blake3(bytes)), hex(oracle.hash(bytes)));
      t.is(toHex(blake3Keyed(key, bytes)), hex(oracle.keyedHash(Buffer.from(key), bytes)));
      t.is(
        toHex(blake3DeriveKey('diskswarm test context', bytes)),
        hex(oracle.deriveKey('diskswarm test context', bytes)),
      );
    }),
    { numRuns: 25 },
  );
});

test('a key of the wrong length is a programmer error', (t) => {
  t.throws(() => blake3Keyed(new Uint8Array(31), new Uint8Array(1)), { instanceOf: RangeError });
});
