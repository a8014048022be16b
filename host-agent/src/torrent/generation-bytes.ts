/**
 * A generation as one run of bytes, out of the store, fetched from other hosts where chunks are missing here; and the hashes of its pieces as a torrent has them.
 *
 * Nothing is copied to disk: bytes are put together as they are asked for. The chunks of one read are read side by side.
 */
import { createHash } from 'node:crypto';
import { PRIORITY, pieceIndex } from '@diskswarm/core';
import type { GenerationView } from '../agent/generation-view.ts';
import type { ManagedDisk } from '../agent/managed-disk.ts';

const HASH_BYTES = 20;
/** What is read at a time to be hashed. */
const STEP_BYTES = 256 * 1024;

export class GenerationBytes {
  readonly #disk: ManagedDisk;
  readonly #view: GenerationView;

  constructor(disk: ManagedDisk, view: GenerationView) {
    this.#disk = disk;
    this.#view = view;
  }

  get sizeBytes(): number {
    return this.#view.subject.geometry.sizeBytes;
  }

  /** A copy of some bytes, which must lie inside; all their chunks are in memory at once. */
  async read(offsetBytes: number, lengthBytes: number, { signal }: { signal: AbortSignal }): Promise<Uint8Array> {
    const { chunkSizeBytes } = this.#view.subject.geometry;
    const bytes = Buffer.allocUnsafeSlow(lengthBytes);
    const parts: Promise<void>[] = [];
    for (let at = 0; at < lengthBytes; ) {
      const inside = (offsetBytes + at) % chunkSizeBytes;
      const part = bytes.subarray(at, Math.min(lengthBytes, at + chunkSizeBytes - inside));
      parts.push(this.#fill(part, Math.floor((offsetBytes + at) / chunkSizeBytes), inside, signal));
      at += part.length;
    }
    await Promise.all(parts);
    return bytes;
  }

  /** SHA-1 of every piece of a torrent, one behind the other; everything is read once. */
  async hashes(
    pieceBytes: number,
    { signal, onProgress }: { signal: AbortSignal; onProgress(doneBytes: number): void },
  ): Promise<Uint8Array> {
    const hashes = new Uint8Array(Math.ceil(this.sizeBytes / pieceBytes) * HASH_BYTES);
    for (let start = 0; start < this.sizeBytes; start += pieceBytes) {
      const hash = createHash('sha1');
      const end = Math.min(start + pieceBytes, this.sizeBytes);
      for (let at = start; at < end; at += STEP_BYTES) {
        signal.throwIfAborted();
        hash.update(await this.read(at, Math.min(STEP_BYTES, end - at), { signal }));
      }
      hashes.set(hash.digest(), (start / pieceBytes) * HASH_BYTES);
      onProgress(end);
    }
    return hashes;
  }

  /** Fills `part` with the bytes of a chunk from `inside` on. */
  async #fill(part: Uint8Array, index: number, inside: number, signal: AbortSignal): Promise<void> {
    const chunk = await this.#disk.chunks.read(this.#view, pieceIndex(index), PRIORITY.bulk, { signal });
    if (chunk === null) part.fill(0);
    else part.set(chunk.subarray(inside, inside + part.length));
  }
}
