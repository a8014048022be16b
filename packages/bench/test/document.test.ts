/** docs/BENCHMARKS.md: that the one in the repository is what its results make, and what results make of it. */
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import { join } from 'node:path';
import { deflateSync } from 'node:zlib';
import { DOCUMENT, documentOf, keepRow, RESULTS, ROWS, type RowRecord, recordOf } from '@diskswarm/bench';
import test, { type ExecutionContext } from 'ava';

const FACTS = { measuredAt: '2026-01-02T03:04Z', machine: 'a machine', load: 0.5, versions: {} };
/** A report of an experiment with its plots, compressed as git keeps it; raw events are not kept. */
const MAX_KEPT_BYTES = 500_000;

async function folderOf(t: ExecutionContext): Promise<string> {
  const path = await mkdtemp(join(os.tmpdir(), 'bench-results-'));
  t.teardown(() => rm(path, { recursive: true, force: true }));
  return path;
}

function recordWith(row: (typeof ROWS)[number], ours: readonly number[], value: number): RowRecord {
  const series = [{ subject: 'ours', measure: 'speed', unit: 'MiB/s', values: ours }];
  const target = { kind: 'at least', value: 1 } as const;
  const figures = [{ label: 'speed', unit: 'x', value, range: null, rounds: ours.length, target }];
  return recordOf(row, { series, figures, checks: ['content'], notes: ['a note'] }, FACTS);
}

test('docs/BENCHMARKS.md is what docs/results make: change those, or run `pnpm bench --document`', async (t) => {
  t.is(await readFile(DOCUMENT, 'utf8'), await documentOf(RESULTS));
});

test('what is kept of rows belongs to rows', async (t) => {
  const names = (await readdir(join(RESULTS, 'micro'))).map((file) => file.replace(/\.json$|\.why\.md$/, ''));
  const known = ROWS.map(({ name }) => name);
  t.deepEqual(
    names.filter((name) => !known.includes(name)),
    [],
  );
});

test('what is kept of experiments is small, says what it shows, and was no small run', async (t) => {
  const names = (await readdir(RESULTS)).filter((name) => name !== 'micro');
  t.deepEqual((await Promise.all(names.map(offencesOf))).flat(), []);
});

async function offencesOf(name: string): Promise<string[]> {
  const path = join(RESULTS, name);
  const read = (file: string): Promise<string> => readFile(join(path, file), 'utf8').catch(() => '');
  const shows = (await read('shows.md')).trim();
  const { experiment } = JSON.parse(await read('manifest.json')) as { experiment: { name: string; smoke: boolean } };
  const kept = (await readdir(path, { recursive: true })).filter(
    (file) => !file.startsWith('runs') && !file.endsWith('.svg'),
  );
  const contents = await Promise.all(kept.map((file) => readFile(join(path, file)).catch(() => Buffer.alloc(0))));
  const bytes = contents.reduce((sum, content) => sum + deflateSync(content).length, 0);
  return [
    ...(bytes > MAX_KEPT_BYTES ? [`${name}: ${bytes} bytes`] : []),
    ...(shows === '' ? [`${name}: no shows.md`] : []),
    ...((await read('report.md')).includes(shows) ? [] : [`${name}: shows.md is newer than the report`]),
    ...(experiment.smoke || experiment.name !== name
      ? [`${name}: is of ${experiment.name}, small: ${experiment.smoke}`]
      : []),
  ];
}

test('every reading of a row is kept, and a section is made of it with its median', async (t) => {
  const results = await folderOf(t);
  const [row] = ROWS;
  await keepRow(recordWith(row!, [3000, 1000, 2000], 1.5), results);
  const kept = JSON.parse(await readFile(join(results, 'micro', `${row!.name}.json`), 'utf8')) as RowRecord;
  t.like(kept.series[0], { rounds: 3, median: 2000, spread: 0.5, readings: [3000, 1000, 2000] });
  const text = await documentOf(results);
  t.regex(text, /\| speed \| ours \| 2,000 MiB\/s ± 50 % \| 3 \|/);
  t.regex(text, /\| speed \| 1\.5 × \| at least 1 × \| reached \|/);
  t.true(text.includes(`## ${row!.name}\n\n${row!.title}. To reach: ${row!.target}.`));
  t.regex(text, /2026-01-02 03:04 UTC, on a machine; load 0\.5 at the end/);
  t.notRegex(text, /Why:|Experiments/);
});

test('rows stand in the order of their table, whichever came first', async (t) => {
  const results = await folderOf(t);
  for (const row of [...ROWS].reverse()) await keepRow(recordWith(row, [1], 1), results);
  t.deepEqual(
    [...(await documentOf(results)).matchAll(/^## ([a-z-]+)$/gm)].map(([, name]) => name),
    ROWS.map(({ name }) => name),
  );
});

test('why a target is missed stays when the row is measured again', async (t) => {
  const results = await folderOf(t);
  const [row] = ROWS;
  await keepRow(recordWith(row!, [1], 0.5), results);
  t.regex(await documentOf(results), /nobody has written down why yet: results\/micro\/.*\.why\.md/);
  await writeFile(join(results, 'micro', `${row!.name}.why.md`), 'Because of the moon.\n');
  await keepRow(recordWith(row!, [1], 0.25), results);
  const text = await documentOf(results);
  t.regex(text, /0\.25 × \| at least 1 × \| missed, see \[why\]/);
  t.regex(text, /\*\*Why:\*\*\nBecause of the moon\.\n/);
});

test('no results make a document too, and damaged ones are named', async (t) => {
  const results = await folderOf(t);
  t.regex(await documentOf(results), /^# Benchmarks/);
  const [row] = ROWS;
  await mkdir(join(results, 'micro'));
  await writeFile(join(results, 'micro', `${row!.name}.json`), '{"format": 1, "row"');
  await t.throwsAsync(documentOf(results), { message: new RegExp(`${row!.name}\\.json`) });
});
