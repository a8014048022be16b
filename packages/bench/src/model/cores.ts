/**
 * Where guests are busy: each on a core of its own, or all on the few cores of one machine, as in runs that are measured there.
 *
 * Shared cores are given in equal parts to all who are busy, at most one to each.
 */
import type { Timeline } from './timeline.ts';

export class Cores {
  readonly #timeline: Timeline;
  readonly #count: number;
  readonly #busy: { leftUs: number; readonly done: () => void }[] = [];
  #sinceUs = 0;
  #plan = 0;

  /** `count` may be Infinity. */
  constructor(timeline: Timeline, count: number) {
    this.#timeline = timeline;
    this.#count = count;
  }

  /** Calls back when `us` of a whole core were spent. */
  busy(us: number, done: () => void): void {
    if (this.#count === Number.POSITIVE_INFINITY) {
      this.#timeline.after(us, done);
      return;
    }
    this.#passTime();
    this.#busy.push({ leftUs: us, done });
    this.#planNext();
  }

  get #share(): number {
    return Math.min(1, this.#count / this.#busy.length);
  }

  #passTime(): void {
    const spentUs = (this.#timeline.nowUs - this.#sinceUs) * this.#share;
    for (const each of this.#busy) each.leftUs -= spentUs;
    this.#sinceUs = this.#timeline.nowUs;
  }

  #planNext(): void {
    const plan = ++this.#plan;
    if (this.#busy.length === 0) return;
    const first = this.#busy.reduce((least, each) => (each.leftUs < least.leftUs ? each : least));
    const atUs = this.#timeline.nowUs + Math.max(0, first.leftUs) / this.#share;
    const next = (): void => {
      this.#passTime();
      this.#busy.splice(this.#busy.indexOf(first), 1);
      this.#planNext();
      first.done();
    };
    this.#timeline.at(atUs, next, () => plan === this.#plan);
  }
}
