/** Deltas, compression and the two messages that carry them: round trips, golden bytes, garbage, and what they may take in memory. */
import { constants, zstdCompressSync } from 'node:zlib';
import { type ChunkId, DiskswarmError, KIB, toHex } from '@diskswarm/core';
import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import {
  applyDelta,
  compress,
  DELTA_BLOCK_BYTES,
  decodeBase,
  decodePacked,
  encodeBase,
  encodeDelta,
  encodePackedHead,
  fitsPacked,
  unpack,
} from '../src/index.ts';

const CHUNK = 64 * KIB;
const base = 'ab'.repeat(32) as ChunkId;
const bytesOf = (seed: number, lengthBytes = CHUNK): Uint8Array =>
  new Uint8Array(lengthBytes).map((_, index) => (index * 31 + (index >> 8) * seed) & 255);

function refused(t: ExecutionContext, run: () => unknown): unknown {
  const error = t.throws(run);
  t.true(error instanceof DiskswarmError && error.code === 'FORMAT_INVALID', String(error));
  return error?.cause;
}

/** A chunk size, and the blocks of it that change. */
const changes = fc
  .constantFrom(16, 32, 64, 1024)
  .chain((kib) =>
    fc.tuple(
      fc.constant(kib * KIB),
      fc.uniqueArray(fc.nat({ max: (kib * KIB) / DELTA_BLOCK_BYTES - 1 }), { minLength: 1 }),
    ),
  );

test('a delta turns the old chunk into the new one, and holds only the blocks that differ', (t) => {
  fc.assert(
    fc.property(changes, ([lengthBytes, blocks]) => {
      const old = bytesOf(3, lengthBytes);
      const chunk = old.slice();
      for (const block of blocks) chunk[block * DELTA_BLOCK_BYTES + (block % 4096)]! ^= 1;
      const delta = encodeDelta(old, chunk);
      const total = lengthBytes / DELTA_BLOCK_BYTES;
      if (blocks.length === total) {
        t.is(delta, null);
        return;
      }
      t.is(delta?.length, Math.ceil(total / 8) + blocks.length * DELTA_BLOCK_BYTES);
      const room = old.slice();
      applyDelta(delta!, room);
      t.is(Buffer.compare(room, chunk), 0);
    }),
    { numRuns: 60 },
  );
});

test('there is no delta between chunks of different length, nor where nothing changed', (t) => {
  t.is(encodeDelta(bytesOf(1), bytesOf(1)), null);
  t.is(encodeDelta(bytesOf(1, 32 * KIB), bytesOf(1)), null);
});

test('a delta that does not fit its chunk is refused and changes nothing', (t) => {
  const old = bytesOf(1);
  const chunk = old.slice();
  chunk[70_000 % CHUNK]! ^= 1;
  const delta = encodeDelta(old, chunk)!;
  for (const wrong of [
    new Uint8Array(0),
    delta.subarray(0, delta.length - 1),
    Buffer.concat([delta, Uint8Array.of(0)]),
    new Uint8Array(2),
    Uint8Array.of(0xff, 0xff),
  ]) {
    const room = old.slice();
    refused(t, () => applyDelta(wrong, room));
    t.deepEqual(room, old);
  }
  // A chunk of 16 KiB has four blocks: the other bits of the byte mean nothing and may not be set.
  refused(t, () => applyDelta(Buffer.concat([Uint8Array.of(0x08), new Uint8Array(4096)]), new Uint8Array(16 * KIB)));
});

test('golden bytes of both messages', (t) => {
  t.is(toHex(encodeBase({ index: 258, base })), `00000102${base}`);
  const body = Uint8Array.of(1, 2);
  const form = (of: ChunkId | null, zstd: boolean): string => toHex(encodePackedHead(258, { base: of, zstd, body }));
  t.is(form(base, false), `0000010201${base}`);
  t.is(form(null, true), '0000010202');
  t.is(form(base, true), `0000010203${base}`);
});

