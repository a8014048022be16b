/**
 * The id of a chunk's bytes: BLAKE3 of all of them, and nothing else mixed in, so that a slice can be proven later.
 *
 * The all-zero chunk has the zero id; it is recognised before hashing, which makes holes nearly free.
 */
import { blake3, type ChunkId, DiskswarmError, MAX_CHUNK_BYTES, toHex, ZERO_ID } from '@diskswarm/core';

/** Only ever read; the kernel backs it with its zero page. */
const ZEROS = new Uint8Array(MAX_CHUNK_BYTES);

/** True when every byte is zero (also of an empty array). */
export function isZero(bytes: Uint8Array): boolean {
  if (bytes.length === ZEROS.length) return Buffer.compare(bytes, ZEROS) === 0;
  for (let start = 0; start < bytes.length; start += ZEROS.length) {
    const part = start === 0 && bytes.length < ZEROS.length ? bytes : bytes.subarray(start, start + ZEROS.length);
    if (Buffer.compare(part, ZEROS.subarray(0, part.length)) !== 0) return false;
  }
  return true;
}

/** The id of a whole chunk (the last one of a disk padded with zeros by the caller). */
export function chunkIdOf(bytes: Uint8Array): ChunkId {
  return isZero(bytes) ? ZERO_ID : (toHex(blake3(bytes)) as ChunkId);
}

/** Throws CHUNK_CORRUPT with `{expected, actual}` unless `bytes` are the chunk named `id`. */
export function verifyChunk(id: ChunkId, bytes: Uint8Array): void {
  const actual = chunkIdOf(bytes);
  if (actual === id) return;
  throw new DiskswarmError('CHUNK_CORRUPT', `bytes of chunk ${id} hash to ${actual}`, {
    data: { expected: id, actual },
  });
}
