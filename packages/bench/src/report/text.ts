/** A row's result for the terminal. */
import { type Figure, number, type Row, type RowResult, reached, seriesText } from '../row.ts';

export function resultText(row: Row, result: RowResult): string {
  const lines = [row.title];
  for (const series of result.series) lines.push(`  ${series.measure}: ${series.subject} ${seriesText(series)}`);
  for (const figure of result.figures)
    lines.push(`  ${verdictWord(figure)} ${figure.label}: ${figureText(figure)}${targetText(figure)}`);
  return lines.join('\n');
}

/** Value with unit and range. */
export function figureText({ value, unit, range }: Figure): string {
  const shown = (amount: number): string => (unit === 'x' ? `${number(amount)} ×` : `${number(amount)} ${unit}`);
  return range === null ? shown(value) : `${shown(value)} (${number(range[0])} to ${number(range[1])})`;
}

/** What is to be reached, in words; empty when it is only stated. */
export function targetText({ target, unit }: Figure): string {
  if (target === null) return '';
  return `, ${target.kind} ${number(target.value)} ${unit === 'x' ? '×' : unit}`;
}

function verdictWord(figure: Figure): string {
  const holds = reached(figure);
  return holds === null ? '     ' : holds ? 'ok   ' : 'MISS ';
}
