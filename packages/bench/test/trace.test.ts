/** Traces: read strictly, made of nbdkit's logs, found beside their experiment, and replayed with the waits of their guest. */
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import { join } from 'node:path';
import { DiskswarmError } from '@diskswarm/core';
import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import { playTrace } from '../src/hosts/play-trace.ts';
import { serve } from '../src/programs.ts';
import { keepExperiment, loadExperiment } from '../src/run/load-experiment.ts';
import { figuresOf } from '../src/run/result.ts';
import { requestsOfLog } from '../src/traces/nbdkit-log.ts';
import { formatTrace, parseTrace, reachOf, type TraceRequest } from '../src/traces/trace.ts';

const LOG = `2026-11-21 23:59:59.900000 connection=1 Connect export="" tls=0 size=0x800000 write=1
2026-11-21 23:59:59.950000 connection=1 Read id=1 offset=0x1000 count=0x10000 ...
2026-11-21 23:59:59.960000 connection=1 Write id=2 offset=0x20000 count=0x200 fua=1 ...
2026-11-22 00:00:00.000100 connection=1 ...Write id=2 return=0
2026-11-22 00:00:00.000300 connection=1 ...Read id=1 return=0
2026-11-22 00:00:00.000400 connection=1 Flush id=3 ...
2026-11-22 00:00:00.000900 connection=1 ...Flush id=3 return=0
2026-11-22 00:00:00.001000 connection=1 Trim id=4 offset=0x0 count=0x1000 fua=0 ...
2026-11-22 00:00:00.001100 connection=1 ...Trim id=4 return=0
2026-11-22 00:00:00.002000 connection=1 Read id=5 offset=0x0 count=0x200 ...
2026-11-22 00:00:00.002100 connection=1 ...Read id=5 return=-1 error=EIO
2026-11-22 00:00:00.003000 connection=1 Read id=6 offset=0x0 count=0x200 ...
`;
const EXPERIMENT = `
name: mine
title: Mine
systems: [diskswarm-boot]
links: [{ name: LAN, rate: 100 Mbit/s }]
workloads: [replay: { trace: mine.trace }]
guest: { disk: 32 MiB, content: 8 MiB }
runs: 1
`;

async function folderOf(t: ExecutionContext): Promise<string> {
  const path = await mkdtemp(join(os.tmpdir(), 'bench-trace-'));
  t.teardown(() => rm(path, { recursive: true, force: true }));
  return path;
}

test('a log of nbdkit becomes a trace: over midnight, requests together, without what failed or never ended', (t) => {
  const requests = requestsOfLog(LOG);
  t.deepEqual(requests, [
    { atUs: 50_000, operation: 'read', offsetBytes: 0x1000, lengthBytes: 0x10000, tookUs: 50_300 },
    { atUs: 60_000, operation: 'write', offsetBytes: 0x20000, lengthBytes: 0x200, tookUs: 40_100 },
    { atUs: 100_400, operation: 'flush', offsetBytes: 0, lengthBytes: 0, tookUs: 500 },
    { atUs: 101_000, operation: 'zero', offsetBytes: 0, lengthBytes: 0x1000, tookUs: 100 },
  ]);
  t.is(reachOf(requests), 0x20200);
  t.deepEqual(parseTrace(formatTrace(requests, ['a remark']), 'x'), requests);
});

test('what was formatted is read again', (t) => {
  const request = fc.record({
    atUs: fc.nat(1e9),
    operation: fc.constantFrom<TraceRequest['operation']>('read', 'write', 'zero'),
    offsetBytes: fc.nat(2 ** 31),
    lengthBytes: fc.integer({ min: 1, max: 2 ** 25 }),
    tookUs: fc.nat(1e9),
  });
  fc.assert(
    fc.property(fc.array(request, { minLength: 1, maxLength: 20 }), (requests) => {
      const sorted = requests.sort((left, right) => left.atUs - right.atUs);
      t.deepEqual(parseTrace(formatTrace(sorted, []), 'x'), sorted);
    }),
  );
});

for (const [what, text, message] of [
  ['another format', 'diskswarm-trace 2\n0 read 0 1 1\n', /^x, line 1: a trace begins with/],
  ['nothing', 'diskswarm-trace 1\n# nothing\n', /no request/],
  ['an unknown operation', 'diskswarm-trace 1\n0 seek 0 1 1\n', /^x, line 2: "seek" is not one of read, write/],
  ['a negative offset', 'diskswarm-trace 1\n0 read -1 1 1\n', /line 2: takes/],
  ['a field too many', 'diskswarm-trace 1\n0 read 1 1 1 1\n', /line 2: takes/],
  ['an endless read', 'diskswarm-trace 1\n0 read 0 4294967296 1\n', /at most 33554432 bytes/],
  ['a read of nothing', 'diskswarm-trace 1\n0 read 0 0 1\n', /a flush has length 0/],
  ['time that goes back', 'diskswarm-trace 1\n5 read 0 1 1\n4 read 0 1 1\n', /^x, line 3: requests stand in the order/],
  ['too many requests', `diskswarm-trace 1\n${'0 read 0 1 1\n'.repeat(50_001)}`, /line 50002: a trace has at most/],
] as const) {
  test(`refused: ${what}`, (t) => {
    const error = t.throws(() => parseTrace(text, 'x'), { instanceOf: DiskswarmError });
    t.is(error?.code, 'BAD_EXPERIMENT');
    t.regex(error?.message ?? '', message);
  });
}

