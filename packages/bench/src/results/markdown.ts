/** A report as Markdown, with its pictures as files beside it. */
import type { ReportContent } from './html.ts';
import { notesOf } from './notes.ts';
import type { Section } from './plots.ts';
import { type Cell, measuresOf } from './summary.ts';
import { changeText, factsOf, failuresOf, isBest, legendOf, runsText, spreadText, systemText } from './words.ts';

/** `pictures` is the ending of the pictures' files. */
export function reportMarkdown(
  { manifest, results, cells, sections, comparison, shows }: ReportContent,
  pictures: 'png' | 'svg',
): string {
  const { experiment } = manifest;
  const failures = failuresOf(results);
  const legend = legendOf(experiment);
  const lines = [
    `# ${experiment.title}`,
    '',
    experiment.about,
    '',
    ...(shows === '' ? [] : ['## What it shows', '', shows, '']),
    ...factsOf(manifest, results).map(([name, value]) => `- ${name}: ${value}`),
    '',
    ...(comparison === null
      ? []
      : [
          '## Against the earlier runs',
          '',
          ...comparison.caveats.map((caveat) => `- ${caveat}`),
          ...(comparison.changes.length === 0 ? ['- nothing changed'] : []),
          ...comparison.changes.map((change) => `- **${change.verdict}**: ${changeText(change)}`),
          '',
        ]),
    ...sections.flatMap((section) => [
      `## ${section.title}`,
      '',
      ...tables(section.cells),
      ...linesOf(section),
      ...section.plots.flatMap(({ file, title }) => [`![${title}](plots/${file}.${pictures})`, '']),
    ]),
    '## How to read this',
    '',
    ...explained('Systems', legend.systems),
    ...explained('Workloads', legend.workloads),
    ...explained(
      'Figures',
      measuresOf([...cells, ...sections.flatMap((section) => section.cells)]).map(({ title, unit, about }) => [
        unit === '' ? title : `${title}, ${unit}`,
        about,
      ]),
    ),
    '## What was measured, and what modelled',
    '',
    ...notesOf(experiment, results).map((note) => `- ${note}`),
    '',
    ...(failures.length === 0
      ? []
      : ['## Runs that failed or were begun anew', '', ...failures.map((failure) => `- ${failure}`), '']),
  ];
  return lines.join('\n');
}

function linesOf({ lines = [] }: Section): string[] {
  return lines.length === 0 ? [] : [...lines.map((line) => `- ${line}`), ''];
}

function explained(title: string, entries: readonly (readonly [string, string])[]): string[] {
  return [`### ${title}`, '', ...entries.map(([name, about]) => `- **${name}**: ${about}`), ''];
}

/** The best of each figure in a place is bold. */
function tables(cells: readonly Cell[]): string[] {
  const measures = measuresOf(cells);
  const row = (fields: readonly string[]): string =>
    `| ${fields.map((text) => text.replaceAll('|', '\\|')).join(' | ')} |`;
  return [
    row(['link', 'workload', 'system', 'runs', ...measures.map(({ title }) => title)]),
    row(['---', '---', '---', '---', ...measures.map(() => '---')]),
    ...cells.map((cell) => {
      const beside = cells.filter(({ link, workload }) => link === cell.link && workload === cell.workload);
      return row([
        ...[cell.link, cell.workload, systemText(cell.system), runsText(cell)],
        ...measures.map((measure) => {
          const figure = spreadText(cell.spreads[measure.name], measure, cell.runs - cell.failed);
          return isBest(measure, cell, beside) ? `**${figure}**` : figure;
        }),
      ]);
    }),
    '',
  ];
}
