/**
 * Arrays for piece messages that are used again, because fresh ones for every chunk make the garbage collector the dearest
 * part of sending and receiving.
 *
 * Giving back is optional and only what was taken here, once, has an effect: who keeps a chunk just does not give it back.
 * Bounded by the number kept.
 */
import { MESSAGE_HEAD_BYTES } from './message-framer.ts';

export class ChunkBuffers {
  readonly #chunkSizeBytes: number;
  readonly #max: number;
  readonly #free: Uint8Array[] = [];
  readonly #out = new WeakSet<ArrayBufferLike>();

  /** Keeps at most `max` arrays of a piece message with a whole chunk. */
  constructor({ chunkSizeBytes, max }: { chunkSizeBytes: number; max: number }) {
    this.#chunkSizeBytes = chunkSizeBytes;
    this.#max = max;
  }

  /** An array for a message of `lengthBytes`, or undefined when none is kept. Its content is arbitrary. */
  take(lengthBytes: number): Uint8Array | undefined {
    if (lengthBytes !== MESSAGE_HEAD_BYTES + this.#chunkSizeBytes) return undefined;
    const bytes = this.#free.pop();
    if (bytes !== undefined) this.#out.add(bytes.buffer);
    return bytes;
  }

  /** Room for a chunk whose content is arbitrary, to be given back as it is. */
  chunk(): Uint8Array {
    const lengthBytes = MESSAGE_HEAD_BYTES + this.#chunkSizeBytes;
    const bytes = this.take(lengthBytes) ?? new Uint8Array(Buffer.allocUnsafeSlow(lengthBytes).buffer);
    this.lend(bytes);
    return bytes.subarray(MESSAGE_HEAD_BYTES);
  }

  /** Lends an array that was made elsewhere for a piece message: it may be given back. */
  lend(bytes: Uint8Array): void {
    if (bytes.buffer.byteLength === MESSAGE_HEAD_BYTES + this.#chunkSizeBytes) this.#out.add(bytes.buffer);
  }

  /** Takes back a chunk that nobody looks at any more. */
  give(chunk: Uint8Array): void {
    if (!this.#out.delete(chunk.buffer) || this.#free.length >= this.#max) return;
    this.#free.push(new Uint8Array(chunk.buffer));
  }
}
