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
}
