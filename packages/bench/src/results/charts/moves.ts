/**
 * The moves of a machine that goes back and forth: a group for each, in it a bar for each system with its bytes, beside its number.
 */
import type { Cell } from '../summary.ts';
import { amount, CHART_WIDTH, colourOf, element, FAINT, GRID, label, picture, ticksUpTo } from './svg.ts';

const LEFT = 190;
const RIGHT = 90;
const ROW = 16;
const TOP = 34;
const HEADING = 20;
const BOTTOM = 26;

/** The cells are of one link and workload; null when nothing in them goes back and forth. */
export function movesChart(cells: readonly Cell[], systems: readonly string[]): string | null {
  const shown = cells.filter(({ moves }) => moves.length > 0);
  const all = shown.flatMap(({ moves }) => moves.map(({ bytes }) => bytes)).filter((bytes) => bytes > 0);
  if (all.length === 0) return null;
  const ticks = ticksUpTo(Math.max(...all));
  const top = ticks.at(-1)!;
  const x = (bytes: number): number => LEFT + ((CHART_WIDTH - LEFT - RIGHT) * bytes) / top;
  const rows: string[] = [];
  let y = TOP;
  const most = Math.max(...shown.map(({ moves }) => moves.length));
  for (let index = 0; index < most; index++) {
    const stay = shown.find(({ moves }) => moves[index] !== undefined)!.moves[index]!.stay;
    rows.push(label(8, y + 14, `${index + 1}. ${stay}`, { 'font-weight': 'bold' }));
    y += HEADING;
    for (const { system, moves } of shown) {
      const bytes = moves[index]?.bytes;
      if (bytes === undefined) continue;
      const end = x(bytes);
      const colour = colourOf(system, systems);
      rows.push(
        label(LEFT - 8, y + ROW / 2 + 4, system, { 'text-anchor': 'end', 'font-size': 11 }),
        element('rect', { x: LEFT, y: y + 2, width: Math.max(1, end - LEFT), height: ROW - 4, fill: colour, rx: 2 }),
        label(end + 6, y + ROW / 2 + 4, `${amount(bytes / 1e6)} MB`, { 'font-size': 11 }),
      );
      y += ROW;
    }
    y += 6;
  }
  const grid = ticks.flatMap((tick) => [
    element('line', { x1: x(tick), x2: x(tick), y1: TOP - 6, y2: y, stroke: GRID }),
    label(x(tick), y + 16, amount(tick / 1e6), { fill: FAINT, 'font-size': 11, 'text-anchor': 'middle' }),
  ]);
  const title = `${shown[0]!.link}: bytes of each move, MB (lower is better)`;
  const heading = label(8, 16, title, { 'font-size': 14, 'font-weight': 'bold' });
  return picture(y + BOTTOM, title, [heading, ...grid, ...rows]);
}
