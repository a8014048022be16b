/**
 * This report against an earlier one, cell by cell: what got worse, what got better, and what of it cannot be held against each other.
 *
 * A median counts as changed when it is more than a tenth off and both ranges lie apart, so that a shared machine's noise is no
 * regression. With a single round on either side nothing but the tenth is known, and that is said. A system that fails more often, or
 * does not end within the limit more often, got worse whatever the figures of its other runs are. Cells whose guest, link or workload
 * is another one under the same name are not compared.
 */
import type { Experiment } from '../experiment/experiment.ts';
import type { RunManifest } from '../run/run-folder.ts';
import type { Measure } from './measures.ts';
import type { Cell, Spread } from './summary.ts';
import { measuresOf } from './summary.ts';

const NOTICED_SHARE = 0.1;

export interface Change {
  readonly cell: Cell;
  readonly measure: Measure;
  readonly before: Spread;
  readonly now: Spread;
  readonly verdict: 'regression' | 'improvement';
  /** A single round on either side. */
  readonly uncertain: boolean;
}

/** What a report is made of, and what it is of. */
export interface Reported {
  readonly manifest: RunManifest;
  readonly cells: readonly Cell[];
}

export interface Comparison {
  /** Regressions first. */
  readonly changes: readonly Change[];
  /** What a reader has to know before believing them. */
  readonly caveats: readonly string[];
  /** Cells that both have under the same conditions. */
  readonly cells: number;
}

const UNFINISHED: Measure = {
  ...{ name: 'unfinished', title: 'runs that failed or took longer than the limit', unit: '%', better: 'lower' },
  about: 'of all runs',
};

export function compareReports(now: Reported, before: Reported): Comparison {
  const pairs = now.cells.flatMap((cell) => {
    const other = before.cells.find((each) => isSamePlace(each, cell));
    return other === undefined ? [] : [{ cell, other }];
  });
  const alike = pairs.filter(({ cell }) => isAlike(cell, now.manifest.experiment, before.manifest.experiment));
  const figures = alike.flatMap(({ cell, other }) =>
    measuresOf([cell]).flatMap(({ name }) => {
      const [one, two] = [cell.spreads[name], other.spreads[name]];
      return one === undefined || two === undefined ? [] : [apartByChance(one.n, two.n)];
    }),
  );
  const changes = alike.flatMap(({ cell, other }) => [
    ...unfinishedChange(cell, other),
    ...measuresOf([cell]).flatMap((measure) => changeOf(cell, other, measure) ?? []),
  ]);
  const rank = ({ verdict }: Change): number => (verdict === 'regression' ? 0 : 1);
  const chance = figures.reduce((sum, share) => sum + share, 0);
  return {
    changes: changes.sort((left, right) => rank(left) - rank(right)),
    caveats: [
      ...differences(now.manifest, before.manifest),
      ...lost(now.cells, before.cells, pairs.length - alike.length),
      `${figures.length} figures of ${alike.length} cells were compared. Were nothing different, the ranges of up to ${Math.ceil(chance)} of them would lie apart by chance.`,
    ],
    cells: alike.length,
  };
}

function changeOf(cell: Cell, other: Cell, measure: Measure): Change | null {
  const [now, before] = [cell.spreads[measure.name], other.spreads[measure.name]];
  if (now === undefined || before === undefined) return null;
  const apart = now.lowest > before.highest || now.highest < before.lowest;
  if (!apart || Math.abs(now.median - before.median) <= NOTICED_SHARE * Math.abs(before.median)) return null;
  const worse = measure.better === 'lower' ? now.median > before.median : now.median < before.median;
  return {
    ...{ cell, measure, before, now, verdict: worse ? 'regression' : 'improvement' },
    uncertain: now.n === 1 || before.n === 1,
  };
}

function unfinishedChange(cell: Cell, other: Cell): Change[] {
  const share = ({ runs, failed, overLimit }: Cell): Spread => {
    const percent = (100 * (failed + overLimit)) / runs;
    return { n: runs, median: percent, lowest: percent, highest: percent };
  };
  const [now, before] = [share(cell), share(other)];
  if (now.median === before.median) return [];
  const verdict = now.median > before.median ? 'regression' : 'improvement';
  return [{ cell, measure: UNFINISHED, before, now, verdict, uncertain: now.n === 1 || before.n === 1 }];
}

function isSamePlace(left: Cell, right: Cell): boolean {
  return left.link === right.link && left.workload === right.workload && left.system === right.system;
}

/** Whether the conditions behind a cell's names are the same in both experiments. */
function isAlike({ link, workload }: Cell, one: Experiment, other: Experiment): boolean {
  const conditions = ({ guest, links, workloads, smoke, traces }: Experiment): string => {
    const choice = workloads.find(({ label }) => label === workload);
    const trace = choice?.trace === undefined ? null : (traces?.[choice.trace] ?? null);
    return JSON.stringify([guest, smoke, links.find(({ name }) => name === link), choice, trace]);
  };
  return conditions(one) === conditions(other);
}

/** How likely the ranges of so many rounds each lie apart when nothing is different. */
function apartByChance(one: number, other: number): number {
  let orders = 1;
  for (let index = 1; index <= one; index++) orders = (orders * (other + index)) / index;
  return Math.min(1, 2 / orders);
}

function differences(now: RunManifest, before: RunManifest): string[] {
  const versions = [...new Set([...Object.keys(before.versions), ...Object.keys(now.versions)])]
    .filter((name) => before.versions[name] !== now.versions[name])
    .map((name) => `${name} ${before.versions[name] ?? 'not noted'} before, ${now.versions[name] ?? 'not noted'} now`);
  const [old, own] = [before.experiment, now.experiment];
  return [
    ...(before.machine === now.machine
      ? []
      : [
          `Another machine: figures that depend on it do not tell of diskswarm. Before: ${before.machine}. Now: ${now.machine}.`,
        ]),
    ...(old.seed === own.seed
      ? []
      : [`Another seed, so other steps of the workloads: ${old.seed} before, ${own.seed} now.`]),
    ...(old.limitSeconds === own.limitSeconds
      ? []
      : [`Another limit: ${old.limitSeconds} s before, ${own.limitSeconds} s now.`]),
    ...(versions.length === 0 ? [] : [`Other versions: ${versions.join('; ')}.`]),
  ];
}

function lost(now: readonly Cell[], before: readonly Cell[], unlike: number): string[] {
  const missing = before.filter((cell) => !now.some((other) => isSamePlace(cell, other)));
  const names = missing.slice(0, 5).map(({ system, link, workload }) => `${system}, ${link}, ${workload}`);
  const more = missing.length > names.length ? ` and ${missing.length - names.length} more` : '';
  return [
    ...(missing.length === 0 ? [] : [`Not in these runs: ${names.join('; ')}${more}.`]),
    ...(unlike === 0
      ? []
      : [
          `${unlike} cells have the same names and another guest, link or workload behind them, and were not compared.`,
        ]),
  ];
}