test('both messages: round trip, and garbage is refused', (t) => {
  const index = fc.nat({ max: 2 ** 31 - 1 });
  fc.assert(
    fc.property(
      index,
      fc.uint8Array({ minLength: 1, maxLength: 300 }),
      fc.boolean(),
      fc.boolean(),
      (at, body, delta, zstd) => {
        t.deepEqual(decodeBase(encodeBase({ index: at, base })), { index: at, base });
        if (!delta && !zstd) return;
        const packed = { base: delta ? base : null, zstd, body };
        const payload = Buffer.concat([encodePackedHead(at, packed), body]);
        const decoded = decodePacked(payload, CHUNK);
        t.is(decoded.index, at);
        t.deepEqual({ ...decoded.packed, body: new Uint8Array(decoded.packed.body) }, packed);
      },
    ),
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), (payload) => {
      for (const decode of [() => decodeBase(payload), () => unpack(decodePacked(payload, CHUNK).packed, bytesOf(1))]) {
        try {
          decode();
        } catch (error) {
          t.true(error instanceof DiskswarmError && error.code === 'FORMAT_INVALID', String(error));
        }
      }
    }),
    { numRuns: 1000 },
  );
});

test('a chunk comes back whole: as a delta, compressed, and both', (t) => {
  const old = bytesOf(1);
  const chunk = old.slice();
  chunk.fill(9, 8192, 12_288);
  const delta = encodeDelta(old, chunk)!;
  const whole = { base: null, zstd: true, body: compress(chunk) };
  t.deepEqual(new Uint8Array(unpack(whole, new Uint8Array(CHUNK))), chunk);
  t.deepEqual(unpack({ base, zstd: false, body: delta }, old.slice()), chunk);
  const both = { base, zstd: true, body: compress(delta) };
  t.true(both.body.length < 100);
  t.deepEqual(unpack(both, old.slice()), chunk);
});

test('compressed bytes may be no more and no less than a chunk', (t) => {
  const room = new Uint8Array(CHUNK);
  const packed = (body: Uint8Array) => ({ base: null, zstd: true, body });
  refused(t, () => unpack(packed(compress(new Uint8Array(CHUNK - 1))), room));
  refused(t, () => unpack(packed(compress(new Uint8Array(CHUNK + 1))), room));
  refused(t, () => unpack(packed(compress(bytesOf(1)).subarray(0, 100)), room));
  refused(t, () => unpack(packed(Uint8Array.of(1, 2, 3)), room));
});

test('what a frame declares takes no memory: bombs and a window of 64 MiB are refused', (t) => {
  const zeros = new Uint8Array(64 * 1024 * KIB);
  const smallWindow = { params: { [constants.ZSTD_c_windowLog]: 16 } };
  const bombs = [compress(zeros), zstdCompressSync(zeros, smallWindow)];
  const before = process.memoryUsage().arrayBuffers;
  for (const body of bombs) {
    t.true(body.length < CHUNK);
    const cause = refused(t, () => unpack({ base: null, zstd: true, body }, new Uint8Array(CHUNK)));
    t.truthy(cause, 'refused while it is undone, not by what came of it');
  }
  t.true(process.memoryUsage().arrayBuffers - before < 8 * 1024 * KIB);
  // Magic number, no content size, window descriptor for 64 MiB (RFC 8878, 3.1.1), one empty last block.
  const window = Uint8Array.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, 16 << 3, 0x01, 0x00, 0x00]);
  const cause = refused(t, () => unpack({ base: null, zstd: true, body: window }, new Uint8Array(CHUNK)));
  t.regex(String((cause as { code?: string }).code), /window/i);
});

test('what would not be smaller than the chunk, or fits no message, is not packed', (t) => {
  t.true(fitsPacked(CHUNK - 37, CHUNK));
  t.false(fitsPacked(CHUNK - 36, CHUNK));
  t.true(fitsPacked(256 * KIB - 37, 1024 * KIB));
  t.false(fitsPacked(256 * KIB, 1024 * KIB));
});
