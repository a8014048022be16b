/**
 * A rate limit in bytes per second that allows one item more than it has: the debt is paid before the next.
 *
 * So large items pass whole and the average holds. What waits, and in which order, is the caller's.
 */
import type { Clock } from '@diskswarm/core';

/** Saved-up allowance: this long at the full rate. */
const BURST_MS = 50;

export class TokenBucket {
  readonly #clock: Clock;
  #bytesPerSecond: number | null;
  #tokens = 0;
  #atUs: number;

  /** `bytesPerSecond` null is no limit. */
  constructor(clock: Clock, bytesPerSecond: number | null) {
    this.#clock = clock;
    this.#bytesPerSecond = bytesPerSecond;
    this.#atUs = clock.nowUs();
  }

  /** Changes the limit; a debt stays. */
  setRate(bytesPerSecond: number | null): void {
    this.#refill();
    this.#bytesPerSecond = bytesPerSecond;
  }

  /** True when something may pass now. */
  get open(): boolean {
    if (this.#bytesPerSecond === null) return true;
    this.#refill();
    return this.#tokens >= 0;
  }

  /** Books what passes. */
  take(lengthBytes: number): void {
    if (this.#bytesPerSecond === null) return;
    this.#refill();
    this.#tokens -= lengthBytes;
  }

  /** Whole milliseconds until `open`; 0 when it is. */
  get waitMs(): number {
    if (this.open || this.#bytesPerSecond === null) return 0;
    return Math.ceil((-this.#tokens * 1000) / this.#bytesPerSecond);
  }

  #refill(): void {
    const nowUs = this.#clock.nowUs();
    const rate = this.#bytesPerSecond ?? 0;
    const burst = (rate * BURST_MS) / 1000;
    this.#tokens = Math.min(burst, this.#tokens + (rate * (nowUs - this.#atUs)) / 1e6);
    this.#atUs = nowUs;
  }
}
