/** Reports: made of runs as they stand on disk, they say what a reader would look for, and mark what got worse. */
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import { join } from 'node:path';
import { documentOf } from '@diskswarm/bench';
import { DiskswarmError } from '@diskswarm/core';
import test, { type ExecutionContext } from 'ava';
import { planRuns } from '../src/experiment/plan.ts';
import { readExperiment } from '../src/experiment/read-experiment.ts';
import { ticksUpTo } from '../src/results/charts/svg.ts';
import { writeReport } from '../src/results/write-report.ts';
import { RunFolder } from '../src/run/run-folder.ts';

const FILE = `
name: mine
title: Ours & <theirs>
systems: [diskswarm-hybrid, mirror-background, memory-alone]
links: [{ name: LAN, rate: 100 Mbit/s }]
workloads: [rewrite]
guest: { disk: 64 MiB, content: 8 MiB }
runs: 3
`;
const SWEEP = FILE.replace(/links: .*/, 'links: { rates: [5 Mbit/s, 20 Mbit/s], round-trips: [0 ms, 50 ms] }');

interface FakeMove {
  readonly totalMs: number;
  readonly gapMs: number;
  /** False when it was over the limit. */
  readonly ended?: boolean;
  /** How often the guest's kernel had crashed. */
  readonly again?: number;
}

/** Runs that nobody ran: moves of `totalMs` in which the guest stood still for `gapMs`. */
async function fakeRuns(
  t: ExecutionContext,
  source: string,
  shape: (system: string, round: number) => FakeMove | null,
) {
  const path = await mkdtemp(join(os.tmpdir(), 'bench-report-'));
  t.teardown(() => rm(path, { recursive: true, force: true }));
  const experiment = readExperiment(source, 'mine.yaml');
  const facts = { smoke: false, startedAt: '2026-01-02T03:04:05Z', machine: 'a machine', versions: { qemu: '7.2' } };
  const folder = await RunFolder.create(path, { experiment, ...facts });
  for (const run of planRuns(experiment)) {
    const move = shape(run.system, run.round);
    await folder.keep(run, async (record) => {
      const start = performance.now();
      if (move === null) return record('broken', start, { reason: 'the line, "it", broke' });
      record('before', start);
      for (let ms = 0; ms < 4000 + move.totalMs; ms += 100) {
        if (ms < 4500 || ms > 4500 + move.gapMs) record('wrote', start + ms);
      }
      record('move', start + 4000);
      if (move.again !== undefined) record('again', start, { crashes: move.again });
      const { ended = true } = move;
      record('end', start + 4000 + move.totalMs, { ended });
      const stopToResumeMs = ended ? move.gapMs : Number.NaN;
      record('moved', start + 4000 + move.totalMs, { ended, wireBytes: 5e6, stopToResumeMs });
    });
  }
  return path;
}

test('a report has the figures, the facts, what is modelled, and a picture for each figure', async (t) => {
  const path = await fakeRuns(t, FILE, (system, round) => ({
    totalMs: (system === 'mirror-background' ? 20_000 : 10_000) + round * 1000,
    gapMs: system === 'memory-alone' ? 500 : 1500,
  }));
  const report = await writeReport(path, null);
  t.like(report, { runs: 9, failed: 0, comparison: null });
  const html = await readFile(report.html, 'utf8');
  t.true(html.includes('<h1>Ours &amp; &lt;theirs&gt;</h1>'));
  for (const part of ['9 of 9', 'a machine', 'qemu 7.2', 'Modelled', '12 s (11 to 13)', '22 s (21 to 23)', '<svg']) {
    t.true(html.includes(part), part);
  }
  t.false(/NaN|undefined|Infinity/.test(html));
  const summary = await readFile(join(path, 'summary.csv'), 'utf8');
  const [head = '', ...rows] = summary
    .trim()
    .split('\r\n')
    .map((line) => line.split(','));
  const additional = (system: string) =>
    Number(rows.find((row) => row[2] === system)?.[head.indexOf('additional (ms)')]);
  t.is(additional('diskswarm-hybrid'), 1000);
  const markdown = await readFile(join(path, 'report.md'), 'utf8');
  const pictures = [...markdown.matchAll(/\]\(plots\/([^)]+)\)/g)].map(([, file]) => file);
  const plots = await readdir(join(path, 'plots'));
  t.true(pictures.length >= 6);
  for (const file of pictures) t.true(plots.includes(file!), file);
  for (const file of plots.filter((each) => each.endsWith('.svg'))) {
    t.false(/NaN|undefined|Infinity/.test(await readFile(join(path, 'plots', file), 'utf8')), file);
  }
});

