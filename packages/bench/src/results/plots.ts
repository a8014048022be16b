/** Which pictures a report has: their file names, where they belong, and their SVG. */
import type { RunManifest } from '../run/run-folder.ts';
import { barChart } from './charts/bars.ts';
import { faultTimesChart } from './charts/fault-times.ts';
import { gridOf, heatMap } from './charts/heat-map.ts';
import { movesChart } from './charts/moves.ts';
import { timelineChart } from './charts/timeline.ts';
import type { Measure, MeasureName } from './measures.ts';
import type { Cell } from './summary.ts';
import { measuresOf } from './summary.ts';
import { stepsOf } from './words.ts';

interface Plot {
  /** Without ending. */
  readonly file: string;
  readonly title: string;
  readonly svg: string;
}

/** Where waits for chunks have a picture of their own, these are in it. */
const PARTS_OF_A_FAULT: ReadonlySet<MeasureName> = new Set(['faultQueue', 'faultNetwork', 'faultVerify', 'faultStore']);

/** A heading with its pictures and the cells that its table has. */
export interface Section {
  readonly title: string;
  readonly cells: readonly Cell[];
  readonly plots: readonly Plot[];
  /** Its pictures are maps that show all of its many figures. */
  readonly isMap: boolean;
  /** What else is to be said of it. */
  readonly lines?: readonly string[];
}

/** One section per link; where links are all pairs of rates and round trips, one per workload, with maps. */
export function sectionsOf(manifest: RunManifest, cells: readonly Cell[]): readonly Section[] {
  const { links, workloads, systems } = manifest.experiment;
  const grid = gridOf(links);
  if (grid !== null) {
    return workloads.flatMap(({ label: workload }) => {
      const own = cells.filter((cell) => cell.workload === workload);
      const plots = measuresOf(own).flatMap((measure) =>
        plot(`${workload} ${measure.name}`, `${workload}: ${measure.title}`, heatMap(measure, own, grid, links)),
      );
      return own.length === 0 ? [] : [{ title: workload, cells: own, plots, isMap: true }];
    });
  }
  return links.flatMap(({ name: link }) => {
    const own = cells.filter((cell) => cell.link === link);
    const moves = workloads.flatMap(({ label: workload }) =>
      plot(
        `${link} ${workload} moves`,
        `${link}, ${workload}: bytes of each move`,
        movesChart(
          own.filter((cell) => cell.workload === workload),
          systems,
        ),
      ),
    );
    const lines = workloads.flatMap(({ label: workload }) =>
      plot(
        `${link} ${workload} over time`,
        `${link}, ${workload}: what the guest got done over time`,
        timelineChart(
          own.filter((cell) => cell.workload === workload),
          systems,
          stepsOf(manifest, workload),
        ),
      ),
    );
    const faults = plot(
      `${link} waits for chunks`,
      `${link}: how long a guest waits for a chunk, and where the time goes`,
      faultTimesChart(own, systems),
    );
    const shown = comparable(own).filter(({ name }) => faults.length === 0 || !PARTS_OF_A_FAULT.has(name));
    const bars = shown.flatMap((measure) =>
      plot(`${link} ${measure.name}`, `${link}: ${measure.title}`, barChart(measure, own, systems)),
    );
    const plots = [...moves, ...bars, ...faults, ...lines];
    return own.length === 0 ? [] : [{ title: link, cells: own, plots, isMap: false }];
  });
}

/** The figures that more than one system has. */
function comparable(cells: readonly Cell[]): readonly Measure[] {
  return measuresOf(cells).filter(({ name }) => {
    const having = cells.filter(({ spreads }) => spreads[name] !== undefined);
    return (
      new Set(having.map(({ system }) => system)).size > 1 || new Set(cells.map(({ system }) => system)).size === 1
    );
  });
}

/** None where there is no picture. */
export function plot(name: string, title: string, svg: string | null): Plot[] {
  const file = name
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-|-$/g, '');
  return svg === null ? [] : [{ file, title, svg }];
}
