/** What reports say in words, the same in HTML and Markdown: the facts of a folder of runs, notes, the text of a figure. */
import type { Direction, Experiment, LinkChoice, WorkloadChoice } from '../experiment/experiment.ts';
import { repeatedBy } from '../run/load-experiment.ts';
import type { RunManifest } from '../run/run-folder.ts';
import { median } from '../statistics.ts';
import { SYSTEMS } from '../systems/index.ts';
import { WORKLOADS } from '../workloads/index.ts';
import { amount } from './charts/svg.ts';
import type { RunResult } from './collect.ts';
import type { Change } from './compare.ts';
import type { Measure, MeasureName } from './measures.ts';
import { kindOf } from './notes.ts';
import type { Cell, Spread } from './summary.ts';

/** Figures that depend on how much of a disk is brought. */
const WHOLE: readonly MeasureName[] = ['total', 'bytes'];

/** What a reader needs to judge and repeat the runs: name and text. */
export function factsOf(
  { experiment, startedAt, machine, versions, resumed = [] }: RunManifest,
  results: readonly RunResult[],
): [string, string][] {
  const { guest, seed, runs, limitSeconds } = experiment;
  const roams = kindOf(experiment) === 'roam';
  const planned = experiment.systems.length * experiment.links.length * experiment.workloads.length * runs;
  const failed = results.filter(({ end }) => end === 'failed').length;
  const over = results.filter(({ end }) => end === 'over the limit').length;
  const again = results.reduce((sum, result) => sum + result.again, 0);
  const anew = again === 0 ? '' : `, ${again} begun anew because the guest's kernel had crashed`;
  return [
    [
      'Runs',
      `${results.length} of ${planned} (${runs} of each system in each place), ${failed} failed, ${over} over the limit of ${limitSeconds} s${anew}`,
    ],
    [
      'Repeat it',
      `diskswarm bench run ${repeatedBy(experiment)} --runs ${runs} --seed ${seed}${experiment.smoke ? ' --smoke' : ''}`,
    ],
    ['Seed', String(seed)],
    ['Links', experiment.links.map(linkText).join('; ')],
    [
      roams ? 'Disk' : 'Guest',
      `${roams ? '' : `${guest.memoryMib} MiB of memory, `}${guest.diskMib} MiB of disk, ${guest.contentMib} MiB of it content that no compressor gains on`,
    ],
    ...latenessOf(results),
    ...loadOf(results),
    ['Begun', `${startedAt.slice(0, 16).replace('T', ' ')} UTC`],
    ['Machine', machine],
    ['Versions', versionsText(versions)],
    ...resumed.map((later): [string, string] => [
      `From run ${later.firstRun} on`,
      `${later.machine === machine ? 'the same machine' : `another machine: ${later.machine}`}; ${versionsText(later.versions)}`,
    ]),
    ...(experiment.smoke
      ? [['Size', 'a small run: it shows that everything works, its times mean nothing'] as [string, string]]
      : []),
  ];
}

/** Name and version of each. */
export function versionsText(versions: Readonly<Record<string, string>>): string {
  const all = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  return all.join(', ');
}

/** `12.3 s (11 to 14)`, and of how many where not all `runs` have the figure. */
export function spreadText(spread: Spread | undefined, { unit }: Measure, runs = spread?.n): string {
  if (spread === undefined) return '–';
  const middle = `${amount(spread.median)}${unit === '' ? '' : ` ${unit}`}`;
  const range = spread.n === 1 ? middle : `${middle} (${amount(spread.lowest)} to ${amount(spread.highest)})`;
  return spread.n === runs ? range : `${range}, n = ${spread.n}`;
}

/** The name of a system, with the mark of those that are not to be compared like others. */
export function systemText(system: string): string {
  return isApart(system) ? `${system} †` : system;
}

/** Whether a figure of this cell is the best of those beside it: nothing was left out in it, and it can be compared with them. */
export function isBest({ name, better }: Measure, cell: Cell, beside: readonly Cell[]): boolean {
  if (WHOLE.includes(name) && isMixed(beside)) return false;
  const medians = beside.filter(canBeBest).flatMap(({ spreads }) => spreads[name]?.median ?? []);
  const best = better === 'lower' ? Math.min(...medians) : Math.max(...medians);
  return canBeBest(cell) && cell.spreads[name]?.median === best && medians.some((median) => median !== best);
}

/** False for who brings a part of a disk, in figures that are of all of it, beside those that bring all. */
export function competes({ name }: Measure, system: string, beside: readonly Cell[]): boolean {
  return !WHOLE.includes(name) || !isPartial(system) || !isMixed(beside);
}

/** Whether some bring all of a disk and others a part of it: these do not compete in figures that are of all of it. */
function isMixed(cells: readonly Cell[]): boolean {
  return new Set(cells.map(({ system }) => isPartial(system))).size > 1;
}