test('runs that failed are counted and told, and no figure is made of them', async (t) => {
  const path = await fakeRuns(t, FILE, (system, round) =>
    system === 'diskswarm-hybrid' && round === 2 ? null : { totalMs: 9000, gapMs: 100 },
  );
  const report = await writeReport(path, null);
  t.like(report, { runs: 9, failed: 1 });
  const html = await readFile(report.html, 'utf8');
  t.true(html.includes('3 (1 failed)'));
  t.true(html.includes('the line, &quot;it&quot;, broke'));
  t.true((await readFile(join(path, 'runs.csv'), 'utf8')).includes('"the line, ""it"", broke"'));
});

test('where DRBD stands beside others a report says in words what may be compared, and never calls it the best', async (t) => {
  const source = FILE.replace('mirror-background', 'drbd-c').replace('runs: 3', 'runs: 1');
  const path = await fakeRuns(t, source, (system) => ({
    totalMs: system === 'drbd-c' ? 5000 : system === 'memory-alone' ? 6000 : 9000,
    gapMs: 100,
  }));
  await writeReport(path, null);
  for (const file of ['report.html', 'report.md']) {
    const report = await readFile(join(path, file), 'utf8');
    t.regex(report, /† drbd-c: real DRBD, but inside emulated guests/, file);
    t.regex(report, /no opponent here under equal conditions/, file);
    t.regex(report, /drbd-c †/, file);
    t.notRegex(report, /(\| drbd-c †[^\n]*\*\*|drbd-c †<[^\n]*figure best)/, file);
    for (const word of ['memory as it is', 'memory compressed', 'LAN: 100 Mbit/s, one way 0 ms', 'region-mib 32'])
      t.is(report.includes(word), word !== 'memory as it is', `${file}: ${word}`);
  }
  const [head = '', ...rows] = (await readFile(join(path, 'runs.csv'), 'utf8'))
    .split('\r\n')
    .map((line) => line.split(','));
  const drbd = rows.find(([, system]) => system === 'drbd-c')!;
  t.is(drbd[head.indexOf('additional (ms)')], '');
  t.not(drbd[head.indexOf('disruption (ms)')], '');
});

