/**
 * Markdown of an experiment whose report is kept in docs/results/NAME: what it shows, its most telling figures, where the rest is.
 *
 * A sweep has the corners of its maps here; all cells, with their ranges, are in the report.
 */

import { cornersOf } from '../results/charts/heat-map.ts';
import { amount } from '../results/charts/svg.ts';
import { MEASURES, type MeasureName } from '../results/measures.ts';
import type { Cell } from '../results/summary.ts';
import { runsText } from '../results/words.ts';
import type { RunManifest } from '../run/run-folder.ts';

const NOBODY_WROTE = 'nobody has written down what it shows yet';
/** Those of MEASURES that a reader looks for first. */
const TELLING: readonly MeasureName[] = [
  ...(['login', 'lastLogin', 'whole', 'total', 'downtime', 'disruption', 'additional', 'bytes', 'work'] as const),
  ...(['stalled', 'connectedWork', 'resync', 'resyncBytes', 'missRate', 'faultMedian', 'faultTail'] as const),
];

/** What is kept of an experiment. */
export interface KeptExperiment {
  /** Of its folder. */
  readonly name: string;
  readonly manifest: RunManifest;
  readonly cells: readonly Cell[];
  /** What a person wrote; empty when nobody did. */
  readonly shows: string;
}

export function experimentSection({ name, manifest, cells, shows }: KeptExperiment): string {
  const { experiment, startedAt, machine } = manifest;
  const folder = `results/${name}`;
  const corners = cornersOf(experiment.links);
  const shown = corners === null ? cells : cells.filter(({ link }) => corners.includes(link));
  const measures = MEASURES.filter(
    ({ name: measure }) => TELLING.includes(measure) && shown.some(({ spreads }) => spreads[measure] !== undefined),
  );
  const row = (fields: readonly string[]): string =>
    `| ${fields.map((field) => field.replaceAll('|', '\\|')).join(' | ')} |`;
  return [
    `### ${name}`,
    '',
    `${experiment.title}.`,
    '',
    shows === '' ? `(${NOBODY_WROTE}: ${folder}/shows.md)` : shows,
    '',
    `\`diskswarm bench run ${name}\`, ${startedAt.slice(0, 16).replace('T', ' ')} UTC, seed ${experiment.seed}, ${experiment.runs} of each system in each place, on ${machine}.`,
    `Report: [with plots](${folder}/report.md), [as one page](${folder}/report.html), [every run](${folder}/runs.csv).${corners === null ? '' : ' Here are the corners of its maps.'}`,
    '',
    row(['link', 'workload', 'system', 'runs', ...measures.map(({ title }) => title)]),
    row(['---', '---', '---', '---', ...measures.map(() => '---')]),
    ...shown.map((cell) =>
      row([
        ...[cell.link, cell.workload, cell.system, runsText(cell)],
        ...measures.map(({ name: measure, unit }) => {
          const middle = cell.spreads[measure]?.median;
          return middle === undefined ? '–' : `${amount(middle)} ${unit}`.trimEnd();
        }),
      ]),
    ),
    '',
  ].join('\n');
}
