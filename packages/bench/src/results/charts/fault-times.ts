/**
 * How long faults took and where the time went: for each workload a row for all of it and one for each part, from the median over the
 * 90th and the 99th percentile to the longest, on a logarithmic scale that goes from microseconds to minutes.
 */
import { FAULT_PARTS, type FaultTimes } from '../../run/fault-times.ts';
import type { Cell } from '../summary.ts';
import { systemText } from '../words.ts';
import { amount, CHART_WIDTH, colourOf, element, FAINT, GRID, INK, label, picture } from './svg.ts';

const LEFT = 220;
const RIGHT = 170;
const ROW = 18;
const GAP = 22;
const TOP = 44;
const BOTTOM = 30;
/** Milliseconds; what is shorter is drawn here. */
const LEAST_MS = 0.01;

/** The cells are of one link; null when nobody told of faults. */
export function faultTimesChart(cells: readonly Cell[], systems: readonly string[]): string | null {
  const shown = cells.flatMap((cell) =>
    cell.faults === null || cell.faults === undefined ? [] : [{ cell, faults: cell.faults }],
  );
  if (shown.length === 0) return null;
  const most = Math.max(...shown.flatMap(({ faults }) => FAULT_PARTS.flatMap(({ name }) => faults[name]?.max ?? [])));
  const decades = Math.max(1, Math.ceil(Math.log10(most / LEAST_MS) - 1e-9));
  const x = (ms: number): number =>
    LEFT + ((CHART_WIDTH - LEFT - RIGHT) * Math.log10(Math.max(LEAST_MS, ms) / LEAST_MS)) / decades;
  const rows: string[] = [];
  let y = TOP;
  for (const { cell, faults } of shown) {
    const count = cell.spreads.faults?.median;
    const faultsText = count === undefined ? '' : `: ${amount(count)} ${count === 1 ? 'fault' : 'faults'}`;
    rows.push(label(8, y + 12, `${cell.workload}, ${systemText(cell.system)}${faultsText}`, { 'font-weight': 'bold' }));
    y += GAP - 4;
    for (const { name, title } of FAULT_PARTS) {
      const percentiles = faults[name];
      if (percentiles === undefined) continue;
      const colour = name === 'total' ? INK : colourOf(cell.system, systems);
      rows.push(
        label(LEFT - 8, y + ROW / 2 + 4, title, { 'text-anchor': 'end', 'font-size': 11 }),
        ...row(percentiles, { x, y, colour }),
      );
      y += ROW;
    }
    y += 8;
  }
  const grid = Array.from({ length: decades + 1 }, (_, step) => LEAST_MS * 10 ** step).flatMap((tick) => [
    element('line', { x1: x(tick), x2: x(tick), y1: TOP - 6, y2: y, stroke: GRID }),
    label(x(tick), y + 16, `${amount(tick)} ms`, { fill: FAINT, 'font-size': 11, 'text-anchor': 'middle' }),
  ]);
  const title = `${shown[0]!.cell.link}: how long a guest waits for a chunk, and where the time goes`;
  return picture(y + BOTTOM, title, [
    label(8, 16, title, { 'font-size': 14, 'font-weight': 'bold' }),
    label(
      8,
      32,
      'dot: median; thick: to the 90th percentile; thin: to the 99th; tick: the longest; logarithmic scale',
      {
        fill: FAINT,
        'font-size': 11,
      },
    ),
    ...grid,
    ...rows,
  ]);
}

function row(
  { p50, p90, p99, max }: FaultTimes['total'],
  { x, y, colour }: { x: (ms: number) => number; y: number; colour: string },
): string[] {
  const middle = y + ROW / 2;
  const line = (from: number, to: number, width: number): string =>
    element('line', { x1: x(from), x2: x(to), y1: middle, y2: middle, stroke: colour, 'stroke-width': width });
  return [
    line(p50, p90, 6),
    line(p90, p99, 2),
    element('line', { x1: x(max), x2: x(max), y1: middle - 5, y2: middle + 5, stroke: colour, 'stroke-width': 2 }),
    element('circle', { cx: x(p50), cy: middle, r: 5, fill: colour }),
    label(x(max) + 10, middle + 4, `${amount(p50)} ms, 99 %: ${amount(p99)}`, { 'font-size': 11 }),
  ];
}
