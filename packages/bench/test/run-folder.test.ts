/** Runs that are kept: whole or not at all, and what their events come to. */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import { join } from 'node:path';
import { DiskswarmError } from '@diskswarm/core';
import test from 'ava';
import { planRuns } from '../src/experiment/plan.ts';
import { factsOf } from '../src/results/words.ts';
import { loadExperiment } from '../src/run/load-experiment.ts';
import { figuresOf } from '../src/run/result.ts';
import { RunFolder } from '../src/run/run-folder.ts';
import { TimeLeft } from '../src/run/time-left.ts';

const EXPERIMENT = loadExperiment('bradford-2007', { smoke: true });
const PLAN = planRuns(EXPERIMENT);
const MANIFEST = {
  experiment: EXPERIMENT,
  smoke: true,
  startedAt: '2026-01-01T00:00:00Z',
  machine: 'a machine',
  versions: {},
};

test('a run that is to be done again leaves no file, so that an interrupt before that does not count as its end', async (t) => {
  const path = await mkdtemp(join(os.tmpdir(), 'bench-folder-'));
  t.teardown(() => rm(path, { recursive: true, force: true }));
  const folder = await RunFolder.create(path, MANIFEST);
  const crash = () =>
    folder.keep(
      PLAN[0]!,
      async () => 'crashed',
      (end) => end === 'crashed',
    );
  t.is(await crash(), 'crashed');
  t.deepEqual([...(await folder.finished())], []);
});

test('an interrupted run leaves no file, a finished one is found again', async (t) => {
  const path = await mkdtemp(join(os.tmpdir(), 'bench-folder-'));
  t.teardown(() => rm(path, { recursive: true, force: true }));
  const folder = await RunFolder.create(path, MANIFEST);
  await t.throwsAsync(folder.keep(PLAN[0]!, () => Promise.reject(new Error('interrupted'))));
  await folder.keep(PLAN[1]!, async (record) => record('moved', performance.now(), { wireBytes: 3 }));
  t.deepEqual(await readdir(join(path, 'runs')), [`0002-${PLAN[1]!.system}.jsonl`]);
  const again = await RunFolder.open(path);
  t.deepEqual([...(await again.finished())], [2]);
  t.deepEqual(again.manifest.experiment, EXPERIMENT);
  for await (const events of again.runs()) {
    t.like(events[0], { event: 'begin', number: 2, seed: PLAN[1]!.seed });
    t.like(events[1], { event: 'moved', wireBytes: 3 });
  }
});

test('runs are not mixed into a folder that has some, nor looked for where there are none', async (t) => {
  const path = await mkdtemp(join(os.tmpdir(), 'bench-folder-'));
  t.teardown(() => rm(path, { recursive: true, force: true }));
  const missing = await t.throwsAsync(RunFolder.open(path), { instanceOf: DiskswarmError });
  t.is(missing?.code, 'INVALID_ARGUMENT');
  await RunFolder.create(path, MANIFEST);
  const taken = await t.throwsAsync(RunFolder.create(path, MANIFEST), { instanceOf: DiskswarmError });
  t.is(taken?.code, 'NAME_EXISTS');
  const file = join(path, 'manifest.json');
  t.is(
    (await t.throwsAsync(RunFolder.create(file, MANIFEST), { instanceOf: DiskswarmError }))?.code,
    'INVALID_ARGUMENT',
  );
  await writeFile(join(path, 'manifest.json'), '{"format": 1');
  const damaged = await t.throwsAsync(RunFolder.open(path), { instanceOf: DiskswarmError });
  t.is(damaged?.code, 'FORMAT_INVALID');
  for (const text of ['null', '[]', '{"format": 1}', '{"format": 1, "experiment": {"links": []}}']) {
    await writeFile(join(path, 'manifest.json'), text);
    t.is((await t.throwsAsync(RunFolder.open(path), { instanceOf: DiskswarmError }))?.code, 'FORMAT_INVALID', text);
  }
  await writeFile(join(path, 'manifest.json'), '{"format": 2}');
  const other = await t.throwsAsync(RunFolder.open(path), { instanceOf: DiskswarmError });
  t.is(other?.code, 'STATE_VERSION');
});

test('going on with other versions or on another machine is kept and told, going on as before is not', async (t) => {
  const path = await mkdtemp(join(os.tmpdir(), 'bench-folder-'));
  t.teardown(() => rm(path, { recursive: true, force: true }));
  const folder = await RunFolder.create(path, { ...MANIFEST, versions: { qemu: '7.2' } });
  await folder.resume({ firstRun: 2, machine: 'a machine', versions: { qemu: '7.2' } });
  t.is((await RunFolder.open(path)).manifest.resumed, undefined);
  await folder.resume({ firstRun: 2, machine: 'a machine', versions: { qemu: '10.0' } });
  const { manifest } = await RunFolder.open(path);
  t.deepEqual(factsOf(manifest, []).find(([name]) => name === 'From run 2 on')?.[1], 'the same machine; qemu 10.0');
});

