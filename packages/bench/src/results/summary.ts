/** What all rounds of one system in one place come to: n, median, lowest and highest, for each figure. */
import type { Experiment } from '../experiment/experiment.ts';
import { type FaultTimes, middleOf } from '../run/fault-times.ts';
import type { RoamMove } from '../run/roam-figures.ts';
import { median } from '../statistics.ts';
import type { RunResult, Timeline } from './collect.ts';
import { MEASURES, type Measure, type MeasureName } from './measures.ts';

/** One figure over the rounds. */
export interface Spread {
  readonly n: number;
  readonly median: number;
  readonly lowest: number;
  readonly highest: number;
}

/** One system in one place. */
export interface Cell {
  readonly system: string;
  readonly link: string;
  readonly workload: string;
  readonly runs: number;
  readonly failed: number;
  readonly overLimit: number;
  readonly spreads: Readonly<Partial<Record<MeasureName, Spread>>>;
  /** Of a model, which comes to the same each time. */
  readonly exact?: boolean;
  /** Of the round in the middle. */
  readonly timeline: Timeline | null;
  /** Percentile by percentile the median of the rounds; null where nobody waits for chunks, or tells, and absent in what earlier versions kept. */
  readonly faults?: FaultTimes | null;
  /** Of the same round; none of what does not go back and forth. */
  readonly moves: readonly RoamMove[];
}

/** Cells in the order of the experiment: link, workload, system. Places without a finished run are left out. */
export function summarise({ links, workloads, systems }: Experiment, results: readonly RunResult[]): readonly Cell[] {
  return links.flatMap(({ name: link }) =>
    workloads.flatMap(({ label: workload }) =>
      systems.flatMap((system) => {
        const own = results.filter(
          (result) => result.link === link && result.workload === workload && result.system === system,
        );
        return own.length === 0 ? [] : [cellOf({ link, workload, system }, own)];
      }),
    ),
  );
}

function cellOf(place: Pick<Cell, 'link' | 'workload' | 'system'>, runs: readonly RunResult[]): Cell {
  const spreads: Partial<Record<MeasureName, Spread>> = {};
  for (const { name } of MEASURES) {
    const values = runs.flatMap(({ figures }) => figures[name] ?? []).filter(Number.isFinite);
    if (values.length > 0) {
      const [lowest, highest] = [Math.min(...values), Math.max(...values)];
      spreads[name] = { n: values.length, median: median(values), lowest, highest };
    }
  }
  const shown = runs.filter(({ timeline, moves }) => timeline !== null || moves.length > 0);
  shown.sort((left, right) => (left.figures.total ?? 0) - (right.figures.total ?? 0));
  const middle = shown[shown.length >> 1];
  return {
    ...place,
    runs: runs.length,
    failed: runs.filter(({ end }) => end === 'failed').length,
    overLimit: runs.filter(({ end }) => end === 'over the limit').length,
    spreads,
    timeline: middle?.timeline ?? null,
    faults: middleOf(runs.flatMap(({ faults }) => faults ?? [])),
    moves: middle?.moves ?? [],
  };
}

/** The figures that any of these cells has. */
export function measuresOf(cells: readonly Cell[]): readonly Measure[] {
  return MEASURES.filter(({ name }) => cells.some(({ spreads }) => spreads[name] !== undefined));
}
