/**
 * The waiting chunks of one disk and priority, in the order they should be asked for, and who takes which run.
 *
 * Order: for bulk the rarest first, then the given order, then first come. A run of adjacent pieces goes to one peer,
 * which then reads its disk in order: the first peer that takes a piece of a run owns the run for a while.
 */

import { SCHEDULER_LIMITS } from './limits.ts';
import type { Entry, Peer } from './peer.ts';

const RUNS_REMEMBERED = 64;

export class WaitQueue {
  readonly #entries: Entry[] = [];
  readonly #owners = new Map<number, Peer>();

  get length(): number {
    return this.#entries.length;
  }

  at(index: number): Entry | undefined {
    return this.#entries[index];
  }

  add(entry: Entry): void {
    this.#entries.splice(this.#positionOf(entry), 0, entry);
  }

  remove(entry: Entry): void {
    const index = this.#positionOf(entry);
    if (this.#entries[index] !== entry) return;
    // Mostly the first, and a splice of one costs many times a shift.
    if (index === 0) this.#entries.shift();
    else this.#entries.splice(index, 1);
  }

  /** The peer that took a piece of the same run, or undefined. */
  ownerOf(entry: Entry): Peer | undefined {
    return this.#owners.get(runOf(entry));
  }

  /** `peer` was asked for this piece: the run is its own now, unless it is another's. */
  own(entry: Entry, peer: Peer): void {
    const run = runOf(entry);
    if (this.#owners.has(run)) return;
    this.#owners.set(run, peer);
    if (this.#owners.size > RUNS_REMEMBERED) this.#owners.delete(this.#owners.keys().next().value!);
  }

  /** Frees the runs of a peer that is gone or does not answer. */
  disown(peer: Peer): void {
    for (const [run, owner] of this.#owners) if (owner === peer) this.#owners.delete(run);
  }

  #positionOf(entry: Entry): number {
    let low = 0;
    let high = this.#entries.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (compare(this.#entries[middle]!, entry) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function compare(a: Entry, b: Entry): number {
  return a.rarity - b.rarity || a.want.order - b.want.order || a.sequence - b.sequence;
}

function runOf(entry: Entry): number {
  return Math.floor(entry.want.piece / SCHEDULER_LIMITS.runPieces);
}
