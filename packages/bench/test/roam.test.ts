/** Experiments with a machine that goes back and forth: what they need, what is made of their runs, and what the report says of it. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import os from 'node:os';
import { join } from 'node:path';
import { DiskswarmError } from '@diskswarm/core';
import test from 'ava';
import { planRuns } from '../src/experiment/plan.ts';
import { checkMachine } from '../src/experiment/preflight.ts';
import { readExperiment } from '../src/experiment/read-experiment.ts';
import { writeReport } from '../src/results/write-report.ts';
import { figuresOf } from '../src/run/result.ts';
import { RunFolder } from '../src/run/run-folder.ts';

const FILE = `
name: mine
title: To and fro
systems: [diskswarm-roam, full-copy-modelled]
links: [{ name: LAN, rate: 100 Mbit/s }]
workloads: [desk-week: { days: 1, cache-mib: 2, temporary-mib: 1 }]
guest: { disk: 64 MiB, content: 16 MiB }
runs: 1
`;
const ARRIVALS = [
  { stay: 'Monday, home', bytes: 9e6, differingBlocks: 1000, tookMs: 900, readyMs: 200 },
  { stay: 'Tuesday, office', bytes: 3e6, differingBlocks: 500, tookMs: 500, readyMs: 100 },
];

test('figures: bytes of all moves and of one, over what differs, and times', (t) => {
  const arrived = ARRIVALS.map((arrival, index) => ({ event: 'arrived', atMs: 1000 * index, ...arrival }));
  const first = { event: 'first', atMs: 0, bytes: 17e6 };
  const figures = figuresOf([first, ...arrived, { event: 'roamed', atMs: 5000, ended: true }], []);
  t.like(figures, {
    weekBytes: 12,
    moveBytes: 6,
    mostBytes: 9,
    firstBytes: 17,
    ready: 0.15,
    moveTime: 0.7,
    total: 1.4,
  });
  t.is(figures.overDiffering, 12e6 / (1500 * 4096));
});

test('figures: what was counted and not sent has no times', (t) => {
  const arrived = ARRIVALS.map(({ stay, bytes, differingBlocks }) => ({
    ...{ event: 'arrived', atMs: 0, stay, bytes, differingBlocks },
  }));
  t.like(figuresOf([...arrived, { event: 'roamed', atMs: 5000, ended: true }], []), {
    ...{ weekBytes: 12, firstBytes: null, ready: null, moveTime: null, total: null },
  });
  t.deepEqual(figuresOf([{ event: 'roamed', atMs: 5000, ended: false }], []), {});
});

test('figures: a run over its limit has moves and no sums', (t) => {
  const arrived = { event: 'arrived', atMs: 1000, ...ARRIVALS[0] };
  const figures = figuresOf([arrived, { event: 'roamed', atMs: 5000, ended: false }], []);
  t.like(figures, { weekBytes: null, total: null, moveBytes: 9, ready: 0.2 });
});

test('no machine runs in it, so none is needed, but what its systems use is', (t) => {
  const machine = {
    ...{ root: true, tun: true, missingForGuests: ['busybox-static'], freeMemoryMib: 700, freeDiskMib: () => 600 },
    ...{ fileSystemOf: (folder: string) => folder, isMemory: () => false },
    hasProgram: (name: string) => !name.startsWith('qemu'),
  };
  t.notThrows(() => checkMachine(readExperiment(FILE, 'mine.yaml'), '/', machine));
  const withRsync = readExperiment(FILE.replace('full-copy-modelled', 'rsync-inplace'), 'mine.yaml');
  const lacking = { ...machine, hasProgram: (name: string) => name !== 'rsync' && name !== 'nbdsh' };
  const error = t.throws(() => checkMachine(withRsync, '/', lacking), { instanceOf: DiskswarmError });
  t.deepEqual(error?.data.packages, ['python3-libnbd', 'rsync']);
});

test('a disk without room for what the days bring is refused, and so is a machine that moves', (t) => {
  for (const [from, to, message] of [
    ['cache-mib: 2', 'cache-mib: 20', /^guest\.disk: "64 MiB" is not enough .*: 97 MiB/],
    [
      'full-copy-modelled',
      'freeze-copy',
      /^systems: "freeze-copy" is not one that can be compared with diskswarm-roam/,
    ],
    [
      'desk-week: { days: 1, cache-mib: 2, temporary-mib: 1 }',
      'idle',
      /^workloads: "idle" is not one for diskswarm-roam/,
    ],
    ['days: 1', 'days: 0', /days: 0 is not a whole number from 1 to 28/],
  ] as const) {
    const error = t.throws(() => readExperiment(FILE.replace(from, to), 'mine.yaml'), { instanceOf: DiskswarmError });
    t.regex(error?.message ?? '', message);
  }
});

test('its report shows each move, and says what is modelled', async (t) => {
  const path = await mkdtemp(join(os.tmpdir(), 'bench-roam-'));
  t.teardown(() => rm(path, { recursive: true, force: true }));
  const experiment = readExperiment(FILE, 'mine.yaml');
  const folder = await RunFolder.create(path, {
    experiment,
    startedAt: '2026-01-02T03:04:05Z',
    machine: 'm',
    versions: {},
  });
  for (const run of planRuns(experiment)) {
    await folder.keep(run, async (record) => {
      for (const { tookMs, readyMs, ...arrival } of ARRIVALS) {
        const real = run.system === 'diskswarm-roam' ? { tookMs, readyMs } : {};
        record('arrived', performance.now(), { ...arrival, ...real });
      }
      record('roamed', performance.now(), { ended: true });
    });
  }
  t.like(await writeReport(path, null), { runs: 2, failed: 0 });
  const chart = await readFile(join(path, 'plots', 'lan-1-day-moves.svg'), 'utf8');
  for (const part of ['1. Monday, home', '2. Tuesday, office', '9 MB', '3 MB']) t.true(chart.includes(part), part);
  const moves = (await readFile(join(path, 'moves.csv'), 'utf8')).trim().split('\r\n');
  t.is(moves.length, 5);
  t.true(
    moves.some((line) => /^\d,diskswarm-roam,LAN,1 day,1,2,"Tuesday, office",3,2\.048,0\.1,0\.5$/.test(line)),
    moves[2],
  );
  t.true(
    moves.some((line) => /^\d,full-copy-modelled,.*,9,4\.096,,$/.test(line)),
    moves[3],
  );
  const html = await readFile(join(path, 'report.html'), 'utf8');
  for (const part of ['full-copy-modelled', 'Modelled too: what is written', '64 MiB of disk', '1.95 ×']) {
    t.true(html.includes(part), part);
  }
  t.false(/NaN|undefined|Infinity|of memory/.test(html));
});
