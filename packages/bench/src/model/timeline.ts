/** Virtual time of a model: what happens next, until nothing does. */
import { setImmediate } from 'node:timers/promises';
import { EventQueue } from '@diskswarm/sim';

/** After so many events others get their turn, so that an interrupt is seen. */
const EVENTS_AT_A_TIME = 10_000;
const ALWAYS = (): boolean => true;

export class Timeline {
  readonly #events = new EventQueue();
  #nowUs = 0;
  #happened = 0;

  get nowUs(): number {
    return this.#nowUs;
  }

  /** Events so far. */
  get happened(): number {
    return this.#happened;
  }

  /** `wanted` is asked when the time has come. */
  at(timeUs: number, run: () => void, wanted: () => boolean = ALWAYS): void {
    this.#events.push({ timeUs: Math.max(this.#nowUs, timeUs), label: '', run, wanted });
  }

  after(delayUs: number, run: () => void): void {
    this.at(this.#nowUs + delayUs, run);
  }

  /** Goes on until nothing is left to happen. Rejects when the signal fires. */
  async run(signal: AbortSignal): Promise<void> {
    for (let event = this.#events.pop(); event !== undefined; event = this.#events.pop()) {
      this.#nowUs = event.timeUs;
      event.run();
      if (++this.#happened % EVENTS_AT_A_TIME !== 0) continue;
      await setImmediate();
      signal.throwIfAborted();
    }
  }
}
