/**
 * The record of one migration: when what happened, how much moved, how it ended. Times are of this host's monotonic clock.
 *
 * Terms of Bradford et al. (VEE 2007): `downtimeMs` is how long the guest stood still, here from its STOP until the destination's word that it runs, the way of
 * that word included; `additionalDisruptionMs` is the part of it that the disks took and memory alone would not; `migrationMs` ends when nothing depends on this
 * host any more. `disruptionMs` is from the first thing that slows the guest, which is the memory's copy, until it runs at the destination.
 */
import type { Clock, HostId } from '@diskswarm/core';
import type { MigrationMessage, SourceOutcome } from '@diskswarm/migration';
import type { ThrottleRecord } from './write-throttle.ts';

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

  /** How the guest's writes were slowed; asked whenever the record is. */
  throttle: () => ThrottleRecord | null = () => null;

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
    if (message.kind === 'running' || message.kind === 'finalReady') this.mark(message.kind);
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
    const between = (from: Mark, until: Mark): number | null =>
      this.#since(this.#marks.get(from) ?? null, this.#marks.get(until) ?? null);
    const downtimeMs = pause('running');
    const ofMemory = [between('stop', 'pre-switchover'), between('held', 'completed')];
    return {
      ...this.#subject,
      startedAt: this.#startedAt,
      ...this.#end,
      downtimeMs,
      disruptionMs: between('memory', 'running'),
      additionalDisruptionMs:
        downtimeMs === null || ofMemory.includes(null)
          ? null
          : Math.round((downtimeMs - ofMemory.reduce<number>((sum, ms) => sum + (ms ?? 0), 0)) * 10) / 10,
      rounds: this.#rounds.map(({ atUs, changedPieces, missingBytes }) => ({
        ...{ atMs: this.#since(this.#startedUs, atUs), changedPieces, missingBytes },
      })),
      throttle: this.throttle(),
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
