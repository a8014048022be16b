/**
 * Which blocks of a modelled file system are in use: gives out the next free ones and takes them back.
 *
 * Next fit, as file systems do it: a file is in one piece where there is room for it, in several where there is not. What was given
 * back keeps its bytes until it is written again or trimmed.
 */

/** Blocks one after the other. */
export interface Extent {
  readonly first: number;
  readonly count: number;
}

export class BlockSpace {
  readonly #from: number;
  readonly #used: Uint8Array;
  /** Given back since the last trim; 1 for each. */
  readonly #stale: Uint8Array;
  #cursor = 0;

  /** Over the blocks from `from` up to `until`, all of them free. */
  constructor(from: number, until: number) {
    this.#from = from;
    this.#used = new Uint8Array(until - from);
    this.#stale = new Uint8Array(until - from);
  }

  /** Takes `count` blocks. @throws RangeError when so many are not free: the model wants more than its disk has */
  claim(count: number): readonly Extent[] {
    const extents: Extent[] = [];
    for (let left = count; left > 0; ) {
      const next = this.#used.indexOf(0, this.#cursor);
      const start = next < 0 ? this.#used.indexOf(0) : next;
      if (start < 0) throw new RangeError(`no room for ${count} more blocks`);
      const end = this.#used.indexOf(1, start);
      const until = Math.min(end < 0 ? this.#used.length : end, start + left);
      this.#used.fill(1, start, until);
      this.#stale.fill(0, start, until);
      extents.push({ first: this.#from + start, count: until - start });
      left -= until - start;
      this.#cursor = until;
    }
    return extents;
  }

  free(extents: readonly Extent[]): void {
    for (const { first, count } of extents) {
      this.#used.fill(0, first - this.#from, first - this.#from + count);
      this.#stale.fill(1, first - this.#from, first - this.#from + count);
    }
  }

  /** What was given back since the last time and is still free. */
  trim(): readonly Extent[] {
    const extents: Extent[] = [];
    for (let start = this.#stale.indexOf(1); start >= 0; start = this.#stale.indexOf(1, start)) {
      const end = this.#stale.indexOf(0, start);
      const until = end < 0 ? this.#stale.length : end;
      extents.push({ first: this.#from + start, count: until - start });
      start = until;
    }
    this.#stale.fill(0);
    return extents;
  }
}
