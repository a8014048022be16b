/**
 * The root of a file's tree of SHA-256 hashes over blocks of 16 KiB (BEP 52), computed while the file goes by.
 *
 * Keeps one hash per level, whatever the size. What a hybrid torrent's version 1 part let in is checked against its version 2 part so.
 */
import { createHash } from 'node:crypto';

const BLOCK_BYTES = 16 * 1024;
const EMPTY: Uint8Array = new Uint8Array(32);

export class MerkleRoot {
  /** The left one of a pair whose right one is still to come, by level. */
  readonly #waiting: (Uint8Array | undefined)[] = [];
  readonly #rest = new Uint8Array(BLOCK_BYTES);
  #restBytes = 0;
  #blocks = 0;

  /** Takes the next bytes; they are not kept. */
  update(bytes: Uint8Array): void {
    let at = 0;
    if (this.#restBytes > 0) {
      at = Math.min(bytes.length, BLOCK_BYTES - this.#restBytes);
      this.#rest.set(bytes.subarray(0, at), this.#restBytes);
      this.#restBytes += at;
      if (this.#restBytes < BLOCK_BYTES) return;
      this.#add(this.#rest);
      this.#restBytes = 0;
    }
    for (; at + BLOCK_BYTES <= bytes.length; at += BLOCK_BYTES) this.#add(bytes.subarray(at, at + BLOCK_BYTES));
    this.#rest.set(bytes.subarray(at));
    this.#restBytes = bytes.length - at;
  }

  /** The root of all that came, which must be something; call it once. */
  digest(): Uint8Array {
    if (this.#restBytes > 0) this.#add(this.#rest.subarray(0, this.#restBytes));
    const height = Math.ceil(Math.log2(Math.max(1, this.#blocks)));
    let right: Uint8Array | null = null;
    let empty = EMPTY;
    for (let level = 0; level < height; level++) {
      const left = this.#waiting[level];
      if (left !== undefined) right = sha256(left, right ?? empty);
      else if (right !== null) right = sha256(right, empty);
      empty = sha256(empty, empty);
    }
    return right ?? this.#waiting[height] ?? EMPTY;
  }

  #add(block: Uint8Array): void {
    this.#blocks++;
    let hash = sha256(block);
    let level = 0;
    for (;;) {
      const left = this.#waiting[level];
      if (left === undefined) break;
      hash = sha256(left, hash);
      this.#waiting[level++] = undefined;
    }
    this.#waiting[level] = hash;
  }
}

function sha256(...parts: readonly Uint8Array[]): Uint8Array {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
}
