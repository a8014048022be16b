/**
 * @module bench
 * Benchmarks beside named peers, in the same run, on the same data, with results checked by content.
 *
 * `pnpm bench [ROW…] [--smoke] [--runs N]` runs rows and keeps what they found in docs/results, of which
 * docs/BENCHMARKS.md is made; rows/ has one file per row.
 * A smoke run is small, needs no root and checks results only. Experiments are apart from rows: command.ts is what
 * `diskswarm bench` loads, experiments/ has their files, systems/ and workloads/ what they are made of.
 */

export { DOCUMENT, documentOf, keepRow, RESULTS } from './report/document.ts';
export { type RowRecord, recordOf } from './report/row-record.ts';
export { type Figure, type Row, type RowResult, ratioFigure, reached, type Series } from './row.ts';
export { ROWS } from './rows/index.ts';
export { runRow } from './run-row.ts';
