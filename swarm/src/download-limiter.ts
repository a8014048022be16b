/**
 * The download limit: background lanes are paused while it is exceeded; control lanes never, but they count.
 *
 * So a fault's bytes come at once and background pays for them.
 */
import type { Clock, Timer } from '@diskswarm/core';
import type { TokenBucket } from './token-bucket.ts';

/** A lane that can be held back. */
export interface PausableLane {
  pause(): void;
  resume(): void;
}

export class DownloadLimiter {
  readonly #clock: Clock;
  readonly #limit: TokenBucket;
  readonly #paused = new Set<PausableLane>();
  #timer: Timer | null = null;

  constructor(clock: Clock, limit: TokenBucket) {
    this.#clock = clock;
    this.#limit = limit;
  }

  /** Books bytes that arrived; `lane` is paused when it may be and the limit says so. */
  arrived(lengthBytes: number, lane: PausableLane | null): void {
    this.#limit.take(lengthBytes);
    if (lane === null || this.#limit.open || this.#paused.has(lane)) return;
    this.#paused.add(lane);
    lane.pause();
    this.#arm();
  }

  /** True while a lane is held back: its silence is ours. */
  holds(lane: PausableLane): boolean {
    return this.#paused.has(lane);
  }

  /** Forgets a lane that ended. */
  forget(lane: PausableLane): void {
    this.#paused.delete(lane);
  }

  /** The limit was changed, or time has passed: resumes what may go on. */
  update(): void {
    this.#timer?.cancel();
    this.#timer = null;
    if (!this.#limit.open) {
      if (this.#paused.size > 0) this.#arm();
      return;
    }
    const lanes = [...this.#paused];
    this.#paused.clear();
    for (const lane of lanes) lane.resume();
  }

  /** Ends the timer and resumes everything. */
  stop(): void {
    this.#timer?.cancel();
    this.#timer = null;
    for (const lane of this.#paused) lane.resume();
    this.#paused.clear();
  }

  #arm(): void {
    this.#timer ??= this.#clock.setTimer(this.#limit.waitMs, () => this.update());
  }
}
