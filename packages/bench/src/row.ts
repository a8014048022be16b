/**
 * What a benchmark is: a row of the table of figures, with its targets, its peers and how to run it.
 *
 * A row measures and checks content; it never judges: verdicts come from comparing its figures with the targets here.
 */
import { median, ratios, spread } from './statistics.ts';

/** One subject's measured values, one per round. */
export interface Series {
  /** Who was measured: `diskswarm`, `nbdkit file`. */
  readonly subject: string;
  /** What of it: `4 KiB random reads, depth 32`. */
  readonly measure: string;
  readonly unit: string;
  readonly values: readonly number[];
}

/** What a figure should reach. */
export interface Target {
  readonly kind: 'at least' | 'at most';
  readonly value: number;
}

/** One line of the summary: a ratio or an amount, and its target where there is one. */
export interface Figure {
  readonly label: string;
  readonly value: number;
  readonly unit: string;
  /** Lowest and highest round; null for a single measurement. */
  readonly range: readonly [number, number] | null;
  readonly rounds: number;
  /** null: to be stated only. */
  readonly target: Target | null;
}

/** What a row found. */
export interface RowResult {
  readonly series: readonly Series[];
  readonly figures: readonly Figure[];
  /** What was compared by content, in words. */
  readonly checks: readonly string[];
  /** How to read the figures; what is modelled says so here. */
  readonly notes: readonly string[];
}

/** What a row is given. */
interface RowContext {
  /** A folder of its own, removed afterwards. */
  readonly folder: string;
  /** Small and quick: results are checked, times mean nothing. */
  readonly smoke: boolean;
  readonly rounds: number;
  readonly log: (message: string) => void;
}

export interface Row {
  readonly name: string;
  readonly title: string;
  /** The line of the issue's table, in short. */
  readonly target: string;
  /** Programs it needs besides our own. */
  readonly programs: readonly string[];
  readonly needsRoot: boolean;
  /** Rounds unless told otherwise. */
  readonly rounds: number;
  run(context: RowContext): Promise<RowResult>;
}

/** The ratio of two series, round by round, and its median. */
export function ratioFigure(label: string, numerator: Series, denominator: Series, target: Target | null): Figure {
  return valueFigure(label, 'x', ratios(numerator.values, denominator.values), target);
}

/** The median of some values. */
export function valueFigure(label: string, unit: string, values: readonly number[], target: Target | null): Figure {
  const range = values.length > 1 ? ([Math.min(...values), Math.max(...values)] as const) : null;
  return { label, unit, value: median(values), range, rounds: values.length, target };
}

/** Whether the target is reached; null when there is none. */
export function reached({ value, target }: Figure): boolean | null {
  if (target === null) return null;
  return target.kind === 'at least' ? value >= target.value : value <= target.value;
}

/** The median of a series with its spread, as text. */
export function seriesText({ values, unit }: Series): string {
  return amountText(median(values), unit, values.length > 1 ? spread(values) : null);
}

/** A median with its spread, null for a single reading, as text. */
export function amountText(middle: number, unit: string, around: number | null): string {
  return `${number(middle)} ${unit}${around === null ? '' : ` ± ${Math.round(around * 100)} %`}`;
}

/** A number with three significant digits. */
export function number(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString('en-US');
  return String(Number(value.toPrecision(3)));
}

/** Throws unless it holds: a benchmark whose result is wrong has no figures. */
export function check(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Error(`wrong result: ${what}`);
}
