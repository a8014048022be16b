/**
 * docs/BENCHMARKS.md: one section per row, renewed when the row was run, and a summary of them all.
 *
 * A section stands between markers that carry its figures as JSON, so that a run of one row keeps the others. Between its
 * reason markers a person writes why a target is missed; renewing a section keeps that text.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { describeMachine, load } from '../machine.ts';
import { type Figure, number, type Row, type RowResult, reached, seriesText } from '../row.ts';
import { ROWS } from '../rows/index.ts';
import { figureText, targetText } from './text.ts';

const DOCUMENT = fileURLToPath(new URL('../../../../docs/BENCHMARKS.md', import.meta.url));
const NOBODY_WROTE = '(nobody has written down why yet)';

/** What the markers of a section carry. */
interface Summary {
  readonly name: string;
  readonly figures: readonly Figure[];
}

interface Section {
  readonly summary: Summary;
  readonly text: string;
}

/** Puts a row's result in place of its earlier one. */
export async function renewDocument(row: Row, result: RowResult): Promise<void> {
  const before = await readFile(DOCUMENT, 'utf8').catch(() => '');
  const facts = {
    date: new Date().toISOString().slice(0, 16).replace('T', ' '),
    machine: describeMachine(),
    load: load(),
  };
  await writeFile(DOCUMENT, renewed(before, row, result, facts));
}

/** The document with the row's section renewed. */
export function renewed(
  before: string,
  row: Row,
  result: RowResult,
  facts: { date: string; machine: string; load: number },
): string {
  const sections = parseSections(before);
  sections.set(row.name, {
    summary: { name: row.name, figures: result.figures },
    text: sectionText(row, result, facts, reasonOf(before, row.name)),
  });
  const ordered = ROWS.flatMap(({ name }) => sections.get(name) ?? []);
  return [HEAD, summaryTable(ordered), ...ordered.map(({ text }) => text), ''].join('\n');
}

const HEAD = `# Benchmarks

How fast, how small and how quick diskswarm is beside other people's programs, measured in the same run on the same data.
\`pnpm bench\` measures everything and writes this file; \`pnpm bench ROW\` renews one section. Everything but the texts after
"Why" is generated.

Figures are medians over rounds in which all subjects take turns, ratios are formed within a round, and the lowest and
highest round stand in brackets. Absolute figures depend on the machine and on what else it did; ratios are what counts.

## Summary
`;

function summaryTable(sections: readonly Section[]): string {
  const lines = ['| what | measured | reach | |', '| --- | --- | --- | --- |'];
  for (const { summary } of sections) {
    for (const figure of summary.figures) {
      const holds = reached(figure);
      const verdict = holds === null ? '' : holds ? 'reached' : `missed, see [why](#${summary.name})`;
      lines.push(
        `| ${figure.label} | ${figureText(figure)} | ${targetText(figure).slice(2) || 'stated'} | ${verdict} |`,
      );
    }
  }
  return `${lines.join('\n')}\n`;
}

function sectionText(
  row: Row,
  result: RowResult,
  facts: { date: string; machine: string; load: number },
  reason: string,
): string {
  const missed = result.figures.some((figure) => reached(figure) === false);
  const lines = [
    `<!-- row ${JSON.stringify({ name: row.name, figures: result.figures } satisfies Summary)} -->`,
    `## ${row.name}`,
    '',
    `${row.title}. To reach: ${row.target}.`,
    '',
    `\`pnpm bench ${row.name}\`, ${facts.date} UTC, on ${facts.machine}; load ${number(facts.load)} at the end.`,
    '',
    '| what | subject | median ± half the range | rounds |',
    '| --- | --- | --- | --- |',
    ...result.series.map(
      (series) => `| ${series.measure} | ${series.subject} | ${seriesText(series)} | ${series.values.length} |`,
    ),
    '',
    ...result.checks.map((text) => `- Checked: ${text}`),
    ...result.notes.map((text) => `- ${text}`),
    '',
  ];
  const known = reason !== '' && reason !== NOBODY_WROTE;
  if (missed || known)
    lines.push(
      '**Why:**',
      `<!-- reason ${row.name} -->`,
      reason === '' ? NOBODY_WROTE : reason,
      '<!-- /reason -->',
      '',
    );
  lines.push('<!-- /row -->');
  return lines.join('\n');
}

function parseSections(text: string): Map<string, Section> {
  const sections = new Map<string, Section>();
  for (const match of text.matchAll(/^<!-- row (\{.*\}) -->\n[\s\S]*?^<!-- \/row -->$/gm)) {
    const summary = JSON.parse(match[1] as string) as Summary;
    sections.set(summary.name, { summary, text: match[0] });
  }
  return sections;
}

function reasonOf(text: string, name: string): string {
  const from = text.indexOf(`<!-- reason ${name} -->\n`);
  if (from < 0) return '';
  const start = from + `<!-- reason ${name} -->\n`.length;
  return text.slice(start, text.indexOf('\n<!-- /reason -->', start)).trim();
}
