/** The runs and their summary as CSV (RFC 4180), for whoever has tools of his own. */
import type { RunResult } from './collect.ts';
import { MEASURES } from './measures.ts';
import type { Cell } from './summary.ts';

function field(value: string | number | null | undefined): string {
  if (value === null || value === undefined) return '';
  const text = typeof value === 'number' ? String(Math.round(value * 1000) / 1000) : value;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function table(head: readonly string[], rows: readonly (readonly (string | number | null | undefined)[])[]): string {
  return [head, ...rows].map((row) => `${row.map(field).join(',')}\r\n`).join('');
}

const withUnit = MEASURES.map(({ name, unit }) => (unit === '' ? name : `${name} (${unit})`));

/** One line per run. */
export function runsCsv(results: readonly RunResult[]): string {
  return table(
    [
      'run',
      'system',
      'link',
      'workload',
      'round',
      'end',
      ...withUnit,
      'begun anew',
      'load',
      'line late (ms)',
      'reason',
    ],
    results.map((result) => [
      ...[result.number, result.system, result.link, result.workload, result.round, result.end],
      ...MEASURES.map(({ name }) => result.figures[name]),
      ...[result.again, result.load, result.lateMs, result.reason],
    ]),
  );
}

/** One line per move of machines that go back and forth; null where none do. */
export function movesCsv(results: readonly RunResult[]): string | null {
  const rows = results.flatMap(({ number, system, link, workload, round, moves }) =>
    moves.map(({ stay, bytes, differingBytes, tookMs, readyMs }, index) => [
      ...[number, system, link, workload, round, index + 1, stay],
      ...[bytes / 1e6, differingBytes / 1e6, ...[readyMs, tookMs].map((ms) => (ms === null ? null : ms / 1000))],
    ]),
  );
  const place = ['run', 'system', 'link', 'workload', 'round', 'move', 'stay'];
  const figures = ['bytes (MB)', 'blocks that differ (MB)', 'until it can be used (s)', 'until all is there (s)'];
  return rows.length === 0 ? null : table([...place, ...figures], rows);
}

/** One line per system and place: median, lowest and highest of each figure, and how many rounds have it. */
export function summaryCsv(cells: readonly Cell[]): string {
  return table(
    [
      'link',
      'workload',
      'system',
      'n',
      'failed',
      'over limit',
      ...withUnit.flatMap((name) => [name, `${name} lowest`, `${name} highest`, `${name} n`]),
    ],
    cells.map((cell) => [
      ...[cell.link, cell.workload, cell.system, cell.runs, cell.failed, cell.overLimit],
      ...MEASURES.flatMap(({ name }) => {
        const spread = cell.spreads[name];
        return [spread?.median, spread?.lowest, spread?.highest, spread?.n];
      }),
    ]),
  );
}
