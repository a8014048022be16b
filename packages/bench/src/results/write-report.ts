/**
 * Writes the report of a folder of runs into it: report.html, report.md, runs.csv, summary.csv, summary.json and plots/ as SVG, and as
 * PNG where rsvg-convert is installed (Debian's librsvg2-bin). What a person wrote into shows.md stands at the top.
 */
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DiskswarmError } from '@diskswarm/core';
import { readModel } from '../model/kept-model.ts';
import { findProgram, run } from '../programs.ts';
import { RunFolder } from '../run/run-folder.ts';
import { collectRuns } from './collect.ts';
import { type Comparison, compareReports, type Reported } from './compare.ts';
import { movesCsv, runsCsv, summaryCsv } from './csv.ts';
import { reportHtml } from './html.ts';
import { keepSummary, readSummary } from './kept-summary.ts';
import { reportMarkdown } from './markdown.ts';
import { modelledCells, modelledSections } from './modelled.ts';
import { sectionsOf } from './plots.ts';
import { readShows } from './shows.ts';
import { smallPng } from './small-png.ts';
import { summarise } from './summary.ts';

const RASTER = 'rsvg-convert';

/** What was written. */
export interface WrittenReport {
  readonly html: string;
  readonly runs: number;
  readonly failed: number;
  /** Against earlier runs; null without. */
  readonly comparison: Comparison | null;
  /** Whether there are PNGs. */
  readonly png: boolean;
}

/** @throws DiskswarmError as RunFolder.open does, INVALID_ARGUMENT when no run was finished or nothing can be compared */
export async function writeReport(path: string, against: string | null): Promise<WrittenReport> {
  const { manifest, results, cells } = await readCells(path);
  const comparison = against === null ? null : compareReports({ manifest, cells }, await earlierReport(against));
  if (comparison?.cells === 0) {
    throw new DiskswarmError(
      'INVALID_ARGUMENT',
      `${against} and ${path} have no system in a same place, with the same guest, link and workload`,
      { data: { field: 'against' } },
    );
  }
  const model = await readModel(path);
  const content = {
    manifest,
    results,
    cells,
    comparison,
    sections: [...sectionsOf(manifest, cells), ...modelledSections(model, manifest.experiment, cells)],
    shows: await readShows(path),
  };
  const png = findProgram(RASTER) !== undefined;
  const plots = join(path, 'plots');
  await rm(plots, { recursive: true, force: true });
  await mkdir(plots);
  for (const { file, svg } of content.sections.flatMap((section) => section.plots)) {
    await writeFile(join(plots, `${file}.svg`), svg);
    if (png) await writePng(join(plots, file));
  }
  await writeFile(join(path, 'runs.csv'), runsCsv(results));
  await writeFile(join(path, 'summary.csv'), summaryCsv(cells));
  const moves = movesCsv(results);
  if (moves !== null) await writeFile(join(path, 'moves.csv'), moves);
  if (model !== null) await writeFile(join(path, 'modelled.csv'), summaryCsv(modelledCells(model)));
  await keepSummary(path, manifest, cells);
  await writeFile(join(path, 'report.md'), reportMarkdown(content, png ? 'png' : 'svg'));
  const html = join(path, 'report.html');
  await writeFile(html, reportHtml(content));
  return { html, runs: results.length, failed: results.filter(({ end }) => end === 'failed').length, comparison, png };
}

async function writePng(path: string): Promise<void> {
  await run([RASTER, '--output', `${path}.png`, `${path}.svg`]);
  await writeFile(`${path}.png`, smallPng(await readFile(`${path}.png`)));
}

/** Of runs, or of a report without them, as docs/results has them. */
async function earlierReport(path: string): Promise<Reported> {
  const folder = await RunFolder.open(path);
  const summary = (await folder.finished()).size === 0 ? await readSummary(path) : null;
  return summary ?? (await readCells(path));
}

async function readCells(path: string) {
  const folder = await RunFolder.open(path);
  const results = await collectRuns(folder);
  if (results.length === 0) {
    throw new DiskswarmError(
      'INVALID_ARGUMENT',
      `${path} has the raw events of no finished run, and a report is made of those`,
      { data: { field: 'dir' } },
    );
  }
  return { manifest: folder.manifest, results, cells: summarise(folder.manifest.experiment, results) };
}
