/**
 * The time that this host spends on compressing, for all its peers together: half of it at most.
 *
 * Each peer asks by what its own part of a link carries. Where many do at once, all of it would be more than a processor does, and faults
 * would wait behind it: what is beyond goes as it is.
 */
import type { Clock } from '@diskswarm/core';
import { TokenBucket } from './token-bucket.ts';

const US_PER_SECOND = 500_000;

export class CompressionBudget {
  readonly #clock: Clock;
  readonly #us: TokenBucket;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#us = new TokenBucket(clock, US_PER_SECOND);
  }

  /** True when there is time for some more. */
  get open(): boolean {
    return this.#us.open;
  }

  /** Books what `work` takes. */
  spend<Result>(work: () => Result): Result {
    const startedUs = this.#clock.nowUs();
    const result = work();
    this.#us.take(this.#clock.nowUs() - startedUs);
    return result;
  }
}
