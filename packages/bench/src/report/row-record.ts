/**
 * What is kept of a run of a row, as docs/results/micro/ROW.json: its words, the machine and versions, every reading.
 *
 * The section of docs/BENCHMARKS.md is made of it alone, so it says what was measured even when the row was changed since.
 */
import type { Figure, Row, RowResult } from '../row.ts';
import { median, spread } from '../statistics.ts';

export const RECORD_FORMAT = 1;

/** One subject over all rounds. */
interface KeptSeries {
  readonly measure: string;
  readonly subject: string;
  readonly unit: string;
  readonly rounds: number;
  readonly median: number;
  /** Half the range over the median; null for a single reading. */
  readonly spread: number | null;
  /** One per round; null where readings were not kept yet when this was measured. */
  readonly readings: readonly number[] | null;
}

/** Where and with what a row was measured. */
export interface RowFacts {
  /** ISO 8601, UTC, to the minute. */
  readonly measuredAt: string;
  /** In words. */
  readonly machine: string;
  /** Of the last minute, at the end. */
  readonly load: number;
  /** Name → version of our own and of the programs beside it. */
  readonly versions: Readonly<Record<string, string>>;
}

export interface RowRecord extends RowFacts {
  readonly format: number;
  readonly row: string;
  readonly title: string;
  readonly target: string;
  readonly figures: readonly Figure[];
  readonly series: readonly KeptSeries[];
  readonly checks: readonly string[];
  readonly notes: readonly string[];
}

/** Makes the record of a run. */
export function recordOf(row: Row, result: RowResult, facts: RowFacts): RowRecord {
  const { figures, checks, notes } = result;
  const series = result.series.map(({ measure, subject, unit, values }) => ({
    ...{ measure, subject, unit, rounds: values.length, median: median(values) },
    ...{ spread: values.length > 1 ? spread(values) : null, readings: values },
  }));
  const { name, title, target } = row;
  return { format: RECORD_FORMAT, row: name, title, target, ...facts, figures, series, checks, notes };
}