/** Whether a system brings what a guest touches and never the rest. */
export function isPartial(system: string): boolean {
  return SYSTEMS.some(({ name, partial }) => name === system && partial === true);
}

/** One reading of what comes out otherwise each time is no measurement. */
function canBeBest({ system, runs, exact = false, failed, overLimit }: Cell): boolean {
  const reference = SYSTEMS.some(({ name, reference }) => name === system && reference === true);
  return (exact || runs > 1) && failed + overLimit === 0 && !reference && !isApart(system);
}

/** Whether a system cannot be measured under the conditions of others. */
export function isApart(system: string): boolean {
  return SYSTEMS.some(({ name, apart }) => name === system && apart === true);
}

/** `3`, or how many of them did not come to a result. */
export function runsText({ runs, failed, overLimit }: Cell): string {
  const parts = [failed > 0 ? `${failed} failed` : '', overLimit > 0 ? `${overLimit} over the limit` : ''].filter(
    Boolean,
  );
  return parts.length === 0 ? String(runs) : `${runs} (${parts.join(', ')})`;
}

/** One line about a change. */
export function changeText({ cell, measure, before, now, uncertain }: Change): string {
  const place = `${cell.system}, ${cell.link}, ${cell.workload}`;
  const doubt = uncertain ? '; a single round on one side' : '';
  return `${measure.title}: ${spreadText(before, measure)} before, ${spreadText(now, measure)} now (${place}${doubt})`;
}

/** The systems and workloads of an experiment, explained: name and text. */
export function legendOf({ systems, workloads }: Experiment): Record<'systems' | 'workloads', [string, string][]> {
  return {
    systems: SYSTEMS.flatMap(({ name, about }) => (systems.includes(name) ? [[systemText(name), about]] : [])),
    workloads: WORKLOADS.flatMap(({ name, about }) => {
      const own = workloads.filter((workload) => workload.name === name);
      return own.length === 0 ? [] : [[name, `${about}. Here: ${own.map(workloadText).join('; ')}`]];
    }),
  };
}

/** `boot of 2 hosts (hosts 2, holders 0)`. */
function workloadText({ label, settings, trace }: WorkloadChoice): string {
  const chosen = [...Object.entries(settings), ...(trace === undefined ? [] : [['trace', trace]])];
  return chosen.length === 0 ? label : `${label} (${chosen.map((each) => each.join(' ')).join(', ')})`;
}

/** `home: 20 Mbit/s there and 100 Mbit/s back, round trip 30 ms`. */
function linkText({ name, there, back }: LinkChoice): string {
  const rate = ({ bitsPerSecond }: Direction): string => `${amount(bitsPerSecond / 1e6)} Mbit/s`;
  const delay = ({ delayMs }: Direction): string => `${amount(delayMs)} ms`;
  const loss = ({ lossShare }: Direction): string => `${amount(100 * lossShare)} %`;
  const both = (of: (way: Direction) => string): string =>
    of(there) === of(back) ? of(there) : `${of(there)} there and ${of(back)} back`;
  const losses = there.lossShare + back.lossShare === 0 ? '' : `, loss ${both(loss)}`;
  return `${name}: ${both(rate)}, one way ${both(delay)}${losses}`;
}

/** The unit of a workload's steps, by the label that an experiment gave it. */
export function stepsOf({ experiment }: RunManifest, label: string): string {
  const name = experiment.workloads.find((workload) => workload.label === label)?.name;
  return WORKLOADS.find((workload) => workload.name === name)?.unit ?? '';
}

/** Whether the machine was quick enough for the line that it models. */
function latenessOf(results: readonly RunResult[]): [string, string][] {
  const late = results.flatMap(({ lateMs }) => lateMs ?? []);
  if (late.length === 0) return [];
  const most = amount(Math.max(...late));
  return [
    [
      'Line kept to',
      `${amount(median(late))} ms (how late packets came: of each run 99 % of its quarter seconds, median of the runs; the highest is ${most} ms)`,
    ],
  ];
}

/** What else the machine did. */
function loadOf(results: readonly RunResult[]): [string, string][] {
  const loads = results.flatMap(({ load }) => load ?? []);
  if (loads.length === 0) return [];
  const most = amount(Math.max(...loads));
  return [['Load', `${amount(median(loads))} in the minute before a run (median; the highest is ${most})`]];
}

/** Runs without a result, and those that were begun anew, and why. */
export function failuresOf(results: readonly RunResult[]): string[] {
  return results.flatMap(({ number, system, link, workload, end, reason, again }) => {
    const run = `run ${number} (${system}, ${link}, ${workload})`;
    return [
      ...(end === 'failed' ? [`${run} failed: ${(reason ?? '').slice(0, 300)}`] : []),
      ...(again > 0
        ? [`${run} was begun anew ${again} ${again === 1 ? 'time' : 'times'}: the guest's kernel had crashed`]
        : []),
    ];
  });
}