test('a run that is not whole, or not of this experiment, is named and never half read', async (t) => {
  const path = await mkdtemp(join(os.tmpdir(), 'bench-folder-'));
  t.teardown(() => rm(path, { recursive: true, force: true }));
  const folder = await RunFolder.create(path, MANIFEST);
  const [run, next] = PLAN as [(typeof PLAN)[0], (typeof PLAN)[0]];
  await folder.keep(run, async (record) => record('moved', performance.now(), { ended: true }));
  const [name = ''] = await readdir(join(path, 'runs'));
  const whole = await readFile(join(path, 'runs', name), 'utf8');
  const [begin = '', moved = ''] = whole.split('\n');
  const read = async () => {
    for await (const events of folder.runs()) t.true(events.length > 0);
  };
  await t.notThrowsAsync(read);
  for (const [text, why] of [
    ['', /is not of run 1/],
    [moved, /is not of run 1/],
    [begin, /ends in the middle/],
    [whole.slice(0, -5), /line 2 is no event/],
    [`${whole}null\n`, /line 3 is no event/],
    [`${whole}{"event":"tick"}\n`, /line 3 is no event/],
    [whole.replace(run.system, next.system), /is not of run 1/],
    ['\u0000\u00ff', /line 1 is no event/],
  ] as const) {
    await writeFile(join(path, 'runs', name), text);
    const error = await t.throwsAsync(read, { instanceOf: DiskswarmError });
    t.is(error?.code, 'FORMAT_INVALID');
    t.regex(error?.message ?? '', why);
    t.regex(error?.message ?? '', /0001-.*--resume/);
  }
  await writeFile(join(path, 'runs', name), whole);
  for (const other of ['0001-other.jsonl', '0099-mirror-background.jsonl']) {
    await writeFile(join(path, 'runs', other), whole);
    t.regex((await t.throwsAsync(read))?.message ?? '', /no such run, or another file has it/);
    await rm(join(path, 'runs', other));
  }
});

test('figures: half an hour of ticks has a longest silence', (t) => {
  const ticks = Array.from({ length: 200_000 }, (_, index) => ({ event: 'tick', atMs: 10 * index }));
  const ends = [
    { event: 'before', atMs: 0 },
    { event: 'move', atMs: 5 },
    { event: 'end', atMs: 2e6 },
  ];
  const figures = figuresOf([...ticks, ...ends, { event: 'moved', atMs: 2e6, wireBytes: 1 }], []);
  t.is(figures.gap, 10);
});

/** Steps every 100 ms from 0 on, but for one gap. */
function steps(untilMs: number, gap: readonly [number, number]) {
  return Array.from({ length: untilMs / 100 }, (_, index) => ({ event: 'wrote', atMs: index * 100 })).filter(
    ({ atMs }) => atMs <= gap[0] || atMs >= gap[1],
  );
}

test('figures: work against before, and disruption as the waits beyond those of before', (t) => {
  const events = [
    { event: 'before', atMs: 0 },
    ...steps(12_000, [8000, 9500]),
    ...[8000, 8700, 9300, 9900, 10_500, 11_100, 11_700].map((atMs) => ({ event: 'tick', atMs })),
    { event: 'move', atMs: 6000 },
    { event: 'end', atMs: 12_000 },
    { event: 'moved', atMs: 12_000, wireBytes: 2e6, stopToResumeMs: 1400 },
  ];
  const figures = figuresOf(events, ['wrote']);
  t.like(figures, { total: 6, downtime: 1400, gap: 700, disruption: 1500, bytes: 2, stalled: null, deltas: null });
  t.is(Math.round(figures.work ?? 0), Math.round((100 * (60 - 14)) / 60));
});

test('figures: requests that overlap are one disruption, and those before the move are none', (t) => {
  const ok = (atMs: number, tookMs: number) => ({ event: 'ok', atMs, tookMs });
  const events = [
    { event: 'before', atMs: 0 },
    ...Array.from({ length: 50 }, (_, index) => ok(100 + index * 100, 10)),
    { event: 'move', atMs: 6000 },
    ok(7000, 12),
    ok(9000, 1000),
    ok(9500, 1000),
    { event: 'failed', atMs: 10_000, tookMs: 400 },
    { event: 'stall', atMs: 100, tookMs: 0 },
    { event: 'stall', atMs: 9000, tookMs: 250 },
    { event: 'end', atMs: 11_000 },
    ok(11_050, 10),
    { event: 'moved', atMs: 11_100, wireBytes: 0, stopToResumeMs: Number.NaN },
  ];
  const figures = figuresOf(events, ['ok']);
  t.like(figures, { disruption: 1900, downtime: null, stalled: 250 });
});

