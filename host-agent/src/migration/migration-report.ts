/**
 * The record of one migration: when what happened, how much moved, how it ended. Times are of this host's monotonic clock.
 *
 * `downtimeMs` and `stopToRunningMs` run from the guest's STOP here until the destination's word that it runs, which includes the way of that word.
 */
import type { Clock, HostId } from '@diskswarm/core';
import type { MigrationMessage, SourceOutcome } from '@diskswarm/migration';

type Mark =
  | 'memory'
  | 'stop'
  | 'pre-switchover'
  | 'held'
  | 'sealed'
  | 'finalReady'
  | 'completed'
  | 'relinquish'
  | 'accepted'
  | 'running';

export class MigrationReport {
  readonly #clock: Clock;
  readonly #subject: { readonly migration: string; readonly vm: string; readonly to: HostId };
  readonly #startedUs: number;
  readonly #startedAt: string;
  readonly #marks = new Map<Mark, number>();
  readonly #roundsUs: number[] = [];
  #end: Readonly<Record<string, unknown>> = { result: 'running' };

  constructor(clock: Clock, subject: { migration: string; vm: string; to: HostId }) {
    this.#clock = clock;
    this.#subject = subject;
    this.#startedUs = clock.nowUs();
    this.#startedAt = new Date(clock.wallMs()).toISOString();
  }

  /** Notes a moment, the first time it comes. */
  mark(what: Mark): void {
    if (!this.#marks.has(what)) this.#marks.set(what, this.#clock.nowUs());
  }

  said(message: MigrationMessage): void {
    if (message.kind === 'round') this.#roundsUs.push(this.#clock.nowUs());
  }

  end(outcome: SourceOutcome, measured: { memoryBytes: number; diskBytes: number }): void {
    this.#end = { ...outcome, ...measured, migrationMs: this.#since(this.#startedUs, this.#clock.nowUs()) };
  }

  /** What is known now. */
  get value(): Readonly<Record<string, unknown>> {
    const at = (mark: Mark): number | null => this.#since(this.#startedUs, this.#marks.get(mark) ?? null);
    const pause = (mark: Mark): number | null =>
      this.#since(this.#marks.get('stop') ?? null, this.#marks.get(mark) ?? null);
    return {
      ...this.#subject,
      startedAt: this.#startedAt,
      ...this.#end,
      rounds: this.#roundsUs.length,
      roundsAtMs: this.#roundsUs.map((us) => this.#since(this.#startedUs, us)),
      memoryAtMs: at('memory'),
      stopAtMs: at('stop'),
      runningAtMs: at('running'),
      stopToRunningMs: pause('running'),
      pauseMs: {
        preSwitchover: pause('pre-switchover'),
        held: pause('held'),
        sealed: pause('sealed'),
        finalReady: pause('finalReady'),
        completed: pause('completed'),
        relinquish: pause('relinquish'),
        accepted: pause('accepted'),
        running: pause('running'),
      },
    };
  }

  get text(): string {
    return JSON.stringify(this.value);
  }

  #since(fromUs: number | null, untilUs: number | null): number | null {
    if (fromUs === null || untilUs === null) return null;
    return Math.round((untilUs - fromUs) / 100) / 10;
  }
}
