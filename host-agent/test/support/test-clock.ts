/** Time that a test moves by hand. */
import type { Clock, Timer } from '@diskswarm/core';

/** Timers fire in their order, each at its time. */
export class TestClock implements Clock {
  #nowUs = 5_000_000;
  readonly #timers = new Set<{ readonly atUs: number; readonly callback: () => void }>();

  nowUs(): number {
    return this.#nowUs;
  }

  wallMs(): number {
    return 0;
  }

  setTimer(delayMs: number, callback: () => void): Timer {
    const timer = { atUs: this.#nowUs + delayMs * 1000, callback };
    this.#timers.add(timer);
    return { cancel: () => void this.#timers.delete(timer) };
  }

  /** Timers that have not fired. */
  get timers(): number {
    return this.#timers.size;
  }

  advance(ms: number): void {
    const endUs = this.#nowUs + ms * 1000;
    for (;;) {
      const [next] = [...this.#timers].filter(({ atUs }) => atUs <= endUs).sort((a, b) => a.atUs - b.atUs);
      if (next === undefined) break;
      this.#timers.delete(next);
      this.#nowUs = Math.max(this.#nowUs, next.atUs);
      next.callback();
    }
    this.#nowUs = endUs;
  }
}
