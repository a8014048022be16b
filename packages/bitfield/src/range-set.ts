/**
 * A set of whole numbers from 0, held as sorted, disjoint, non-adjacent runs.
 *
 * The runs lie flat in one array of bounds: from, to, from, to. A number is in the set when an odd number of bounds is
 * at or below it, which makes every operation a binary search and at most one splice. Memory follows the number of
 * runs, not their length; who takes runs from outside bounds `runCount`.
 */

/** Numbers `from` to `to - 1`; never empty. */
export interface Run {
  readonly from: number;
  readonly to: number;
}

export class RangeSet {
  #bounds: number[] = [];
  #count = 0;

  /** A set of the given runs, in any order, overlapping or not. */
  static from(runs: Iterable<Run>): RangeSet {
    const set = new RangeSet();
    for (const { from, to } of runs) set.add(from, to);
    return set;
  }

  /** How many numbers are in the set. */
  get count(): number {
    return this.#count;
  }

  /** How many runs hold them. */
  get runCount(): number {
    return this.#bounds.length / 2;
  }

  /** One past the largest member; 0 when the set is empty. */
  get end(): number {
    return this.#bounds.at(-1) ?? 0;
  }

  has(value: number): boolean {
    return this.#countAtMost(value) % 2 === 1;
  }

  /** True when all of `from` to `to - 1` is in the set. */
  hasAll(from: number, to: number): boolean {
    const index = this.#countAtMost(from);
    return from >= to || (index % 2 === 1 && this.#bounds[index]! >= to);
  }

  /** Adds `from` to `to - 1` (one number when `to` is left out). */
  add(from: number, to = from + 1): void {
    this.#replace(from, to, 0);
  }

  /** Removes `from` to `to - 1` (one number when `to` is left out). */
  remove(from: number, to = from + 1): void {
    this.#replace(from, to, 1);
  }

  clear(): void {
    this.#bounds = [];
    this.#count = 0;
  }

  clone(): RangeSet {
    const copy = new RangeSet();
    copy.#bounds = this.#bounds.slice();
    copy.#count = this.#count;
    return copy;
  }

  equals(other: RangeSet): boolean {
    return (
      this.#bounds.length === other.#bounds.length &&
      this.#bounds.every((bound, index) => bound === other.#bounds[index])
    );
  }

  /** The runs in order, clipped to `from` to `to - 1`. The set may not change while they are taken. */
  *runs(from = 0, to = Number.POSITIVE_INFINITY): Generator<Run, void> {
    const before = this.#countAtMost(from);
    for (let index = before - (before % 2); index < this.#bounds.length; index += 2) {
      const start = Math.max(from, this.#bounds[index]!);
      const stop = Math.min(to, this.#bounds[index + 1]!);
      if (start >= to) return;
      if (start < stop) yield { from: start, to: stop };
    }
  }

  /** The runs between the runs, within `from` to `to - 1`. */
  *gaps(from: number, to: number): Generator<Run, void> {
    let start = from;
    for (const run of this.runs(from, to)) {
      if (start < run.from) yield { from: start, to: run.from };
      start = run.to;
    }
    if (start < to) yield { from: start, to };
  }

  /** The smallest member at or after `value`, or null. */
  next(value: number): number | null {
    const index = this.#countAtMost(value);
    return index % 2 === 1 ? value : (this.#bounds[index] ?? null);
  }

  /** Members of this set or of `other` (a new set). */
  union(other: RangeSet): RangeSet {
    return this.#combine(other, (mine, theirs) => mine || theirs);
  }

  /** Members of both sets (a new set). */
  intersect(other: RangeSet): RangeSet {
    return this.#combine(other, (mine, theirs) => mine && theirs);
  }

  /** Members of this set that `other` lacks (a new set). */
  subtract(other: RangeSet): RangeSet {
    return this.#combine(other, (mine, theirs) => mine && !theirs);
  }

  /** The set cut into sets of at most `maxRuns` runs, in order: for messages with a bound. */
  *parts(maxRuns: number): Generator<RangeSet, void> {
    for (let start = 0; start < this.#bounds.length; start += 2 * maxRuns) {
      yield RangeSet.#ofBounds(this.#bounds.slice(start, start + 2 * maxRuns));
    }
  }

  static #ofBounds(bounds: number[]): RangeSet {
    const set = new RangeSet();
    set.#bounds = bounds;
    set.#count = lengthOfRuns(bounds);
    return set;
  }

  /** Puts a run in (`parity` 0) or takes it out (1): a bound stays only where the set changes sides there. */
  #replace(from: number, to: number, parity: 0 | 1): void {
    if (!Number.isSafeInteger(from) || !Number.isSafeInteger(to) || from < 0 || from > to)
      throw new RangeError(`run ${from} to ${to}`);
    if (from === to) return;
    const first = this.#countAtMost(from - 1);
    const last = this.#countAtMost(to);
    const startsHere = first % 2 === parity;
    const endsHere = last % 2 === parity;
    const inserted = startsHere ? (endsHere ? [from, to] : [from]) : endsHere ? [to] : [];
    const alternating = (bounds: readonly number[]): number =>
      bounds.reduce((sum, bound, index) => sum + ((first + index) % 2 === 0 ? -bound : bound), 0);
    const removed = this.#bounds.splice(first, last - first, ...inserted);
    this.#count += alternating(inserted) - alternating(removed);
  }

  /** How many bounds are at or below `value`. */
  #countAtMost(value: number): number {
    let low = 0;
    let high = this.#bounds.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#bounds[middle]! <= value) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #combine(other: RangeSet, keep: (mine: boolean, theirs: boolean) => boolean): RangeSet {
    const [a, b] = [this.#bounds, other.#bounds];
    const bounds: number[] = [];
    let i = 0;
    let j = 0;
    while (i < a.length || j < b.length) {
      const at = Math.min(a[i] ?? Number.POSITIVE_INFINITY, b[j] ?? Number.POSITIVE_INFINITY);
      if (a[i] === at) i++;
      if (b[j] === at) j++;
      if (keep(i % 2 === 1, j % 2 === 1) !== (bounds.length % 2 === 1)) bounds.push(at);
    }
    return RangeSet.#ofBounds(bounds);
  }
}

function lengthOfRuns(bounds: readonly number[]): number {
  let length = 0;
  for (let index = 0; index < bounds.length; index += 2) length += bounds[index + 1]! - bounds[index]!;
  return length;
}
