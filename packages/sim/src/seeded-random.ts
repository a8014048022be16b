/**
 * The simulation's randomness: xoshiro128** (Blackman, Vigna), seeded by hashing a text.
 *
 * Every part draws from a stream of its own (`fork`), so that one more draw in one part does not change what another sees.
 */
import { blake3, type Random } from '@diskswarm/core';

export class SeededRandom implements Random {
  readonly #seed: string;
  readonly #state: Uint32Array;

  constructor(seed: string) {
    this.#seed = seed;
    const hash = blake3(Buffer.from(seed));
    this.#state = new Uint32Array(hash.buffer.slice(hash.byteOffset, hash.byteOffset + 16));
  }

  /** An independent stream; the same name gives the same stream, however much this one was used. */
  fork(name: string): SeededRandom {
    return new SeededRandom(`${this.#seed}/${name}`);
  }

  bytes(count: number): Uint8Array {
    const bytes = new Uint8Array(count);
    for (let index = 0; index < count; index += 4) {
      let word = this.#next();
      for (let at = index; at < Math.min(index + 4, count); at++, word >>>= 8) bytes[at] = word;
    }
    return bytes;
  }

  below(limit: number): number {
    if (!Number.isInteger(limit) || limit < 1 || limit > 2 ** 32) throw new RangeError(`below ${limit}`);
    const fair = 2 ** 32 - (2 ** 32 % limit);
    for (;;) {
      const word = this.#next();
      if (word < fair) return word % limit;
    }
  }

  /** A whole number from `min` to `max`, both included. */
  between(min: number, max: number): number {
    return min + this.below(max - min + 1);
  }

  /** True in `probability` of all calls. */
  chance(probability: number): boolean {
    return this.#next() < probability * 2 ** 32;
  }

  /** One of `items`, which may not be empty. */
  pick<Item>(items: readonly Item[]): Item {
    return items[this.below(items.length)]!;
  }

  #next(): number {
    const s = this.#state;
    const [s0, s1, s2, s3] = [s[0]!, s[1]!, s[2]!, s[3]!];
    const result = Math.imul(rotate(Math.imul(s1, 5), 7), 9) >>> 0;
    s[2] = s2 ^ s0;
    s[3] = s3 ^ s1;
    s[1] = s1 ^ s[2]!;
    s[0] = s0 ^ s[3]!;
    s[2] = s[2]! ^ (s1 << 9);
    s[3] = rotate(s[3]!, 11);
    return result;
  }
}

function rotate(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits));
}
