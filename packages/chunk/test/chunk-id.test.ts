/** Ids of chunks: BLAKE3 test vectors, zero detection, and the error a wrong chunk gives. */
import { type ChunkId, DiskswarmError, hasCode, MIB, ZERO_ID } from '@diskswarm/core';
import test from 'ava';
import fc from 'fast-check';
import { chunkIdOf, isZero, verifyChunk } from '../src/index.ts';

const pattern = (length: number): Uint8Array => Uint8Array.from({ length }, (_, index) => index % 251);

test('ids are the plain BLAKE3 of the bytes (official test vectors)', (t) => {
  t.is(chunkIdOf(pattern(1024)), '42214739f095a406f3fc83deb889744ac00df831c10daa55189b5d121c855af7' as ChunkId);
  t.is(chunkIdOf(pattern(102400)), 'bc3e3d41a1146b069abffad3c0d44860cf664390afce4d9661f7902e7943e085' as ChunkId);
});

test('the zero chunk of every size has the zero id', (t) => {
  for (const length of [0, 1, 512, 16384, 65536, MIB, 2 * MIB + 7]) t.is(chunkIdOf(new Uint8Array(length)), ZERO_ID);
});

test('one byte anywhere makes bytes non-zero', (t) => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 3 * MIB }), fc.nat(), (length, at) => {
      const bytes = new Uint8Array(length);
      t.true(isZero(bytes));
      bytes[at % length] = 1;
      t.false(isZero(bytes));
    }),
    { numRuns: 30 },
  );
});

test('views at odd offsets compare by their own bytes', (t) => {
  const whole = new Uint8Array(70_000);
  whole[0] = 9;
  whole[69_999] = 9;
  t.true(isZero(whole.subarray(1, 69_999)));
  t.false(isZero(whole.subarray(1)));
});

test('a wrong chunk is refused with both ids', (t) => {
  const bytes = pattern(16384);
  const expected = chunkIdOf(bytes);
  t.notThrows(() => verifyChunk(expected, bytes));
  bytes[16383] = 0xff;
  const error = t.throws(() => verifyChunk(expected, bytes), { instanceOf: DiskswarmError });
  t.true(hasCode(error, 'CHUNK_CORRUPT'));
  t.deepEqual(error?.data, { expected, actual: chunkIdOf(bytes) });
});
