/** A clock that moves when told: between two timers everything that was promised gets done. */
import type { Clock, Timer } from '@diskswarm/core';

interface Pending {
  readonly atUs: number;
  readonly order: number;
  readonly run: () => void;
}

export class TestClock implements Clock {
  #nowUs = 1_000_000;
  #order = 0;
  readonly #pending = new Set<Pending>();

  nowUs(): number {
    return this.#nowUs;
  }

  wallMs(): number {
    return 1_700_000_000_000 + this.#nowUs / 1000;
  }

  setTimer(delayMs: number, run: () => void): Timer {
    const entry = { atUs: this.#nowUs + Math.max(0, delayMs) * 1000, order: this.#order++, run };
    this.#pending.add(entry);
    return { cancel: () => this.#pending.delete(entry) };
  }

  /** Runs everything that happens within `ms`. */
  async advance(ms: number): Promise<void> {
    await this.until(() => false, ms);
  }

  /** Runs until `condition` holds; false when it did not within `ms`. */
  async until(condition: () => boolean, ms = 60_000): Promise<boolean> {
    const endUs = this.#nowUs + ms * 1000;
    for (;;) {
      await new Promise(setImmediate);
      if (condition()) return true;
      let next: Pending | undefined;
      for (const entry of this.#pending) {
        if (next === undefined || entry.atUs < next.atUs || (entry.atUs === next.atUs && entry.order < next.order))
          next = entry;
      }
      if (next === undefined || next.atUs > endUs) {
        this.#nowUs = endUs;
        return condition();
      }
      this.#pending.delete(next);
      this.#nowUs = Math.max(this.#nowUs, next.atUs);
      next.run();
    }
  }
}

/** Repeatable random bytes (not for keys of anybody). */
export class TestRandom {
  #state: number;

  constructor(seed: number) {
    this.#state = seed * 2654435761;
  }

  bytes(count: number): Uint8Array {
    return Uint8Array.from({ length: count }, () => this.below(256));
  }

  below(limit: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * limit);
  }
}