test('figures: a film or a guest that stands still at the end has stood still until then, and no longer', (t) => {
  const events = [
    { event: 'before', atMs: 0 },
    ...Array.from({ length: 50 }, (_, index) => ({ event: 'ok', atMs: 100 + index * 100, tookMs: 10 })),
    { event: 'tick', atMs: 5000 },
    { event: 'stall', atMs: 100, tookMs: 0 },
    { event: 'move', atMs: 6000 },
    { event: 'tick', atMs: 7000 },
    { event: 'end', atMs: 11_000 },
    { event: 'stall', atMs: 13_000, tookMs: 5000 },
    { event: 'moved', atMs: 13_100, wireBytes: 0, stopToResumeMs: Number.NaN },
  ];
  t.like(figuresOf(events, ['ok']), { gap: 4000, stalled: 3000 });
});

test('figures: a disk that two ends keep the same, and a resync that did not end', (t) => {
  const events = [
    { event: 'before', atMs: 0 },
    ...steps(20_000, [8000, 12_000]),
    { event: 'move', atMs: 5000 },
    { event: 'end', atMs: 7000, ended: true },
    { event: 'connected', atMs: 12_000, tookMs: 5000 },
    { event: 'resynced', atMs: 18_000, tookMs: 1500, wireBytes: 3e6, ended: true },
    { event: 'detached', atMs: 19_000, tookMs: 250 },
    { event: 'moved', atMs: 20_000, wireBytes: 0, ended: true },
  ].toSorted((left, right) => left.atMs - right.atMs);
  const { connectedWork, ...figures } = figuresOf(events, ['wrote']);
  t.is(Math.round(connectedWork ?? 0), 22);
  t.like(figures, { resync: 1.5, resyncBytes: 3, detach: 250 });
  const over = events.map((event) => (event.event === 'resynced' ? { ...event, ended: false } : event));
  t.is(figuresOf(over, ['wrote']).resync, undefined);
  t.is(figuresOf(events, []).connectedWork, null);
});

test('figures: who had no answer by the end was disrupted until then', (t) => {
  const events = [
    { event: 'before', atMs: 0 },
    ...Array.from({ length: 50 }, (_, index) => ({ event: 'ok', atMs: 100 + index * 100, tookMs: 10 })),
    { event: 'move', atMs: 5100 },
    { event: 'end', atMs: 12_000 },
    { event: 'moved', atMs: 13_000, wireBytes: 0, stopToResumeMs: 6900 },
  ];
  t.is(figuresOf(events, ['ok']).disruption, 7000);
});

test('figures: of hosts that boot the median and the last login, what crossed the line meanwhile, and what agents tell', (t) => {
  const parts = (p50: number) => ({ p50, p90: p50, p99: 2 * p50, max: 2 * p50 });
  const latencyUs = {
    ...parts(50_000),
    queue: parts(1000),
    network: parts(48_000),
    verify: parts(300),
    store: parts(700),
  };
  const events = [
    { event: 'disk', atMs: 400, dataBytes: 2e6, manifestBytes: 16_384 },
    { event: 'line', atMs: 500, near: 1e6, far: 1e6 },
    { event: 'move', atMs: 1000 },
    ...[0, 1, 2].map((host) => ({ event: 'asked', atMs: 1000, host })),
    ...[0, 1, 2].map((host) => ({ event: 'up', atMs: 4000 + 1000 * host, host })),
    { event: 'line', atMs: 8500, near: 4e6, far: 2e6 },
    { event: 'whole', atMs: 8900, host: 0 },
    { event: 'end', atMs: 9000, wireBytes: 4e6 },
    { event: 'line', atMs: 9500, near: 9e6, far: 9e6 },
    {
      event: 'facts',
      atMs: 9600,
      host: 0,
      memoryBytes: 90 * 2 ** 20,
      farBytes: 30,
      bytesBySource: { far: 30, near: 10 },
      touchedPieces: 40,
      faults: { count: 10, latencyUs },
    },
    {
      event: 'facts',
      atMs: 9600,
      host: 1,
      memoryBytes: 80 * 2 ** 20,
      touchedPieces: 40,
      faults: { count: 0, latencyUs },
    },
    { event: 'booted', atMs: 9700 },
  ];
  t.deepEqual(figuresOf(events, []), {
    ...{ login: 4, lastLogin: 5, whole: 7.9, total: 8, bytes: 4, faults: 5, missRate: 12.5 },
    ...{ overContent: 2, manifest: 16, memory: 90, farShare: 75 },
    ...{ faultMedian: 50, faultTail: 100, faultQueue: 1, faultNetwork: 48, faultVerify: 0.3, faultStore: 0.7 },
  });
});

test('time left goes by runs of the same kind', (t) => {
  const plan = planRuns(loadExperiment('bradford-2007'));
  const left = new TimeLeft(plan);
  t.is(left.text(), '');
  for (const run of plan.slice(0, -1)) left.finished(run, run.system === plan.at(-1)?.system ? 30_000 : 200_000);
  t.is(left.leftMs(), 30_000);
  t.regex(left.text(), /30 s left/);
});
