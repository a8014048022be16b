/** One figure over the number of hosts, a line for each system; both scales logarithmic, so that a straight line is a power. */
import type { Measure } from '../measures.ts';
import { amount, CHART_WIDTH, colourOf, element, FAINT, GRID, label, picture } from './svg.ts';

const LEFT = 70;
const RIGHT = 250;
const TOP = 36;
const HEIGHT = 330;
const BOTTOM = 44;
/** Between two names at the lines' ends. */
const APART = 15;

/** What one system comes to; points in the order of `x`, all of them above zero. */
interface Growth {
  readonly system: string;
  readonly points: readonly { readonly x: number; readonly y: number }[];
}

/** Null when no system has two points. */
export function growthChart(measure: Measure, lines: readonly Growth[], systems: readonly string[]): string | null {
  const shown = lines.filter(({ points }) => points.length > 1);
  if (shown.length === 0) return null;
  const all = shown.flatMap(({ points }) => points);
  const x = scale(
    all.map((point) => point.x),
    { from: LEFT, to: CHART_WIDTH - RIGHT },
  );
  const y = scale(
    all.map((point) => point.y),
    { from: HEIGHT - BOTTOM, to: TOP },
  );
  const grid = [
    ...x.decades.flatMap((value) => [
      element('line', { x1: x.at(value), x2: x.at(value), y1: TOP, y2: HEIGHT - BOTTOM, stroke: GRID }),
      label(x.at(value), HEIGHT - BOTTOM + 16, value.toLocaleString('en-US'), { ...SMALL, 'text-anchor': 'middle' }),
    ]),
    ...y.decades.flatMap((value) => [
      element('line', { x1: LEFT, x2: CHART_WIDTH - RIGHT, y1: y.at(value), y2: y.at(value), stroke: GRID }),
      label(LEFT - 6, y.at(value) + 4, amount(value), { ...SMALL, 'text-anchor': 'end' }),
    ]),
    label((LEFT + CHART_WIDTH - RIGHT) / 2, HEIGHT - 10, 'hosts', { ...SMALL, 'text-anchor': 'middle' }),
  ];
  const ends = namesApart(
    shown.map(({ system, points }) => ({ system, last: points.at(-1)!, y: y.at(points.at(-1)!.y) })),
  );
  const drawn = shown.flatMap(({ system, points }) => {
    const colour = colourOf(system, systems);
    const path = points.map((point) => `${x.at(point.x).toFixed(1)},${y.at(point.y).toFixed(1)}`).join(' ');
    return [
      element('polyline', { points: path, fill: 'none', stroke: colour, 'stroke-width': 2 }),
      ...points.map((point) => element('circle', { cx: x.at(point.x), cy: y.at(point.y), r: 3, fill: colour })),
    ];
  });
  const unit = measure.unit === '' ? '' : ` ${measure.unit}`;
  const names = ends.map(({ system, last, y: at }) =>
    label(x.at(last.x) + 10, at + 4, `${system}: ${amount(last.y)}${unit}`, { fill: colourOf(system, systems) }),
  );
  const title = `${measure.title}${measure.unit === '' ? '' : `, ${measure.unit}`} (${measure.better} is better; modelled)`;
  const heading = label(8, 16, title, { 'font-size': 14, 'font-weight': 'bold' });
  return picture(HEIGHT, title, [heading, ...grid, ...drawn, ...names]);
}

const SMALL = { fill: FAINT, 'font-size': 11 };

/** A logarithmic scale over whole decades. */
function scale(values: readonly number[], { from, to }: { from: number; to: number }) {
  const least = Math.floor(Math.log10(Math.min(...values)) + 1e-9);
  const most = Math.max(least + 1, Math.ceil(Math.log10(Math.max(...values)) - 1e-9));
  return {
    decades: Array.from({ length: most - least + 1 }, (_, index) => 10 ** (least + index)),
    at: (value: number): number => from + ((Math.log10(value) - least) / (most - least)) * (to - from),
  };
}

/** The same names, moved down where they would lie on each other. */
function namesApart<Name extends { readonly y: number }>(names: readonly Name[]): readonly Name[] {
  let reached = Number.NEGATIVE_INFINITY;
  return names
    .toSorted((one, other) => one.y - other.y)
    .map((name) => {
      reached = Math.max(name.y, reached + APART);
      return { ...name, y: reached };
    });
}
