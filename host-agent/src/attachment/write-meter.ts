/**
 * How much the guest of one attachment writes: in total, and per second over the last minute. What a move of its machine is planned with.
 *
 * Counts what was asked for, TRIM and WRITE_ZEROES too: a piece that was discarded is told like one that was written. No timers.
 */
import type { Clock } from '@diskswarm/core';

const SLOTS = 12;
const SLOT_US = 5_000_000;

export class WriteMeter {
  readonly #clock: Clock;
  readonly #slots = new Float64Array(SLOTS);
  readonly #startedUs: number;
  #slot: number;
  #writes = 0;
  #writtenBytes = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#startedUs = clock.nowUs();
    this.#slot = Math.floor(this.#startedUs / SLOT_US);
  }

  /** The guest wrote `lengthBytes`. */
  add(lengthBytes: number): void {
    this.#advance();
    const index = this.#slot % SLOTS;
    this.#slots[index] = this.#slots[index]! + lengthBytes;
    this.#writes++;
    this.#writtenBytes += lengthBytes;
  }

  /** Writes since the attachment was opened. */
  get writes(): number {
    return this.#writes;
  }

  /** Their bytes. */
  get writtenBytes(): number {
    return this.#writtenBytes;
  }

  /** Mean over the last minute, or since the attachment was opened when that is shorter, but never over less than a slot. */
  get bytesPerSecond(): number {
    this.#advance();
    const nowUs = this.#clock.nowUs();
    const sinceUs = Math.max(this.#startedUs, (this.#slot - SLOTS + 1) * SLOT_US);
    let sum = 0;
    for (const bytes of this.#slots) sum += bytes;
    return Math.round((sum * 1e6) / Math.max(SLOT_US, nowUs - sinceUs));
  }

  #advance(): void {
    const now = Math.floor(this.#clock.nowUs() / SLOT_US);
    for (let step = Math.min(SLOTS, now - this.#slot); step > 0; step--) this.#slots[(now - step + 1) % SLOTS] = 0;
    this.#slot = Math.max(this.#slot, now);
  }
}