test('a figure that not all rounds have says so, what did not end is never the best, and what was begun anew is told', async (t) => {
  const path = await fakeRuns(t, FILE, (system, round) => ({
    totalMs: system === 'diskswarm-hybrid' ? 5000 + round : 9000,
    gapMs: 100,
    ...(system === 'diskswarm-hybrid' && round > 1 ? { ended: false } : {}),
    ...(system === 'mirror-background' && round === 2 ? { again: 2 } : {}),
  }));
  await writeReport(path, null);
  const markdown = await readFile(join(path, 'report.md'), 'utf8');
  t.regex(markdown, /diskswarm-hybrid \| 3 \(2 over the limit\) \| 5 s .*\| 100 ms, n = 1 \|/);
  t.notRegex(markdown, /diskswarm-hybrid \|.*\*\*/);
  t.regex(markdown, /2 begun anew because the guest's kernel had crashed/);
  t.regex(markdown, /\(mirror-background, LAN, rewrite 5 MB\/s\) was begun anew 2 times/);
  t.notRegex(markdown, /every block of content/);
});

test('nothing is added to a move of the memory alone that did not end', async (t) => {
  const path = await fakeRuns(t, FILE, (system) => ({
    ...{ totalMs: 9000, gapMs: 1500 },
    ...(system === 'memory-alone' ? { ended: false } : {}),
  }));
  await writeReport(path, null);
  const [head = '', ...rows] = (await readFile(join(path, 'runs.csv'), 'utf8'))
    .split('\r\n')
    .map((line) => line.split(','));
  const ours = rows.filter(([, system]) => system === 'diskswarm-hybrid');
  t.is(ours.length, 3);
  for (const row of ours) {
    t.is(row[head.indexOf('additional (ms)')], '');
    t.not(row[head.indexOf('disruption (ms)')], '');
  }
});

test('a sweep over rates and round trips has maps, in which cells that are not whole are marked', async (t) => {
  const path = await fakeRuns(t, SWEEP, (system, round) =>
    system === 'mirror-background' && round === 1 ? null : { totalMs: 9000, gapMs: 100 },
  );
  await writeReport(path, null);
  const plots = await readdir(join(path, 'plots'));
  t.true(plots.includes('rewrite-5-mb-s-total.svg'), plots.join(' '));
  const map = await readFile(join(path, 'plots', 'rewrite-5-mb-s-total.svg'), 'utf8');
  for (const part of ['5 Mbit/s', '20 Mbit/s', '50 ms', 'mirror-background', '>9 *<', '>9<', '* some runs failed'])
    t.true(map.includes(part), part);
});

test('against earlier runs, what is worse beyond the noise is a regression', async (t) => {
  const before = await fakeRuns(t, FILE, (_, round) => ({ totalMs: 10_000 + round * 500, gapMs: 1000 }));
  const now = await fakeRuns(t, FILE, (system, round) => ({
    totalMs: system === 'diskswarm-hybrid' ? 15_000 : 10_200 + round * 500,
    gapMs: system === 'mirror-background' ? 400 : 1000,
  }));
  const { comparison, html } = await writeReport(now, before);
  const found = (comparison?.changes ?? []).map(({ verdict, measure, cell }) => [verdict, measure.name, cell.system]);
  t.deepEqual(found[0], ['regression', 'total', 'diskswarm-hybrid']);
  t.true(
    found.some(
      ([verdict, name, system]) => verdict === 'improvement' && name === 'downtime' && system === 'mirror-background',
    ),
  );
  t.false(found.some(([, name, system]) => name === 'total' && system !== 'diskswarm-hybrid'));
  t.regex(await readFile(html, 'utf8'), /Regressions: 1/);
});

test('against earlier runs, failing more often is a regression, and what differs beside the names is said or not compared', async (t) => {
  const before = await fakeRuns(t, FILE, () => ({ totalMs: 10_000, gapMs: 1000 }));
  const other = FILE.replace('runs: 3', 'runs: 2\nseed: 5');
  const now = await fakeRuns(t, other, (system, round) =>
    system === 'diskswarm-hybrid' && round === 2 ? null : { totalMs: 10_000, gapMs: 1000 },
  );
  const manifest = join(now, 'manifest.json');
  const text = await readFile(manifest, 'utf8');
  await writeFile(manifest, text.replace('"a machine"', '"another one"').replace('"7.2"', '"10.0"'));
  const { comparison } = await writeReport(now, before);
  t.deepEqual(
    comparison?.changes.map(({ verdict, measure, cell, before, now }) => [
      ...[verdict, measure.name, cell.system, before.median, now.median],
    ]),
    [['regression', 'unfinished', 'diskswarm-hybrid', 0, 50]],
  );
  const markdown = await readFile(join(now, 'report.md'), 'utf8');
  for (const words of [
    /Another machine: .*a machine.*another one/,
    /Another seed.*1 before, 5 now/,
    /qemu 7\.2 before, 10\.0 now/,
  ])
    t.regex(markdown, words);
  t.regex(markdown, /the ranges of up to \d+ of them would lie apart by chance/);
  await writeFile(manifest, text.replace('"diskMib": 64', '"diskMib": 65'));
  const unlike = await t.throwsAsync(writeReport(now, before), { instanceOf: DiskswarmError });
  t.regex(unlike?.message ?? '', /same guest, link and workload/);
});

test('a report that is kept without its runs has a place in the document, and newer runs can be held against it', async (t) => {
  const runs = await fakeRuns(t, SWEEP.replace(/0 ms, 50 ms/, '0 ms, 20 ms, 50 ms'), () => ({
    totalMs: 9000,
    gapMs: 100,
  }));
  await writeFile(join(runs, 'shows.md'), 'It shows this.\nAnd that.\n');
  const { html } = await writeReport(runs, null);
  t.regex(await readFile(html, 'utf8'), /<p>It shows this\.\nAnd that\.<\/p>/);
  const results = await mkdtemp(join(os.tmpdir(), 'bench-results-'));
  t.teardown(() => rm(results, { recursive: true, force: true }));
  const kept = join(results, 'mine');
  await cp(runs, kept, { recursive: true });
  await rm(join(kept, 'runs'), { recursive: true });
  const text = await documentOf(results);
  t.regex(text, /## Experiments\n\n### mine\n\nOurs & <theirs>\.\n\nIt shows this\.\nAnd that\.\n/);
  t.regex(text, /2026-01-02 03:04 UTC, seed 1, 3 of each system in each place, on a machine/);
  t.is(text.match(/^\| .*Mbit\/s, .* \| 3 \| 9 s \| 100 ms \|/gm)?.length, 4 * 3);
  t.notRegex(text, /20 ms \|/);
  t.regex(text, /results\/mine\/report\.md/);
  const summary = await readFile(join(kept, 'summary.json'), 'utf8');
  await writeFile(join(kept, 'summary.json'), summary.replace('"smoke":false', '"smoke":true'));
  t.notRegex(await documentOf(results), /Experiments/);
  await writeFile(join(kept, 'summary.json'), summary);
  t.deepEqual((await writeReport(runs, kept)).comparison?.changes, []);
  const cells = summary.slice(summary.indexOf('"cells"'));
  for (const damaged of [
    'null',
    '{"format":1}',
    `{"format":1,"manifest":{},${cells}`,
    summary.replace('"median":9', '"median":"9"'),
  ]) {
    await writeFile(join(kept, 'summary.json'), damaged);
    const error = await t.throwsAsync(writeReport(runs, kept), { instanceOf: DiskswarmError });
    t.is(error?.code, 'FORMAT_INVALID', damaged.slice(0, 100));
  }
  await writeFile(join(kept, 'summary.json'), summary);
  const gone = await t.throwsAsync(writeReport(kept, null), { instanceOf: DiskswarmError });
  t.regex(gone?.message ?? '', /raw events/);
  const { manifest } = await RunFolder.open(kept);
  await t.notThrowsAsync(RunFolder.create(kept, manifest));
});

test('folders that have nothing in common, or no run, are refused', async (t) => {
  const path = await fakeRuns(t, FILE, () => ({ totalMs: 9000, gapMs: 100 }));
  const other = await fakeRuns(t, FILE.replace('LAN', 'WAN'), () => ({ totalMs: 9000, gapMs: 100 }));
  const error = await t.throwsAsync(writeReport(path, other), { instanceOf: DiskswarmError });
  t.is(error?.code, 'INVALID_ARGUMENT');
  await rm(join(other, 'runs'), { recursive: true });
  await t.throwsAsync(writeReport(other, null));
});

test('axes end above what they show, in round steps', (t) => {
  t.deepEqual(ticksUpTo(12), [0, 2.5, 5, 7.5, 10, 12.5]);
  t.deepEqual(ticksUpTo(0.3), [0, 0.1, 0.2, 0.3]);
  t.deepEqual(ticksUpTo(0), [0, 1]);
});