test('an experiment finds its trace beside it, knows it by its digest, and refuses one that its disk is too small for', async (t) => {
  const folder = await folderOf(t);
  const file = join(folder, 'mine.yaml');
  await writeFile(file, EXPERIMENT);
  t.regex(t.throws(() => loadExperiment(file))?.message ?? '', /mine\.trace is neither beside the experiment/);
  await writeFile(join(folder, 'mine.trace'), 'diskswarm-trace 1\n0 read 0 4096 10\n');
  const { traces, workloads } = loadExperiment(file);
  t.regex(traces?.['mine.trace'] ?? '', /^[0-9a-f]{64}$/);
  t.like(workloads[0], { trace: 'mine.trace', label: 'replay of mine' });
  const out = await folderOf(t);
  await keepExperiment(loadExperiment(file), file, out);
  t.deepEqual((await readdir(out)).sort(), ['experiment.yaml', 'mine.trace']);
  // The folder is enough to do it again, even into itself.
  const kept = join(out, 'experiment.yaml');
  await keepExperiment(loadExperiment(kept), kept, out);
  t.deepEqual(loadExperiment(kept), loadExperiment(file));
  await writeFile(join(folder, 'mine.trace'), 'diskswarm-trace 1\n0 read 0 8192 10\n');
  t.not(loadExperiment(file).traces?.['mine.trace'], traces?.['mine.trace']);
  await writeFile(join(folder, 'mine.trace'), 'diskswarm-trace 1\n0 read 33554432 4096 10\n');
  t.regex(t.throws(() => loadExperiment(file))?.message ?? '', /mine\.trace needs 33 MiB, the disk has 32/);
  for (const name of ['../mine.trace', '/etc/passwd', '.hidden', '']) {
    await writeFile(file, EXPERIMENT.replace('mine.trace', JSON.stringify(name)));
    t.regex(t.throws(() => loadExperiment(file))?.message ?? '', /is not the name of a file/);
  }
});

test('a replay keeps the pauses of its guest, and lets what follows wait for what it waited for', async (t) => {
  const folder = await folderOf(t);
  const [socket, trace, log] = [join(folder, 'disk.sock'), join(folder, 'trace'), join(folder, 'log')];
  // Reads take 500 ms here and took 1 ms there: two together, and after a pause of 300 ms a write that waited for both.
  const requests: readonly TraceRequest[] = [
    { atUs: 10_000, operation: 'read', offsetBytes: 0, lengthBytes: 4096, tookUs: 1000 },
    { atUs: 10_500, operation: 'read', offsetBytes: 65_536, lengthBytes: 512, tookUs: 1000 },
    { atUs: 311_500, operation: 'write', offsetBytes: 4096, lengthBytes: 4096, tookUs: 100 },
    { atUs: 311_700, operation: 'zero', offsetBytes: 8192, lengthBytes: 4096, tookUs: 100 },
    { atUs: 311_900, operation: 'flush', offsetBytes: 0, lengthBytes: 0, tookUs: 100 },
  ];
  await writeFile(trace, formatTrace(requests, []));
  const filters = ['--filter=log', '--filter=delay', '--filter=cow'];
  const command = ['nbdkit', '--foreground', '--unix', socket, ...filters, 'memory', 'size=1M', 'rdelay=500ms'];
  const disk = await serve([...command, `logfile=${log}`], async () => existsSync(socket));
  t.teardown(() => disk.stop());
  const play = { uri: `nbd+unix:///?socket=${socket}`, trace, limitMs: 60_000 };
  const played = await playTrace({ ...play, hurry: false });
  const order = [...played].sort((left, right) => left.atMs - left.tookMs - (right.atMs - right.tookMs));
  const wanted = requests.map(({ operation, lengthBytes }) => `${operation} ${lengthBytes}`);
  const begun = order.map(({ operation, bytes }) => `${operation} ${bytes}`);
  // Half a millisecond between the reads is less than a busy machine tells apart.
  t.deepEqual([begun.slice(0, 2).sort(), begun.slice(2)], [wanted.slice(0, 2).sort(), wanted.slice(2)]);
  const [first, second, write] = order.map(({ atMs, tookMs }) => ({ fromMs: atMs - tookMs, untilMs: atMs }));
  t.true(second!.fromMs < first!.untilMs, 'the reads are under way together');
  t.true(write!.fromMs - Math.max(first!.untilMs, second!.untilMs) >= 299, 'the pause is kept');
  const figures = figuresOf(
    [
      { event: 'asked', atMs: order[0]!.atMs - 500, host: 0 },
      ...played.map((request) => ({ event: 'request', host: 0, ...request })),
      { event: 'played', atMs: write!.untilMs + 500, host: 0 },
      { event: 'booted', atMs: write!.untilMs + 600 },
    ],
    [],
  );
  t.is(figures.stalls, played.filter(({ tookMs }) => tookMs > 100).length);
  t.true((figures.stalls ?? 0) >= 2 && (figures.stalled ?? 0) >= 200 && (figures.requestTail ?? 0) >= 200);
  t.is(figures.login, undefined);
  const hurried = await playTrace({ ...play, hurry: true });
  t.is(hurried.length, requests.length);
});
