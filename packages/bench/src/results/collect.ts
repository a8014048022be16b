/**
 * Reads the runs of a folder into figures, one run at a time, because the events of all of them may be large.
 *
 * Keeps the steps over time of each run in bins, for plots.
 */
import type { Experiment } from '../experiment/experiment.ts';
import { type FaultTimes, faultTimesOf } from '../run/fault-times.ts';
import { ENDS, figuresOf, type RunFigures } from '../run/result.ts';
import { type RoamMove, roamMoves } from '../run/roam-figures.ts';
import type { RunEvent, RunFolder } from '../run/run-folder.ts';
import { percentile } from '../statistics.ts';
import { MEMORY_ALONE } from '../systems/move-systems.ts';
import { WORKLOADS } from '../workloads/index.ts';
import type { MeasureName } from './measures.ts';
import { isApart } from './words.ts';

/** Of a timeline. */
const BIN_MS = 500;
/** What is shown before the command and after the end. */
const MARGIN_MS = 5000;
/** Two pixels of a chart each; more would only make reports large. */
const MAX_BINS = 300;

/** What a guest got done over time, and what happened when; seconds since the command. */
export interface Timeline {
  /** Steps (or bytes) per second in each bin, the first of which begins at `fromSeconds`. */
  readonly rates: readonly number[];
  readonly fromSeconds: number;
  readonly binSeconds: number;
  readonly endSeconds: number;
}

export interface RunResult {
  readonly number: number;
  readonly system: string;
  readonly link: string;
  readonly workload: string;
  readonly round: number;
  /** `over the limit` has figures up to the limit; `failed` has none. */
  readonly end: 'done' | 'over the limit' | 'failed';
  /** Why it failed. */
  readonly reason: string | null;
  /** Whether the content of the disk that arrived was compared. */
  readonly compared: boolean;
  /** How often it was begun anew, because its guest's kernel crashed. */
  readonly again: number;
  /** How much later than modelled the line brought packets, milliseconds: 99 % of the quarter seconds of the run; null where that was not recorded. */
  readonly lateMs: number | null;
  /** Of the machine, over the minute before it; null where that was not recorded. */
  readonly load: number | null;
  readonly figures: Readonly<Partial<Record<MeasureName, number | null>>>;
  readonly timeline: Timeline | null;
  /** Of hosts that wait for chunks; null where nobody does, or tells. */
  readonly faults: FaultTimes | null;
  /** Of a machine that goes back and forth. */
  readonly moves: readonly RoamMove[];
}

/** Every finished run, with the additional disruption where moving the memory alone was measured. */
export async function collectRuns(folder: RunFolder): Promise<readonly RunResult[]> {
  const results: RunResult[] = [];
  for await (const events of folder.runs()) results.push(resultOf(folder.manifest.experiment, events));
  return results.map((result) => ({
    ...result,
    figures: { ...result.figures, additional: additional(result, results) },
  }));
}

function resultOf(experiment: Experiment, events: readonly RunEvent[]): RunResult {
  const begin = events[0] as RunEvent;
  const place = {
    ...{ number: Number(begin.number), round: Number(begin.round), system: String(begin.system) },
    ...{ link: String(begin.link), workload: String(begin.workload) },
    compared: events.some(({ event }) => event === 'compared'),
    again: Number(events.findLast(({ event }) => event === 'again')?.crashes ?? 0),
    lateMs: latenessOf(events),
    load: typeof begin.load === 'number' ? begin.load : null,
  };
  const moved = events.find(({ event }) => ENDS.has(event));
  const broken = events.find(({ event }) => event === 'broken');
  if (moved === undefined || broken !== undefined) {
    return {
      ...place,
      end: 'failed',
      reason: String(broken?.reason),
      figures: {},
      timeline: null,
      faults: null,
      moves: [],
    };
  }
  const choice = experiment.workloads.find(({ label }) => label === place.workload);
  const steps = WORKLOADS.find(({ name }) => name === choice?.name)?.steps ?? [];
  const figures: RunFigures = figuresOf(events, steps);
  const end = moved.ended === true ? 'done' : 'over the limit';
  return {
    ...place,
    end,
    reason: null,
    figures: { ...figures },
    timeline: timelineOf(events, steps),
    faults: faultTimesOf(events),
    moves: roamMoves(events),
  };
}

function latenessOf(events: readonly RunEvent[]): number | null {
  const late = events.flatMap(({ event, lateMs }) => (event === 'line' && typeof lateMs === 'number' ? [lateMs] : []));
  return late.length === 0 ? null : percentile(late, 0.99);
}

function timelineOf(events: readonly RunEvent[], steps: readonly string[]): Timeline | null {
  if (!events.some(({ event }) => event === 'moved')) return null;
  const at = (name: string): number => events.find(({ event }) => event === name)?.atMs ?? Number.NaN;
  const [moveMs, endMs] = [at('move'), at('end')];
  const fromMs = Math.max(at('before'), moveMs - MARGIN_MS);
  const binMs = Math.max(BIN_MS, Math.ceil((endMs - fromMs) / MAX_BINS / BIN_MS) * BIN_MS);
  const kinds = steps.length === 0 ? ['tick'] : steps;
  const count = Math.ceil((endMs - fromMs) / binMs);
  if (!(count > 0)) return null;
  const rates = new Array<number>(count).fill(0);
  for (const { event, atMs, bytes } of events) {
    const bin = Math.floor((atMs - fromMs) / binMs);
    if (!kinds.includes(event) || bin < 0 || bin >= count) continue;
    rates[bin]! += (event === 'bytes' ? Number(bytes) : 1) / (binMs / 1000);
  }
  return {
    ...{ rates, fromSeconds: (fromMs - moveMs) / 1000, binSeconds: binMs / 1000 },
    endSeconds: (endMs - moveMs) / 1000,
  };
}

/** Whether nothing can be told of what it adds to a move of the memory alone. */
function isUnlike(system: string): boolean {
  return system === MEMORY_ALONE || isApart(system);
}

function additional(result: RunResult, all: readonly RunResult[]): number | null {
  if (isUnlike(result.system) || typeof result.figures.disruption !== 'number') return null;
  const alone = all.find(
    ({ system, end, link, workload, round }) =>
      system === MEMORY_ALONE &&
      end === 'done' &&
      link === result.link &&
      workload === result.workload &&
      round === result.round,
  )?.figures.disruption;
  return typeof alone === 'number' ? Math.max(0, result.figures.disruption - alone) : null;
}
