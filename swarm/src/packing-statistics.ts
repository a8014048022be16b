/** How much deltas and compression saved between two hosts, for one disk and one direction. */
import type { PackedChunk } from '@diskswarm/wire';

/** Chunks that travelled in fewer bytes. */
interface PackingCount {
  readonly count: number;
  /** What travelled. */
  readonly bytes: number;
  /** What the whole chunks would have been beyond that. */
  readonly savedBytes: number;
}

/** A chunk counts in one of them: a compressed delta is a delta. */
export interface PackingTotals {
  readonly deltas: PackingCount;
  readonly compression: PackingCount;
}

const NOTHING: PackingCount = { count: 0, bytes: 0, savedBytes: 0 };

export class PackingStatistics {
  #totals: PackingTotals = { deltas: NOTHING, compression: NOTHING };

  get totals(): PackingTotals {
    return this.#totals;
  }

  add({ base, body }: PackedChunk, chunkSizeBytes: number): void {
    const kind = base === null ? 'compression' : 'deltas';
    const { count, bytes, savedBytes } = this.#totals[kind];
    const more = {
      count: count + 1,
      bytes: bytes + body.length,
      savedBytes: savedBytes + chunkSizeBytes - body.length,
    };
    this.#totals = { ...this.#totals, [kind]: more };
  }
}
