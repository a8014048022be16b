/** A fixed-size set of bits with its count, one bit per piece. */
export class Bitmap {
  readonly #words: Uint8Array;
  #count = 0;

  constructor(size: number) {
    this.#words = new Uint8Array(Math.ceil(size / 8));
  }

  get count(): number {
    return this.#count;
  }

  has(index: number): boolean {
    return ((this.#words[index >>> 3] ?? 0) & (1 << (index & 7))) !== 0;
  }

  /** True when the bit was not set before. */
  add(index: number): boolean {
    if (this.has(index)) return false;
    this.#words[index >>> 3] = (this.#words[index >>> 3] ?? 0) | (1 << (index & 7));
    this.#count++;
    return true;
  }

  /** True when the bit was set before. */
  remove(index: number): boolean {
    if (!this.has(index)) return false;
    this.#words[index >>> 3] = (this.#words[index >>> 3] ?? 0) & ~(1 << (index & 7));
    this.#count--;
    return true;
  }

  /** Takes over the bits of a set of the same size. */
  copyFrom(other: Bitmap): void {
    this.#words.set(other.#words);
    this.#count = other.#count;
  }

  /** Runs of set bits, as [from, to). */
  *runs(): Generator<[number, number], void> {
    const bits = this.#words.length * 8;
    let start = -1;
    for (let index = 0; index < bits; index++) {
      const word = this.#words[index >>> 3] ?? 0;
      if ((index & 7) === 0 && ((word === 0 && start < 0) || (word === 0xff && start >= 0))) {
        index += 7;
        continue;
      }
      const set = (word & (1 << (index & 7))) !== 0;
      if (set && start < 0) start = index;
      if (!set && start >= 0) {
        yield [start, index];
        start = -1;
      }
    }
    if (start >= 0) yield [start, bits];
  }
}
