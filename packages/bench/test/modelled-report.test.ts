/** The modelled part of an experiment: what its file may say, and how a report tells it from what was measured. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import { join } from 'node:path';
import { DiskswarmError } from '@diskswarm/core';
import test from 'ava';
import { planRuns } from '../src/experiment/plan.ts';
import { readExperiment } from '../src/experiment/read-experiment.ts';
import { modelPlanned, planCrowds } from '../src/model/crowd-model.ts';
import { keepModel, readModel } from '../src/model/kept-model.ts';
import { writeReport } from '../src/results/write-report.ts';
import { RunFolder } from '../src/run/run-folder.ts';

const FILE = `
name: mine
title: A crowd
systems: [diskswarm-clones, nbd-overlay, copy-then-boot]
links: [{ name: uplink, there: 20 Mbit/s, back: 100 Mbit/s, round-trip: 20 ms }]
workloads: [boot, boot: { hosts: 2 }]
guest: { disk: 64 MiB, content: 8 MiB }
runs: 1
model: { hosts: [16, 40], lan: 1 Gbit/s }
`;
const CHUNK = 65_536;
const TRACE = {
  chunkBytes: CHUNK,
  present: [0, 1, 2, 3],
  steps: [0, 1, 2].map((piece) => ({ thinkUs: 100_000, pieces: [piece] })),
  restUs: 100_000,
};

test('what can be modelled is modelled: numbers that were measured first, then the others', (t) => {
  const plan = planCrowds(readExperiment(FILE, 'mine.yaml'));
  t.deepEqual(
    plan.map(({ system, hosts, measured }) => `${system} ${hosts} ${measured}`),
    [1, 2, 16, 40].flatMap((hosts) => [
      `diskswarm-clones ${hosts} ${hosts < 16}`,
      `nbd-overlay ${hosts} ${hosts < 16}`,
    ]),
  );
  const without = readExperiment(FILE.replace(/model:.*/, ''), 'mine.yaml');
  t.false('model' in without);
  t.deepEqual(planCrowds(without), []);
});

test('a model of what has none, of too many hosts or of unknown fields is refused', (t) => {
  for (const [from, to, words] of [
    ['hosts: 2', 'hosts: 2, traces: 1', /^model: /],
    ['[16, 40]', '[16, 20000]', /^model\.hosts\[1\]: /],
    ['lan: 1', 'wan: 1', /^model\.lan: nothing/],
    ['lan: 1 Gbit/s', 'lan: 1 Gbit/s, floor: 2', /^model\.floor: no such field/],
  ] as const) {
    const error = t.throws(() => readExperiment(FILE.replace(from, to), 'mine.yaml'), { instanceOf: DiskswarmError });
    t.is(error?.code, 'BAD_EXPERIMENT');
    t.regex(error?.message ?? '', words);
  }
});

test('a report marks what was modelled, and lays it beside what was measured', async (t) => {
  const path = await mkdtemp(join(os.tmpdir(), 'bench-model-'));
  t.teardown(() => rm(path, { recursive: true, force: true }));
  const experiment = readExperiment(FILE, 'mine.yaml');
  const folder = await RunFolder.create(path, {
    experiment,
    startedAt: '2026-01-02T03:04:05Z',
    machine: 'one',
    versions: {},
  });
  for (const run of planRuns(experiment)) {
    await folder.keep(run, async (record) => {
      const start = performance.now();
      record('move', start);
      for (let host = 0; host < (run.workload.settings.hosts ?? 1); host++) {
        record('asked', start, { host });
        record('up', start + 1000, { host });
      }
      record('end', start + 1000, { ended: true, wireBytes: 400_000 });
      record('booted', start + 1000, { ended: true });
    });
  }
  const signal = new AbortController().signal;
  const crowds = await Promise.all(
    planCrowds(experiment).map((planned) => modelPlanned(planned, { experiment, trace: TRACE, cores: 2, signal })),
  );
  await keepModel(path, { trace: TRACE, crowds });
  t.deepEqual(await readModel(path), { format: 1, trace: TRACE, crowds } as unknown);
  for (const damaged of ['null', '{"format": 1}', '{"format": 1, "trace": {}, "crowds": [{}]}']) {
    await writeFile(join(path, 'model.json'), damaged);
    t.is((await t.throwsAsync(readModel(path), { instanceOf: DiskswarmError }))?.code, 'FORMAT_INVALID', damaged);
  }
  await keepModel(path, { trace: TRACE, crowds });
  await writeReport(path, null);
  const markdown = await readFile(join(path, 'report.md'), 'utf8');
  t.regex(markdown, /diskswarm-clones and nbd-overlay: what no guest touches never comes/);
  t.regex(markdown, /## Modelled: uplink/);
  t.regex(markdown, /\| modelled: 16 hosts \| nbd-overlay \| 1 \| .* \| 16 × \|/);
  t.regex(markdown, /\| modelled: 2 hosts on 2 cores \| diskswarm-clones \| 1 \| .* \| \*\*1 ×\*\* \|/);
  // Two hosts read three chunks each, with headers and acknowledgements, where 0.4 MB were "measured".
  const lineMb = (2 * 3 * CHUNK * (1514 + 33)) / 1448 / 1e6;
  t.regex(
    markdown,
    new RegExp(
      `- boot of 2 hosts, nbd-overlay, modelled over measured: bytes on the line ${(lineMb / 0.4).toFixed(2)} × .*; median time to login 0\\.[5-9]`,
    ),
  );
  t.false(markdown.includes('copy-then-boot, modelled'));
  const html = await readFile(join(path, 'report.html'), 'utf8');
  t.true(html.includes('modelled over measured'));
  t.false(/NaN|undefined|Infinity/.test(html));
  const picture = await readFile(join(path, 'plots', 'modelled-uplink-login.svg'), 'utf8');
  for (const words of ['time to login', 'nbd-overlay: ', 'diskswarm-clones: ', '>100<'])
    t.true(picture.includes(words), words);
  t.false(/NaN|undefined|Infinity/.test(picture));
  t.is((await readFile(join(path, 'modelled.csv'), 'utf8')).trim().split('\r\n').length, 1 + crowds.length);
});
