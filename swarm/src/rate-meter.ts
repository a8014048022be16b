/** Bytes per second over the last seconds, in slots; no timers. */
import type { Clock } from '@diskswarm/core';

const SLOTS = 10;
const SLOT_US = 500_000;

export class RateMeter {
  readonly #clock: Clock;
  readonly #slots = new Float64Array(SLOTS);
  #slot: number;
  readonly #startedSlot: number;
  #totalBytes = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#slot = Math.floor(clock.nowUs() / SLOT_US);
    this.#startedSlot = this.#slot;
  }

  add(lengthBytes: number): void {
    this.#advance();
    const index = this.#slot % SLOTS;
    this.#slots[index] = this.#slots[index]! + lengthBytes;
    this.#totalBytes += lengthBytes;
  }

  /** All bytes ever added. */
  get totalBytes(): number {
    return this.#totalBytes;
  }

  /** Mean over the window of five seconds, or the time since the start when that is shorter. */
  get bytesPerSecond(): number {
    this.#advance();
    const slots = Math.min(SLOTS, this.#slot - this.#startedSlot + 1);
    let sum = 0;
    for (const bytes of this.#slots) sum += bytes;
    return (sum * 1e6) / (slots * SLOT_US);
  }

  #advance(): void {
    const now = Math.floor(this.#clock.nowUs() / SLOT_US);
    for (let step = Math.min(SLOTS, now - this.#slot); step > 0; step--) {
      this.#slots[(now - step + 1) % SLOTS] = 0;
    }
    this.#slot = Math.max(this.#slot, now);
  }
}
