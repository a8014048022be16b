/** Markdown of what was kept of rows: a section for each, and the lines of all in the summary. */

import { versionsText } from '../results/words.ts';
import { amountText, number, reached } from '../row.ts';
import type { RowRecord } from './row-record.ts';
import { figureText, targetText } from './text.ts';

const NOBODY_WROTE = 'nobody has written down why yet';

/** The section of a row. `why` is what a person wrote about a target that is missed; empty when nobody did. */
export function rowSection(record: RowRecord, why: string): string {
  const { row, measuredAt, machine, load } = record;
  const missed = record.figures.some((figure) => reached(figure) === false);
  const lines = [
    `## ${row}`,
    '',
    `${record.title}. To reach: ${record.target}.`,
    '',
    `\`pnpm bench ${row}\`, ${measuredAt.slice(0, 16).replace('T', ' ')} UTC, on ${machine}; load ${number(load)} at the end; ${versionsText(record.versions)}.`,
    '',
    '| what | subject | median ± half the range | rounds |',
    '| --- | --- | --- | --- |',
    ...record.series.map(
      ({ measure, subject, unit, rounds, median, spread }) =>
        `| ${measure} | ${subject} | ${amountText(median, unit, spread)} | ${rounds} |`,
    ),
    '',
    ...record.checks.map((text) => `- Checked: ${text}`),
    ...record.notes.map((text) => `- ${text}`),
    '',
  ];
  if (missed || why !== '')
    lines.push('**Why:**', why === '' ? `(${NOBODY_WROTE}: results/micro/${row}.why.md)` : why, '');
  return lines.join('\n');
}

/** All figures, with what they should reach. */
export function summaryTable(records: readonly RowRecord[]): string {
  const lines = ['| what | measured | reach | |', '| --- | --- | --- | --- |'];
  for (const { row, figures } of records) {
    for (const figure of figures) {
      const holds = reached(figure);
      const verdict = holds === null ? '' : holds ? 'reached' : `missed, see [why](#${row})`;
      lines.push(
        `| ${figure.label} | ${figureText(figure)} | ${targetText(figure).slice(2) || 'stated'} | ${verdict} |`,
      );
    }
  }
  return `${lines.join('\n')}\n`;
}
