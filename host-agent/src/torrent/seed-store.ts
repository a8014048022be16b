/**
 * The pieces of a torrent that is given away, as its client reads them: out of the agent's store, in windows that are kept a while.
 *
 * Peers ask for 16 KiB at a time and mostly in order, so the window behind one that follows another is read ahead. A window is one question to the agent's thread, whatever the length of a piece, so memory does
 * not follow from it. Nothing can be written.
 */
import type { PieceStore } from './webtorrent-client.ts';

const WINDOW_BYTES = 256 * 1024;
/** Windows of one torrent that are kept, or under way. */
const MAX_WINDOWS = 16;

export interface SeedStoreOptions {
  readonly sizeBytes: number;
  readonly pieceBytes: number;
  /** Bytes of the torrent. */
  read(offsetBytes: number, lengthBytes: number): Promise<Uint8Array>;
  /** Resolves when so many may leave. */
  spend(lengthBytes: number): Promise<void>;
}

export class SeedStore implements PieceStore {
  readonly #options: SeedStoreOptions;
  /** Least recently used first. */
  readonly #windows = new Map<number, Promise<Uint8Array>>();

  constructor(options: SeedStoreOptions) {
    this.#options = options;
  }

  get: PieceStore['get'] = (piece, options, done) => {
    const { sizeBytes, pieceBytes } = this.#options;
    const start = piece * pieceBytes;
    const { offset = 0, length = Math.min(pieceBytes, sizeBytes - start) - offset } = options ?? {};
    if (offset < 0 || length <= 0 || offset + length > pieceBytes || start + offset + length > sizeBytes) {
      done(new RangeError('no such bytes'));
      return;
    }
    this.#read(start + offset, length).then(
      (bytes) => done(null, bytes),
      (error: unknown) => done(error instanceof Error ? error : new Error(String(error))),
    );
  };

  put: PieceStore['put'] = (_piece, _bytes, done) => done(new Error('a torrent that is given away is not written'));
  close: PieceStore['close'] = (done) => done(null);
  destroy: PieceStore['destroy'] = (done) => done(null);

  async #read(offsetBytes: number, lengthBytes: number): Promise<Uint8Array> {
    await this.#options.spend(lengthBytes);
    const first = Math.floor(offsetBytes / WINDOW_BYTES);
    const from = offsetBytes - first * WINDOW_BYTES;
    if (from + lengthBytes <= WINDOW_BYTES) return (await this.#window(first)).subarray(from, from + lengthBytes);
    const bytes = new Uint8Array(lengthBytes);
    for (let done = 0; done < lengthBytes; ) {
      const at = offsetBytes + done;
      const window = await this.#window(Math.floor(at / WINDOW_BYTES));
      const part = window.subarray(at % WINDOW_BYTES, (at % WINDOW_BYTES) + lengthBytes - done);
      bytes.set(part, done);
      done += part.length;
    }
    return bytes;
  }

  #window(index: number): Promise<Uint8Array> {
    const known = this.#windows.get(index);
    const follows = this.#windows.has(index - 1);
    this.#windows.delete(index);
    const window = known ?? this.#begin(index);
    this.#windows.set(index, window);
    if (follows && !this.#windows.has(index + 1) && (index + 1) * WINDOW_BYTES < this.#options.sizeBytes)
      this.#windows.set(index + 1, this.#begin(index + 1));
    for (const oldest of this.#windows.keys()) {
      if (this.#windows.size <= MAX_WINDOWS) break;
      this.#windows.delete(oldest);
    }
    return window;
  }

  #begin(index: number): Promise<Uint8Array> {
    const start = index * WINDOW_BYTES;
    const window = this.#options.read(start, Math.min(WINDOW_BYTES, this.#options.sizeBytes - start));
    // Whoever comes next tries again.
    window.catch(() => {
      if (this.#windows.get(index) === window) this.#windows.delete(index);
    });
    return window;
  }
}
