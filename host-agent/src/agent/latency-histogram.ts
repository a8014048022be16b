/**
 * Durations in constant memory: logarithmic buckets, about 4 % wide, from 1 µs to 30 minutes.
 *
 * A bucket includes its upper bound, and every power of two is one: what is at most a power of two can be told exactly.
 */
import type { Percentiles } from '../control/methods.ts';

const PER_DOUBLING = 16;
const BUCKETS = 31 * PER_DOUBLING;

export class LatencyHistogram {
  readonly #counts = new Uint32Array(BUCKETS);
  #count = 0;
  #maxUs = 0;
  #sumUs = 0;

  get count(): number {
    return this.#count;
  }

  /** All durations together. */
  get sumUs(): number {
    return this.#sumUs;
  }

  add(durationUs: number): void {
    const bucket = Math.min(BUCKETS - 1, Math.max(0, Math.ceil(Math.log2(Math.max(1, durationUs)) * PER_DOUBLING) - 1));
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1;
    this.#count++;
    this.#maxUs = Math.max(this.#maxUs, durationUs);
    this.#sumUs += durationUs;
  }

  /** How many were at most 2 to the power of each of `exponents` microseconds; these rise, from 1 on. */
  atMost(exponents: readonly number[]): number[] {
    let bucket = 0;
    let sum = 0;
    return exponents.map((exponent) => {
      for (; bucket < Math.min(BUCKETS, exponent * PER_DOUBLING); bucket++) sum += this.#counts[bucket]!;
      return sum;
    });
  }

  /** Whole microseconds; zeros before the first duration. */
  percentiles(): Percentiles {
    return { p50: this.#at(0.5), p90: this.#at(0.9), p99: this.#at(0.99), max: Math.round(this.#maxUs) };
  }

  #at(share: number): number {
    let left = Math.ceil(this.#count * share);
    if (left === 0) return 0;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      left -= this.#counts[bucket] ?? 0;
      if (left <= 0) return Math.min(Math.round(2 ** ((bucket + 0.5) / PER_DOUBLING)), Math.round(this.#maxUs));
    }
    return Math.round(this.#maxUs);
  }
}
