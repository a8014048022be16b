/**
 * @module bench
 * Benchmarks beside named peers, in the same run, on the same data, with results checked by content.
 *
 * `pnpm bench [ROW…] [--smoke] [--runs N]` runs rows and renews their sections of docs/BENCHMARKS.md; rows/ has one file per row.
 * A smoke run is small, needs no root and checks results only. Nothing here is shipped.
 */

export { renewed } from './report/document.ts';
export { type Figure, type Row, type RowResult, ratioFigure, reached, type Series } from './row.ts';
export { ROWS } from './rows/index.ts';
export { runRow } from './run-row.ts';
