/**
 * A chunk as what differs from another one: a bit for each block of 4 KiB, the first block's highest, then the blocks whose bit is set.
 *
 * The overlay tracks writes by the same blocks. Nothing is found that moved: disks are written in place.
 * Whether the result is the chunk that was meant is for its id to say.
 */
import { DiskswarmError, KIB } from '@diskswarm/core';

/** What is compared and sent as one. */
export const DELTA_BLOCK_BYTES = 4 * KIB;

/** Bytes of the bits of a chunk. */
function bitmapBytes(chunkSizeBytes: number): number {
  return Math.ceil(chunkSizeBytes / DELTA_BLOCK_BYTES / 8);
}

/** What makes `chunk` out of `base`, in an array of its own; null when they are of different length, the same, or share no block. */
export function encodeDelta(base: Uint8Array, chunk: Uint8Array): Uint8Array | null {
  if (base.length !== chunk.length) return null;
  const blocks = chunk.length / DELTA_BLOCK_BYTES;
  const changed: number[] = [];
  for (let block = 0; block < blocks; block++) {
    if (Buffer.compare(blockOf(base, block), blockOf(chunk, block)) !== 0) changed.push(block);
  }
  if (changed.length === 0 || changed.length === blocks) return null;
  const headBytes = bitmapBytes(chunk.length);
  const delta = new Uint8Array(headBytes + changed.length * DELTA_BLOCK_BYTES);
  for (const [position, block] of changed.entries()) {
    delta[block >> 3]! |= 0x80 >> (block & 7);
    delta.set(blockOf(chunk, block), headBytes + position * DELTA_BLOCK_BYTES);
  }
  return delta;
}

/** Turns `chunk`, which holds the base, into the new chunk; FORMAT_INVALID, with `chunk` as it was, when the delta does not fit it. */
export function applyDelta(delta: Uint8Array, chunk: Uint8Array): void {
  const headBytes = bitmapBytes(chunk.length);
  const blocks = chunk.length / DELTA_BLOCK_BYTES;
  const changed: number[] = [];
  for (let bit = 0; bit < 8 * headBytes; bit++) {
    if (((delta[bit >> 3] ?? 0) & (0x80 >> (bit & 7))) !== 0) changed.push(bit);
  }
  const fits = delta.length === headBytes + changed.length * DELTA_BLOCK_BYTES && (changed.at(-1) ?? blocks) < blocks;
  if (!fits) throw new DiskswarmError('FORMAT_INVALID', `a delta of ${delta.length} bytes that does not fit its chunk`);
  for (const [position, block] of changed.entries()) {
    chunk.set(blockOf(delta.subarray(headBytes), position), block * DELTA_BLOCK_BYTES);
  }
}

function blockOf(bytes: Uint8Array, block: number): Uint8Array {
  return bytes.subarray(block * DELTA_BLOCK_BYTES, (block + 1) * DELTA_BLOCK_BYTES);
}
