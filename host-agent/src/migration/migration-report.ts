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
  readonly #rounds: { atUs: number; changedPieces: number; missingBytes: number | null }[] = [];
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

  /** A round was sealed: how many pieces differ from the one before. */
  sealed(changedPieces: number): void {
    this.#rounds.push({ atUs: this.#clock.nowUs(), changedPieces, missingBytes: null });
  }

  /** What the destination says; the first word of a round is what that round had to bring. */
  heard(message: MigrationMessage): void {
    if (message.kind === 'running') this.mark('running');
    if (message.kind !== 'progress' || !message.known) return;
    const round = this.#rounds[message.round - 1];
    if (round !== undefined) round.missingBytes ??= message.missingBytes;
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
      rounds: this.#rounds.map(({ atUs, changedPieces, missingBytes }) => ({
        ...{ atMs: this.#since(this.#startedUs, atUs), changedPieces, missingBytes },
      })),
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
