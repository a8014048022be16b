/**
 * What the guest got done over time, one strip per system below the other, on one clock that begins with the command.
 *
 * Each strip is the round in the middle by migration time; a grey line marks the command, a dark one the end.
 */
import type { Cell } from '../summary.ts';
import { systemText } from '../words.ts';
import { amount, CHART_WIDTH, colourOf, element, FAINT, GRID, INK, label, picture, ticksUpTo } from './svg.ts';

const LEFT = 190;
const RIGHT = 70;
const STRIP = 64;
const TOP = 34;
const BOTTOM = 40;
/** Longer than this many times the shortest, and the others would be lines. */
const MOST_TIMES_SHORTEST = 12;

/** The cells are of one link and workload; `unit` says what steps are, bytes are shown as Mbit/s. */
export function timelineChart(cells: readonly Cell[], systems: readonly string[], unit: string): string | null {
  const shown = cells.filter(({ timeline }) => timeline !== null);
  if (shown.length === 0) return null;
  const isBytes = unit.startsWith('bytes');
  const scale = isBytes ? 8 / 1e6 : 1;
  const ends = shown.map(({ timeline }) => timeline!.endSeconds);
  const until = Math.min(Math.max(...ends), MOST_TIMES_SHORTEST * Math.max(5, Math.min(...ends))) * 1.02;
  const from = Math.min(...shown.map(({ timeline }) => timeline!.fromSeconds));
  const most = Math.max(...shown.flatMap(({ timeline }) => timeline!.rates)) * scale;
  const top = ticksUpTo(most).at(-1)!;
  const x = (seconds: number): number => LEFT + ((CHART_WIDTH - LEFT - RIGHT) * (seconds - from)) / (until - from);
  const strips = shown.flatMap((cell, index) => {
    const base = TOP + (index + 1) * STRIP - 8;
    const y = (rate: number): number => base - ((STRIP - 20) * rate * scale) / top;
    const { rates, fromSeconds, binSeconds, endSeconds } = cell.timeline!;
    const inside = rates.filter((_, bin) => fromSeconds + bin * binSeconds < until);
    const colour = colourOf(cell.system, systems);
    // Up or down where a bin differs from the one before it, then across to where the next one does.
    const steps = inside.flatMap((rate, bin) => {
      const height = y(rate).toFixed(1);
      if (bin > 0 && y(inside[bin - 1]!).toFixed(1) === height) return [];
      return [`${bin === 0 ? '' : `H${x(fromSeconds + bin * binSeconds).toFixed(1)}`}V${height}`];
    });
    const last = Math.min(until, fromSeconds + inside.length * binSeconds);
    const area = `M${x(fromSeconds).toFixed(1)} ${base}${steps.join('')}H${x(last).toFixed(1)}V${base}Z`;
    const ended = endSeconds <= until;
    return [
      element('line', { x1: LEFT, x2: CHART_WIDTH - RIGHT, y1: base, y2: base, stroke: GRID }),
      element('path', { d: area, fill: colour, 'fill-opacity': 0.35, stroke: colour, 'stroke-width': 1.2 }),
      label(LEFT - 8, base - 12, systemText(cell.system), { 'text-anchor': 'end' }),
      label(LEFT - 8, base - STRIP + 22, amount(top), { 'text-anchor': 'end', fill: FAINT, 'font-size': 10 }),
      ...(ended
        ? [
            element('line', {
              x1: x(endSeconds),
              x2: x(endSeconds),
              y1: base - STRIP + 18,
              y2: base,
              stroke: INK,
              'stroke-width': 1.5,
            }),
            label(x(endSeconds) + 4, base - STRIP + 26, `${amount(endSeconds)} s`, { 'font-size': 11 }),
          ]
        : [label(CHART_WIDTH - RIGHT + 4, base - 4, `… ${amount(endSeconds)} s`, { 'font-size': 11 })]),
    ];
  });
  const height = TOP + shown.length * STRIP + BOTTOM;
  const axis = ticksUpTo(until).flatMap((tick) =>
    tick > until
      ? []
      : [
          label(x(tick), height - 22, amount(tick), { fill: FAINT, 'font-size': 11, 'text-anchor': 'middle' }),
          element('line', { x1: x(tick), x2: x(tick), y1: height - 40, y2: height - 35, stroke: FAINT }),
        ],
  );
  const { link, workload } = shown[0]!;
  const what = `${link}, ${workload}: ${isBytes ? 'received by the client, Mbit/s' : `${unit === '' ? 'ticks' : unit} per second`}`;
  return picture(height, what, [
    label(8, 16, what, { 'font-size': 14, 'font-weight': 'bold' }),
    ...axis,
    element('line', { x1: x(0), x2: x(0), y1: TOP - 4, y2: height - 40, stroke: FAINT, 'stroke-dasharray': '4 3' }),
    ...strips,
    label(CHART_WIDTH / 2, height - 6, 'seconds since the command', {
      fill: FAINT,
      'font-size': 11,
      'text-anchor': 'middle',
    }),
  ]);
}
