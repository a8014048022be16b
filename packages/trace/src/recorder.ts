/** Collects first touches, each piece once, up to a bound; what comes after it is bulk anyway. */
import type { PieceIndex } from '@diskswarm/core';

export class TraceRecorder {
  readonly #maxEntries: number;
  /** A Set keeps the order of insertion. */
  readonly #touched = new Set<PieceIndex>();

  constructor({ maxEntries }: { maxEntries: number }) {
    this.#maxEntries = maxEntries;
  }

  /** True when this was the piece's first touch and there was room for it. */
  record(piece: PieceIndex): boolean {
    if (this.#touched.size >= this.#maxEntries || this.#touched.has(piece)) return false;
    this.#touched.add(piece);
    return true;
  }

  /** Pieces recorded so far. */
  get count(): number {
    return this.#touched.size;
  }

  /** Pieces in the order of their first touch (a copy). */
  get pieces(): PieceIndex[] {
    return [...this.#touched];
  }
}
