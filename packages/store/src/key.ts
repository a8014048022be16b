/**
 * Index keys: the first 16 bytes of a chunk id as four 32-bit words, little-endian.
 *
 * Half of the id is enough to find a chunk, because the whole id is checked on every read; it halves the index.
 */
import type { ChunkId } from '@diskswarm/core';

/** Bytes of a key where it is written to disk. */
export const KEY_BYTES = 16;
/** Four words. */
export type Key = Uint32Array;

const DIGIT = new Uint8Array(128);
for (let value = 0; value < 16; value++) DIGIT[value.toString(16).charCodeAt(0)] = value;

/** Room for one key. */
export function newKey(): Key {
  return new Uint32Array(4);
}

/** Writes the key of `id` into `key` and returns it. */
export function keyOfId(id: ChunkId, key: Key): Key {
  for (let word = 0; word < 4; word++) {
    const at = word * 8;
    key[word] =
      (digit(id, at) << 4) |
      digit(id, at + 1) |
      (digit(id, at + 2) << 12) |
      (digit(id, at + 3) << 8) |
      (digit(id, at + 4) << 20) |
      (digit(id, at + 5) << 16) |
      (digit(id, at + 6) << 28) |
      (digit(id, at + 7) << 24);
  }
  return key;
}

/** Reads a key from its 16 bytes at `offset`. */
export function readKey(bytes: Buffer, offset: number, key: Key): Key {
  for (let word = 0; word < 4; word++) key[word] = bytes.readUInt32LE(offset + word * 4);
  return key;
}

/** Writes a key as 16 bytes at `offset`. */
export function writeKey(key: Key, bytes: Buffer, offset: number): void {
  for (let word = 0; word < 4; word++) bytes.writeUInt32LE(key[word]!, offset + word * 4);
}

function digit(text: string, at: number): number {
  return DIGIT[text.charCodeAt(at) & 127]!;
}
