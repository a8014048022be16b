/**
 * The record of one migration: when what happened, how much moved, how it ended. Times are of this host's monotonic clock.
 *
 * Terms of Bradford et al. (VEE 2007): `downtimeMs` is how long the guest stood still, here from its STOP until the destination's word that it runs, the way of
 * that word included; `additionalDisruptionMs` is the part of it that the disks took and memory alone would not; `migrationMs` ends when nothing depends on this
 * host any more. `disruptionMs` is from the first thing that slows the guest, the memory's copy or its writes' delay, until it runs at the destination.
 *
 * Its size is bounded: of many rounds the first and the last are kept. What is written here is JSON that users keep: fields are only ever added.
 */
import type { Clock, HostId } from '@diskswarm/core';
import type { DiskMode, Forecast, MemoryMode, MigrationMessage, SourceOutcome } from '@diskswarm/migration';
import type { PackingTotals } from '@diskswarm/swarm';
import type { MemoryProgress } from './memory-progress.ts';
import type { Traffic } from './traffic.ts';
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

/** Rounds that a record shows: half of them the first, half the last. */
const MAX_RECORDED_ROUNDS = 64;
/** Words of a destination after the end that still count: it may have been telling as it ended. */
const LATE_FIGURES = 3;

/** What was moved where. */
interface Subject {
  readonly migration: string;
  readonly vm: string;
  readonly to: HostId;
  readonly diskMode: DiskMode;
  readonly memoryMode: MemoryMode;
  readonly compress: boolean;
  /** Known defects of QEMU that may harm the guest. */
  readonly warnings: readonly string[];
}

interface Round {
  readonly round: number;
  readonly atUs: number;
  readonly changedPieces: number;
  missingBytes: number | null;
}

/** Where the record's figures come from, besides what it is told. */
export interface ReportSources {
  readonly traffic: Traffic;
  readonly memory: MemoryProgress;
}

export class MigrationReport {
  readonly #clock: Clock;
  readonly #subject: Subject;
  readonly #sources: ReportSources;
  readonly #startedUs: number;
  readonly #startedAt: string;
  readonly #marks = new Map<Mark, number>();
  readonly #rounds: Round[] = [];
  #roundsTotal = 0;
  #plan: { readonly forecast: Forecast; readonly memoryInUseBytes: number } | null = null;
  #late = 0;
  #end: Readonly<Record<string, unknown>> = { result: 'running' };
  #ended: { readonly memoryBytes: number; readonly diskBytes: number } | null = null;

