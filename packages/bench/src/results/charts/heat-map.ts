/** One figure over rates and round trips, one map per system, all on one scale: dark is much. */
import type { LinkChoice } from '../../experiment/experiment.ts';
import type { Measure } from '../measures.ts';
import type { Cell } from '../summary.ts';
import { systemText } from '../words.ts';
import { amount, CHART_WIDTH, element, FAINT, GRID, label, picture } from './svg.ts';

const TOP = 34;
const LEFT = 80;
const SPACE = 16;
const ROW = 34;
const HEAD = 22;
const FOOT = 44;
const MAPS_PER_ROW = 3;

interface Grid {
  readonly rates: readonly number[];
  readonly roundTrips: readonly number[];
}

/** The rates and round trips of an experiment whose links are all pairs of them; null for others. */
export function gridOf(links: readonly LinkChoice[]): Grid | null {
  const rates = [...new Set(links.map(({ there }) => there.bitsPerSecond))].sort((left, right) => left - right);
  const roundTrips = [...new Set(links.map(roundTripOf))].sort((left, right) => left - right);
  const isGrid = rates.length > 1 && roundTrips.length > 1 && links.length === rates.length * roundTrips.length;
  return isGrid ? { rates, roundTrips } : null;
}

/** The names of the links at the corners of that grid; null where there is none. */
export function cornersOf(links: readonly LinkChoice[]): readonly string[] | null {
  const grid = gridOf(links);
  if (grid === null) return null;
  const isEnd = (values: readonly number[], value: number): boolean => value === values[0] || value === values.at(-1);
  return links
    .filter((link) => isEnd(grid.rates, link.there.bitsPerSecond) && isEnd(grid.roundTrips, roundTripOf(link)))
    .map(({ name }) => name);
}

/** Whether all runs of a cell came to their end. */
function isWhole(cell: Cell | undefined): boolean {
  return cell === undefined || cell.failed + cell.overLimit === 0;
}

function roundTripOf({ there, back }: LinkChoice): number {
  return there.delayMs + back.delayMs;
}

/** The cells are of one workload. */
export function heatMap(
  measure: Measure,
  cells: readonly Cell[],
  { rates, roundTrips }: Grid,
  links: readonly LinkChoice[],
): string | null {
  const systems = [...new Set(cells.map(({ system }) => system))];
  const values = cells.flatMap(({ spreads }) => spreads[measure.name]?.median ?? []);
  if (values.length === 0) return null;
  const across = Math.min(MAPS_PER_ROW, systems.length);
  const mapWidth = (CHART_WIDTH - LEFT - SPACE * across) / across;
  const mapHeight = HEAD + rates.length * ROW + FOOT;
  const [least, most] = [Math.log1p(Math.max(0, Math.min(...values))), Math.log1p(Math.max(...values))];
  const maps = systems.flatMap((system, index) => {
    const left = LEFT + (index % across) * (mapWidth + SPACE);
    const top = TOP + Math.floor(index / across) * mapHeight;
    const column = mapWidth / roundTrips.length;
    const squares = rates.flatMap((rate, row) =>
      roundTrips.flatMap((roundTrip, at) => {
        const link = links.find((each) => each.there.bitsPerSecond === rate && roundTripOf(each) === roundTrip);
        const cell = cells.find((each) => each.system === system && each.link === link?.name);
        const value = cell?.spreads[measure.name]?.median;
        const [x, y] = [left + at * column, top + HEAD + row * ROW];
        if (value === undefined) {
          const why = cell === undefined || cell.failed < cell.runs ? '' : 'failed';
          return [
            element('rect', { x, y, width: column - 2, height: ROW - 2, fill: GRID }),
            label(x + column / 2 - 1, y + ROW / 2 + 3, why, { 'text-anchor': 'middle' }),
          ];
        }
        const share = most === least ? 0 : (Math.log1p(Math.max(0, value)) - least) / (most - least);
        const fill = `hsl(205 70% ${Math.round(94 - 62 * share)}%)`;
        const ink = share > 0.55 ? '#ffffff' : '#1b1f24';
        return [
          element('rect', { x, y, width: column - 2, height: ROW - 2, fill, rx: 2 }),
          label(x + column / 2 - 1, y + ROW / 2 + 3, `${amount(value)}${isWhole(cell) ? '' : ' *'}`, {
            'text-anchor': 'middle',
            fill: ink,
          }),
        ];
      }),
    );
    const rowNames =
      index % across === 0
        ? rates.map((rate, row) =>
            label(LEFT - 6, top + HEAD + row * ROW + ROW / 2 + 3, `${amount(rate / 1e6)} Mbit/s`, {
              'text-anchor': 'end',
              'font-size': 11,
            }),
          )
        : [];
    const columnNames = roundTrips.map((roundTrip, at) =>
      label(left + (at + 0.5) * column - 1, top + HEAD + rates.length * ROW + 14, `${amount(roundTrip)} ms`, {
        'text-anchor': 'middle',
        fill: FAINT,
        'font-size': 11,
      }),
    );
    const below = { 'text-anchor': 'end', fill: FAINT, 'font-size': 11 };
    const axis = label(LEFT - 6, top + HEAD + rates.length * ROW + 14, 'round trip', below);
    return [
      label(left, top + 14, systemText(system), { 'font-weight': 'bold' }),
      ...[...squares, ...rowNames, ...columnNames, axis],
    ];
  });
  const unit = measure.unit === '' ? '' : `, ${measure.unit}`;
  const title = `${cells[0]!.workload}: ${measure.title}${unit} (${measure.better} is better; dark is much${cells.every(isWhole) ? '' : '; * some runs failed or were over the limit'})`;
  const height = TOP + Math.ceil(systems.length / across) * mapHeight;
  return picture(height, title, [label(8, 16, title, { 'font-size': 14, 'font-weight': 'bold' }), ...maps]);
}
