/** A report as one HTML file: no scripts, nothing from elsewhere, pictures inside. */
import type { RunManifest } from '../run/run-folder.ts';
import { escapeXml as text } from './charts/svg.ts';
import type { RunResult } from './collect.ts';
import type { Change, Comparison } from './compare.ts';
import { notesOf } from './notes.ts';
import type { Section } from './plots.ts';
import { type Cell, measuresOf } from './summary.ts';
import { changeText, factsOf, failuresOf, isBest, legendOf, runsText, spreadText, systemText } from './words.ts';

const STYLE = `
body { font: 15px/1.5 "Helvetica Neue", Arial, "DejaVu Sans", sans-serif; color: #1b1f24; margin: 0; background: #f5f6f8; }
main { max-width: 980px; margin: 0 auto; padding: 24px 32px 64px; background: #fff; }
h1 { font-size: 26px; line-height: 1.25; margin: 8px 0; } h2 { font-size: 20px; margin: 40px 0 8px; border-bottom: 2px solid #e3e6ea; padding-bottom: 4px; }
h3 { font-size: 15px; margin: 20px 0 4px; } p { margin: 8px 0; } .about { color: #444c56; }
table { border-collapse: collapse; margin: 8px 0 16px; font-size: 13px; } th, td { padding: 4px 10px; text-align: left; border-bottom: 1px solid #e3e6ea; vertical-align: top; }
th { font-weight: 600; } td.figure { font-variant-numeric: tabular-nums; white-space: nowrap; } td.best { font-weight: 700; }
.scroll { overflow-x: auto; } svg { max-width: 100%; height: auto; display: block; margin: 12px 0 20px; }
summary { cursor: pointer; margin: 12px 0; } .regression { color: #b42318; } .improvement { color: #067647; } ul { padding-left: 20px; } li { margin: 3px 0; } .small { font-size: 13px; color: #444c56; }
`;

export interface ReportContent {
  readonly manifest: RunManifest;
  readonly results: readonly RunResult[];
  readonly cells: readonly Cell[];
  readonly sections: readonly Section[];
  /** What a person wrote that it shows, in Markdown paragraphs; empty when nobody did. */
  readonly shows: string;
  /** Against an earlier report; null without one. */
  readonly comparison: Comparison | null;
}

export function reportHtml({ manifest, results, cells, sections, comparison, shows }: ReportContent): string {
  const { experiment } = manifest;
  const failures = failuresOf(results);
  const legend = legendOf(experiment);
  const body = [
    `<h1>${text(experiment.title)}</h1>`,
    `<p class="about">${text(experiment.about)}</p>`,
    ...(shows === '' ? [] : ['<h2>What it shows</h2>', ...shows.split(/\n{2,}/).map((part) => `<p>${text(part)}</p>`)]),
    table(
      [],
      factsOf(manifest, results).map(([name, value]) => [`<th>${text(name)}</th>`, `<td>${text(value)}</td>`]),
    ),
    ...(comparison === null ? [] : against(comparison)),
    ...sections.flatMap((section) => [
      `<h2>${text(section.title)}</h2>`,
      ...(section.isMap
        ? [
            ...section.plots.map(({ svg }) => svg),
            '<details><summary>All figures</summary>',
            ...tables(section.cells),
            '</details>',
          ]
        : [...tables(section.cells), ...linesOf(section), ...section.plots.map(({ svg }) => svg)]),
    ]),
    '<h2>How to read this</h2>',
    '<h3>Systems</h3>',
    table(
      [],
      legend.systems.map(([name, about]) => [`<th>${text(name)}</th>`, `<td>${text(about)}</td>`]),
    ),
    '<h3>Workloads</h3>',
    table(
      [],
      legend.workloads.map(([name, about]) => [`<th>${text(name)}</th>`, `<td>${text(about)}</td>`]),
    ),
    '<h3>Figures</h3>',
    table(
      [],
      measuresOf([...cells, ...sections.flatMap((section) => section.cells)]).map(({ title, unit, about }) => [
        `<th>${text(title)}${unit === '' ? '' : `, ${text(unit)}`}</th>`,
        `<td>${text(about)}</td>`,
      ]),
    ),
    '<h3>What was measured, and what modelled</h3>',
    list(notesOf(experiment, results)),
    ...(failures.length === 0 ? [] : ['<h3>Runs that failed or were begun anew</h3>', list(failures)]),
  ];
  const head = `<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${text(experiment.title)}</title>`;
  return `<!doctype html>\n<html lang="en"><head>${head}<style>${STYLE}</style></head><body><main>\n${body.join('\n')}\n</main></body></html>\n`;
}

/** One table per workload (per link, where a section is of one workload): a row per system, the best of each figure bold. */
function tables(cells: readonly Cell[]): string[] {
  const places = [...new Set(cells.map(({ link, workload }) => `${link}\0${workload}`))];
  const ofOneLink = new Set(cells.map(({ link }) => link)).size === 1;
  return places.flatMap((place) => {
    const own = cells.filter(({ link, workload }) => `${link}\0${workload}` === place);
    const measures = measuresOf(own);
    const [first] = own as [Cell, ...Cell[]];
    const rows = own.map((cell) => [
      `<th>${text(systemText(cell.system))}</th>`,
      `<td class="figure">${text(runsText(cell))}</td>`,
      ...measures.map((measure) => {
        const mark = isBest(measure, cell, own) ? ' best' : '';
        return `<td class="figure${mark}">${text(spreadText(cell.spreads[measure.name], measure, cell.runs - cell.failed))}</td>`;
      }),
    ]);
    const head = ['system', 'runs', ...measures.map(({ title }) => title)];
    return [
      `<h3>${text(ofOneLink ? first.workload : first.link)}</h3>`,
      `<div class="scroll">${table(head, rows)}</div>`,
    ];
  });
}

function linesOf({ lines = [] }: Section): string[] {
  return lines.length === 0 ? [] : [list(lines)];
}

function against({ changes, caveats }: Comparison): string[] {
  const of = (verdict: Change['verdict']) => changes.filter((change) => change.verdict === verdict);
  const part = (verdict: Change['verdict'], title: string): string[] => {
    const lines = of(verdict);
    return lines.length === 0
      ? [`<p>${title}: none.</p>`]
      : [`<h3 class="${verdict}">${title}: ${lines.length}</h3>`, list(lines.map(changeText))];
  };
  return [
    '<h2>Against the earlier runs</h2>',
    list(caveats),
    ...part('regression', 'Regressions'),
    ...part('improvement', 'Improvements'),
  ];
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const heading = head.length === 0 ? '' : `<tr>${head.map((name) => `<th>${text(name)}</th>`).join('')}</tr>`;
  return `<table>${heading}${rows.map((cells) => `<tr>${cells.join('')}</tr>`).join('\n')}</table>`;
}

function list(lines: readonly string[]): string {
  return `<ul class="small">${lines.map((line) => `<li>${text(line)}</li>`).join('')}</ul>`;
}