  constructor(clock: Clock, subject: Subject, sources: ReportSources) {
    this.#clock = clock;
    this.#sources = sources;
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

  /** What it was expected to take, as of its start; `memoryInUseBytes` of the guest. */
  planned(forecast: Forecast, memoryInUseBytes: number): void {
    this.#plan ??= { forecast, memoryInUseBytes };
  }

  /** A round was sealed: how many pieces differ from the one before. */
  sealed(changedPieces: number): void {
    const round = ++this.#roundsTotal;
    this.#rounds.push({ round, atUs: this.#clock.nowUs(), changedPieces, missingBytes: null });
    if (this.#rounds.length > MAX_RECORDED_ROUNDS) this.#rounds.splice(MAX_RECORDED_ROUNDS / 2, 1);
  }

  /** What the destination says; the first word of a round is what that round had to bring. */
  heard(message: MigrationMessage): void {
    if (message.kind === 'running' || message.kind === 'finalReady') this.mark(message.kind);
    if (message.kind === 'statistics') this.#sources.traffic.heard(message);
    if (message.kind !== 'progress' || !message.known) return;
    const round = this.#rounds.findLast((each) => each.round === message.round);
    if (round !== undefined) round.missingBytes ??= message.missingBytes;
  }

  /** True for the destination's last figures, where receipts said before that all is there: the record is to be noted again. A few times at most. */
  heardLate(message: MigrationMessage): boolean {
    if (message.kind !== 'statistics' || this.#ended === null) return false;
    return ++this.#late <= LATE_FIGURES;
  }

  end(outcome: SourceOutcome, measured: { memoryBytes: number; diskBytes: number } & PackingTotals): void {
    const migrationMs = this.#since(this.#startedUs, this.#clock.nowUs());
    const endedAt = new Date(this.#clock.wallMs()).toISOString();
    const free = outcome.result === 'done' ? { freeAtMs: migrationMs, freeAt: endedAt } : {};
    const deltas = { ...measured.deltas, perSecond: perSecond(measured.deltas.count, migrationMs) };
    this.#end = { ...outcome, ...measured, deltas, migrationMs, endedAt, ...free };
    this.#ended = measured;
  }

  /** Since it began, until it ended. */
  get elapsedMs(): number {
    const { migrationMs } = this.#end;
    return typeof migrationMs === 'number' ? migrationMs : this.#since(this.#startedUs, this.#clock.nowUs())!;
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
      plan: this.#plan?.forecast ?? null,
      ...this.#comparison(downtimeMs),
      downtimeMs,
      disruptionMs: this.#disruptionMs(at('memory'), at('running')),
      additionalDisruptionMs:
        downtimeMs === null || ofMemory.includes(null)
          ? null
          : Math.round((downtimeMs - ofMemory.reduce<number>((sum, ms) => sum + (ms ?? 0), 0)) * 10) / 10,
      roundsTotal: this.#roundsTotal,
      rounds: this.#rounds.map(({ round, atUs, changedPieces, missingBytes }) => ({
        ...{ round, atMs: this.#since(this.#startedUs, atUs), changedPieces, missingBytes },
      })),
      ...this.#toldOfMemory(),
      ...this.#toldByDestination(),
      throttle: this.throttle(),
      memoryAtMs: at('memory'),
      stopAtMs: at('stop'),
      runningAtMs: at('running'),
      stopToRunningMs: pause('running'),
      drainMs: between('pre-switchover', 'held'),
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

  /** How right the plan was: what came of it over what was expected; null where there was no expectation. */
  #comparison(downtimeMs: number | null): Readonly<Record<string, unknown>> {
    if (this.#ended === null || this.#end.result !== 'done' || this.#plan === null) return { accuracy: null };
    const { forecast, memoryInUseBytes } = this.#plan;
    const { memoryBytes, diskBytes } = this.#ended;
    return {
      accuracy: {
        bytes: over(memoryBytes + diskBytes, forecast.bytesToSend.total),
        time: over(this.#end.migrationMs, forecast.expectedMs),
        pause: over(downtimeMs, forecast.expectedPauseMs),
      },
      memoryRatio: over(memoryBytes, memoryInUseBytes),
    };
  }

  #disruptionMs(memoryAtMs: number | null, runningAtMs: number | null): number | null {
    if (memoryAtMs === null || runningAtMs === null) return null;
    const slowedAtMs = Math.min(memoryAtMs, this.throttle()?.startedMs ?? memoryAtMs);
    return Math.round((runningAtMs - slowedAtMs) * 10) / 10;
  }

  #toldOfMemory(): Readonly<Record<string, unknown>> {
    const { state, mostThrottledPercent } = this.#sources.memory;
    return { memoryPasses: state?.passes ?? null, memoryPagesAsked: state?.pagesAsked ?? null, mostThrottledPercent };
  }

  /** Null where the destination is of a version that tells nothing. */
  #toldByDestination(): Readonly<Record<string, unknown>> {
    const { statistics } = this.#sources.traffic;
    return { bytesBySource: statistics?.sources ?? null, faults: statistics?.faults ?? null };
  }

  #since(fromUs: number | null, untilUs: number | null): number | null {
    if (fromUs === null || untilUs === null) return null;
    return Math.round((untilUs - fromUs) / 100) / 10;
  }
}

/** To two digits behind the point; 0 for no time. */
function perSecond(count: number, ms: number | null): number {
  return ms === null || ms <= 0 ? 0 : Math.round((count * 1e5) / ms) / 100;
}

/** The ratio of two numbers, to two digits behind the point; null without both. */
function over(actual: unknown, expected: number | null): number | null {
  if (typeof actual !== 'number' || expected === null || expected <= 0) return null;
  return Math.round((actual / expected) * 100) / 100;
}

/** The record of a migration that the agent did not see the end of, saying so; null when `text` is no such record. */
export function withoutEnd(text: string): string | null {
  try {
    const record = JSON.parse(text) as Record<string, unknown>;
    if (record.result !== 'running') return null;
    const message = 'the agent of this host ended meanwhile; the state of the machine says what became of it';
    return JSON.stringify({ ...record, result: 'unknown', message });
  } catch {
    return null; // None yet.
  }
}
