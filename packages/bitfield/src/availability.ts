/**
 * What one peer has of one generation: has, lacks, or unknown, by what it said last.
 *
 * A claim is a hint, never a proof: chunks are verified when they come. Memory is bounded, because a peer that speaks of
 * every second piece is told to stop, not obeyed.
 */
import { DiskswarmError } from '@diskswarm/core';
import { RangeSet } from './range-set.ts';

export type PieceState = 'has' | 'lacks' | 'unknown';

/** Few runs into many: splices beat a merge, and a single new piece is the common case. */
const FEW_RUNS = 16;

export class Availability {
  readonly #maxRuns: number;
  #has = new RangeSet();
  #lacks = new RangeSet();

  /** `maxRuns` bounds each of the two sets. */
  constructor({ maxRuns }: { maxRuns: number }) {
    this.#maxRuns = maxRuns;
  }

  /** Pieces the peer has. A live view: read it, do not change it. */
  get has(): RangeSet {
    return this.#has;
  }

  /** Pieces the peer said it lacks. A live view: read it, do not change it. */
  get lacks(): RangeSet {
    return this.#lacks;
  }

  stateOf(piece: number): PieceState {
    if (this.#has.has(piece)) return 'has';
    return this.#lacks.has(piece) ? 'lacks' : 'unknown';
  }

  /** The peer has these now. Throws LIMIT_EXCEEDED, and learns nothing, when its claims are too scattered to keep. */
  learnHas(pieces: RangeSet): void {
    this.#learn(pieces, true, false);
  }

  /** The peer lacks these now; errors as for `learnHas`. */
  learnLacks(pieces: RangeSet): void {
    this.#learn(pieces, false, true);
  }

  /** Back to unknown: what a new generation changed; errors as for `learnHas`. */
  forget(pieces: RangeSet): void {
    this.#learn(pieces, false, false);
  }

  /** An independent copy: what a new generation inherits from its parent before `forget(changed)`. */
  clone(): Availability {
    const copy = new Availability({ maxRuns: this.#maxRuns });
    copy.#has = this.#has.clone();
    copy.#lacks = this.#lacks.clone();
    return copy;
  }

  #learn(pieces: RangeSet, has: boolean, lacks: boolean): void {
    // A splice adds at most one run per run: where that cannot reach the bound, few runs are spliced in place.
    const most = Math.max(this.#has.runCount, this.#lacks.runCount) + pieces.runCount;
    if (pieces.runCount <= FEW_RUNS && most <= this.#maxRuns) {
      for (const { from, to } of pieces.runs()) {
        if (has) this.#has.add(from, to);
        else this.#has.remove(from, to);
        if (lacks) this.#lacks.add(from, to);
        else this.#lacks.remove(from, to);
      }
      return;
    }
    const nextHas = has ? this.#has.union(pieces) : this.#has.subtract(pieces);
    const nextLacks = lacks ? this.#lacks.union(pieces) : this.#lacks.subtract(pieces);
    if (Math.max(nextHas.runCount, nextLacks.runCount) > this.#maxRuns) {
      throw new DiskswarmError('LIMIT_EXCEEDED', `a peer's claims need more than ${this.#maxRuns} runs`, {
        data: { maxRuns: this.#maxRuns },
      });
    }
    this.#has = nextHas;
    this.#lacks = nextLacks;
  }
}
