/**
 * docs/BENCHMARKS.md, whole, from docs/results: rows in the order of their table, then experiments by name.
 *
 *   results/micro/ROW.json      a run of a row (row-record.ts)
 *   results/micro/ROW.why.md    why a target is missed, by a person
 *   results/NAME/summary.json   an experiment, beside its report
 *   results/NAME/shows.md       what it shows, by a person
 *
 * The same results always give the same text: a test holds the document in the repository against them.
 */
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DiskswarmError } from '@diskswarm/core';
import { readSummary } from '../results/kept-summary.ts';
import { readShows } from '../results/shows.ts';
import { ROWS } from '../rows/index.ts';
import { experimentSection, type KeptExperiment } from './experiment-section.ts';
import { RECORD_FORMAT, type RowRecord } from './row-record.ts';
import { rowSection, summaryTable } from './row-section.ts';

const DOCS = fileURLToPath(new URL('../../../../docs/', import.meta.url));
/** Of the repository. */
export const RESULTS = join(DOCS, 'results');
export const DOCUMENT = join(DOCS, 'BENCHMARKS.md');
const MICRO = 'micro';

const HEAD = `# Benchmarks

How fast, how small and how quick diskswarm is beside other people's programs, measured in the same run on the same data.
This file is generated from [results](results): \`pnpm bench\` measures the rows, \`pnpm bench ROW\` one of them, \`diskswarm bench\` the
experiments ([BENCH.md](BENCH.md)), and \`pnpm bench --document\` only writes it anew.

Figures are medians over rounds in which all subjects take turns, ratios are formed within a round, and the lowest and
highest round stand in brackets. Absolute figures depend on the machine and on what else it did; ratios are what counts.

## Summary
`;

/** Keeps a run of a row in place of its earlier one. */
export async function keepRow(record: RowRecord, results: string = RESULTS): Promise<void> {
  await mkdir(join(results, MICRO), { recursive: true });
  await writeFile(join(results, MICRO, `${record.row}.json`), `${JSON.stringify(record, null, 1)}\n`);
}

/** Writes the repository's document. */
export async function renewDocument(): Promise<void> {
  await writeFile(DOCUMENT, await documentOf(RESULTS));
}

/** Whether a folder is an experiment's among the results of the repository. */
export function isKept(path: string): boolean {
  return dirname(resolve(path)) === RESULTS && existsSync(path);
}

/** The document that a folder of results makes. @throws DiskswarmError FORMAT_INVALID, STATE_VERSION with the file's name */
export async function documentOf(results: string): Promise<string> {
  const records = await rowsOf(results);
  const sections = await Promise.all(
    records.map(async (record) => rowSection(record, await textOf(join(results, MICRO, `${record.row}.why.md`)))),
  );
  const experiments = await experimentsOf(results);
  const parts = [HEAD, summaryTable(records), ...sections];
  if (experiments.length > 0) parts.push('## Experiments\n', ...experiments.map(experimentSection));
  return parts.join('\n');
}

async function rowsOf(results: string): Promise<readonly RowRecord[]> {
  const records: RowRecord[] = [];
  for (const { name } of ROWS) {
    const file = join(results, MICRO, `${name}.json`);
    const text = await textOf(file);
    if (text !== '') records.push(parseRecord(text, file));
  }
  return records;
}

function parseRecord(text: string, file: string): RowRecord {
  let record: RowRecord;
  try {
    record = JSON.parse(text) as RowRecord;
  } catch (error) {
    throw new DiskswarmError('FORMAT_INVALID', `${file} is damaged: ${(error as Error).message}`, { cause: error });
  }
  if (record.format === RECORD_FORMAT) return record;
  throw new DiskswarmError('STATE_VERSION', `${file} was written by another version of the bench`);
}

/** Small runs show that everything works; they have no place among figures. */
async function experimentsOf(results: string): Promise<readonly KeptExperiment[]> {
  const entries = await readdir(results, { withFileTypes: true }).catch(() => []);
  const names = entries.filter((entry) => entry.isDirectory() && entry.name !== MICRO).map(({ name }) => name);
  const kept: KeptExperiment[] = [];
  for (const name of names.sort()) {
    const path = join(results, name);
    const summary = await readSummary(path);
    if (summary === null || summary.manifest.experiment.smoke) continue;
    kept.push({ name, ...summary, shows: await readShows(path) });
  }
  return kept;
}

async function textOf(file: string): Promise<string> {
  return (await readFile(file, 'utf8').catch(() => '')).trim();
}
