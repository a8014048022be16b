/** One figure of all systems, workload by workload: a bar for the median, a line from the lowest to the highest round, the number beside it. */
import type { Measure } from '../measures.ts';
import type { Cell } from '../summary.ts';
import { competes, systemText } from '../words.ts';
import { amount, CHART_WIDTH, colourOf, element, FAINT, GRID, INK, label, picture, ticksUpTo } from './svg.ts';

const LEFT = 190;
const RIGHT = 150;
const ROW = 22;
const GAP = 26;
const TOP = 34;
const BOTTOM = 26;

/** The cells are of one link; null when none of them has the figure. */
export function barChart(measure: Measure, cells: readonly Cell[], systems: readonly string[]): string | null {
  const having = cells.filter(({ spreads }) => spreads[measure.name] !== undefined);
  const shown = having.filter(({ system }) => competes(measure, system, having));
  if (shown.length === 0) return null;
  const most = Math.max(...shown.map(({ spreads }) => spreads[measure.name]!.highest));
  const ticks = ticksUpTo(most);
  const top = ticks.at(-1)!;
  const x = (value: number): number => LEFT + ((CHART_WIDTH - LEFT - RIGHT) * value) / top;
  const workloads = [...new Set(shown.map(({ workload }) => workload))];
  const rows: string[] = [];
  let y = TOP;
  for (const workload of workloads) {
    rows.push(label(8, y + 12, workload, { 'font-weight': 'bold' }));
    y += GAP - 6;
    for (const cell of shown.filter((each) => each.workload === workload)) {
      rows.push(...bar(cell, measure, { x, y, colour: colourOf(cell.system, systems) }));
      y += ROW;
    }
    y += 6;
  }
  const grid = ticks.flatMap((tick) => [
    element('line', { x1: x(tick), x2: x(tick), y1: TOP - 6, y2: y, stroke: GRID }),
    label(x(tick), y + 16, amount(tick), { fill: FAINT, 'font-size': 11, 'text-anchor': 'middle' }),
  ]);
  const unit = measure.unit === '' ? '' : `, ${measure.unit}`;
  const rounds = Math.max(...shown.map(({ spreads }) => spreads[measure.name]!.n));
  const range = rounds === 1 ? 'one round' : `median and range of ${rounds} rounds`;
  const title = `${shown[0]!.link}: ${measure.title}${unit} (${measure.better} is better; ${range})`;
  const heading = label(8, 16, title, { 'font-size': 14, 'font-weight': 'bold' });
  return picture(y + BOTTOM, title, [heading, ...grid, ...rows]);
}

function bar(
  cell: Cell,
  measure: Measure,
  { x, y, colour }: { x: (value: number) => number; y: number; colour: string },
): string[] {
  const { median, lowest, highest, n } = cell.spreads[measure.name]!;
  const unit = measure.unit === '' ? '' : ` ${measure.unit}`;
  const over = cell.overLimit > 0 ? `, ${cell.overLimit} of ${cell.runs} over the limit` : '';
  const failed = cell.failed > 0 ? `, ${cell.failed} of ${cell.runs} failed` : '';
  const middle = y + ROW / 2;
  const whisker =
    n === 1
      ? []
      : [
          element('line', { x1: x(lowest), x2: x(highest), y1: middle, y2: middle, stroke: INK, 'stroke-width': 1.5 }),
          ...[lowest, highest].map((end) =>
            element('line', {
              x1: x(end),
              x2: x(end),
              y1: middle - 4,
              y2: middle + 4,
              stroke: INK,
              'stroke-width': 1.5,
            }),
          ),
        ];
  return [
    label(LEFT - 8, middle + 4, systemText(cell.system), { 'text-anchor': 'end' }),
    element('rect', { x: x(0), y: y + 3, width: Math.max(1, x(median) - x(0)), height: ROW - 6, fill: colour, rx: 2 }),
    ...whisker,
    label(x(Math.max(median, highest)) + 8, middle + 4, `${amount(median)}${unit}${over}${failed}`, {}),
  ];
}
