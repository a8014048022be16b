/**
 * A 4 KiB block of which only some bytes were written while the rest is still on its way.
 *
 * Later partial writes of the block join it, in order; a write of the whole block replaces it. Invariant: `done` settles once,
 * after the bytes are in the overlay and committed (or were replaced by something that is).
 */
export class PendingBlock {
  readonly block: number;
  /** What the block holds below; filled by whoever completes it. */
  readonly below: Uint8Array;
  readonly done: Promise<void>;
  readonly #bytes: Uint8Array;
  readonly #written: Uint8Array;
  readonly #controller = new AbortController();
  readonly #settle: { resolve: () => void; reject: (error: unknown) => void };

  constructor(block: number, lengthBytes: number) {
    this.block = block;
    this.below = new Uint8Array(lengthBytes);
    this.#bytes = new Uint8Array(lengthBytes);
    this.#written = new Uint8Array(lengthBytes);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.done = promise;
    // Whoever wrote here hears of it through `done`; a write that failed before it could wait must not count as unheard.
    promise.catch(() => {});
    this.#settle = { resolve, reject };
  }

  /** Fires when the block was replaced and its old content is of no use. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Adds bytes (copied). */
  put(withinBytes: number, data: Uint8Array): void {
    this.#bytes.set(data, withinBytes);
    this.#written.fill(1, withinBytes, withinBytes + data.length);
  }

  /** The whole block: what was written, over `below`. */
  merge(): Uint8Array {
    for (let index = 0; index < this.#bytes.length; index++) {
      if (this.#written[index] === 0) this.#bytes[index] = this.below[index]!;
    }
    return this.#bytes;
  }

  /** Stops the read of the old content. */
  cancel(): void {
    this.#controller.abort();
  }

  resolve(): void {
    this.#settle.resolve();
  }

  reject(error: unknown): void {
    this.#settle.reject(error);
  }
}
