/**
 * One run of the agent's process on a simulated machine. When it dies, nothing that belongs to it happens any more:
 * its timers do not fire, its calls never settle, and its synchronous calls throw.
 */
import type { Clock, Timer } from '@diskswarm/core';
import type { SeededRandom } from './seeded-random.ts';

/** Schedules on the simulation's queue. */
export type Schedule = (delayUs: number, label: string, run: () => void, wanted: () => boolean) => void;

/** Thrown by synchronous calls of a process that is dead, so that its code stops there. */
export class ProcessGone extends Error {
  constructor(name: string) {
    super(`the simulated process ${name} is dead`);
    this.name = 'ProcessGone';
  }
}

export class SimProcess {
  /** Machine and incarnation, as the trace shows it. */
  readonly name: string;
  readonly random: SeededRandom;
  readonly clock: Clock;
  readonly #schedule: Schedule;
  #alive = true;

  constructor(name: string, random: SeededRandom, clock: Pick<Clock, 'nowUs' | 'wallMs'>, schedule: Schedule) {
    this.name = name;
    this.random = random;
    this.#schedule = schedule;
    this.clock = {
      nowUs: clock.nowUs,
      wallMs: clock.wallMs,
      setTimer: (delayMs, callback) => this.#setTimer(delayMs, callback),
    };
  }

  get alive(): boolean {
    return this.#alive;
  }

  /** From here on nothing of this process happens. */
  kill(): void {
    this.#alive = false;
  }

  /** Throws ProcessGone when dead. */
  assertAlive(): void {
    if (!this.#alive) throw new ProcessGone(this.name);
  }

  /** Runs `run` later unless the process has died by then. */
  later(delayUs: number, label: string, run: () => void): void {
    if (this.#alive) this.#schedule(delayUs, `${this.name} ${label}`, run, () => this.#alive);
  }

  /** Settles with what `action` gives later; never when the process dies first. */
  settleLater<Result>(delayUs: number, label: string, action: () => Result): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.later(delayUs, label, () => {
        try {
          resolve(action());
        } catch (error) {
          reject(error);
        }
      });
    });
  }

  #setTimer(delayMs: number, callback: () => void): Timer {
    let pending = true;
    const run = (): void => {
      pending = false;
      callback();
    };
    this.#schedule(Math.max(0, delayMs * 1000), `${this.name} timer`, run, () => pending && this.#alive);
    return {
      cancel: () => {
        pending = false;
      },
    };
  }
}
