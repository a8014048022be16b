/** Experiment files: what is refused and how it is said, and what the shipped ones come to. */
import { DiskswarmError } from '@diskswarm/core';
import test, { type ExecutionContext } from 'ava';
import type { Experiment } from '../src/experiment/experiment.ts';
import { planRuns } from '../src/experiment/plan.ts';
import { checkMachine, type Machine } from '../src/experiment/preflight.ts';
import { readExperiment } from '../src/experiment/read-experiment.ts';
import { loadExperiment, shippedExperiments } from '../src/run/load-experiment.ts';

const GOOD = `
name: mine
title: A first look
systems: [diskswarm-hybrid, mirror-background]
links:
  - { name: home, there: 5 Mbit/s, back: 50 Mbit/s, round-trip: 30 ms, loss: 0.5 % }
  - { name: LAN, rate: 1 Gbit/s }
workloads:
  - idle
  - rewrite: { kib-per-second: 512 }
guest: { disk: 64 MiB, content: 8 MiB }
runs: 3
`;

const refused = test.macro({
  exec(t: ExecutionContext, change: readonly [string | RegExp, string], message: RegExp) {
    const source = GOOD.replace(...change);
    t.not(source, GOOD);
    const error = t.throws(() => readExperiment(source, 'mine.yaml'), { instanceOf: DiskswarmError });
    t.is(error?.code, 'BAD_EXPERIMENT');
    t.regex(error?.message ?? '', message);
  },
  title: (title) => `refused: ${title}`,
});

test('a good file is read with its units, and what it leaves out is filled in', (t) => {
  const experiment = readExperiment(GOOD, 'mine.yaml', { seed: 9 });
  t.deepEqual(experiment.links[0], {
    name: 'home',
    there: { bitsPerSecond: 5e6, delayMs: 15, lossShare: 0.005 },
    back: { bitsPerSecond: 50e6, delayMs: 15, lossShare: 0.005 },
  });
  t.deepEqual(experiment.workloads[1], {
    name: 'rewrite',
    label: 'rewrite 0.5 MB/s',
    settings: { 'region-mib': 32, 'kib-per-second': 512 },
  });
  t.like(experiment, { seed: 9, runs: 3, limitSeconds: 300, guest: { memoryMib: 128 } });
});

test('each direction may have its own delay and loss', (t) => {
  const home =
    '{ name: home, there: { rate: 5 Mbit/s, delay: 40 ms }, back: { rate: 50 Mbit/s, loss: 2 % }, loss: 0.5 % }';
  t.deepEqual(readExperiment(GOOD.replace(/\{ name: home.*/, home), 'mine.yaml').links[0], {
    name: 'home',
    there: { bitsPerSecond: 5e6, delayMs: 40, lossShare: 0.005 },
    back: { bitsPerSecond: 50e6, delayMs: 0, lossShare: 0.02 },
  });
});
test(
  'a round trip and the delay of a direction',
  refused,
  ['there: 5 Mbit/s', 'there: { rate: 5 Mbit/s, delay: 1 ms }'],
  /either "round-trip" or the "delay"/,
);
test(
  'an unknown field of a direction',
  refused,
  ['there: 5 Mbit/s', 'there: { rate: 5 Mbit/s, jitter: 1 ms }'],
  /^links\[0\]\.there\.jitter: no such field/,
);

test('rates and round trips cross into links', (t) => {
  const source = GOOD.replace(
    /links:[\s\S]*workloads/,
    'links: { rates: [5 Mbit/s, 20 Mbit/s], round-trips: [0 ms, 50 ms] }\nworkloads',
  );
  t.deepEqual(
    readExperiment(source, 'mine.yaml').links.map(({ name }) => name),
    ['5 Mbit/s, 0 ms', '5 Mbit/s, 50 ms', '20 Mbit/s, 0 ms', '20 Mbit/s, 50 ms'],
  );
});

test('an unknown field', refused, ['runs: 3', 'runs: 3\nrusn: 4'], /^rusn: no such field; there are /);
test(
  'an unknown field of a link',
  refused,
  ['rate: 1 Gbit/s', 'rate: 1 Gbit/s, jitter: 3 ms'],
  /^links\[1\]\.jitter: no such field/,
);
test(
  'an unknown system',
  refused,
  ['mirror-background', 'mirror'],
  /^systems\[1\]: "mirror" is not one of diskswarm-precopy/,
);
test('a system twice', refused, ['mirror-background', 'diskswarm-hybrid'], /not named once/);
test(
  'systems of two kinds',
  refused,
  ['mirror-background', 'nbd-overlay'],
  /^systems: "nbd-overlay" is not one that can be/,
);
test('a workload of another kind', refused, ['- idle', '- boot'], /^workloads: "boot" is not one for diskswarm-hybrid/);
test(
  'a workload that a system cannot do',
  refused,
  [/mirror-background([\s\S]*)- idle/, 'drbd-c$1- web'],
  /^workloads: "web" is not one that drbd-c can do: idle, rewrite, diabolical/,
);
test(
  'chunks of no power of two',
  refused,
  [
    /systems[\s\S]*guest/,
    'systems: [diskswarm-boot]\nlinks: [{ name: a, rate: 1 Gbit/s }]\nworkloads: [boot: { chunk-kib: 48 }]\nguest',
  ],
  /^workloads\[0\]\.boot\.chunk-kib: 48 is not a power of two/,
);
test('an unknown workload', refused, ['- idle', '- sleep'], /^workloads\[0\]: "sleep" is not one of idle/);
test('an unknown setting', refused, ['kib-per-second', 'kb'], /^workloads\[1\]\.rewrite\.kb: no such field/);
test('a rate without a unit', refused, ['rate: 1 Gbit/s', 'rate: 1'], /^links\[1\]\.rate: 1 is not a rate/);
test(
  'a rate of nothing',
  refused,
  ['rate: 1 Gbit/s', 'rate: 0 Mbit/s'],
  /^links\[1\]\.rate: "0 Mbit\/s" is not a rate from 64 kbit/,
);
test('a negative round trip', refused, ['30 ms', '-30 ms'], /is not a round trip/);
test('a line that loses everything', refused, ['0.5 %', '100 %'], /^links\[0\]\.loss: "100 %" is not a loss/);
test('a rate and its directions', refused, ['there: 5 Mbit/s', 'rate: 5 Mbit/s, there: 5 Mbit/s'], /either "rate" or/);
test(
  'a disk without room for its content',
  refused,
  ['disk: 64 MiB', 'disk: 24 MiB'],
  /^guest\.disk: "24 MiB" is not enough/,
);
test('a guest that cannot boot', refused, ['disk: 64', 'memory: 64 MiB, disk: 64'], /^guest\.memory/);
test(
  'a link over which no run could end',
  refused,
  ['there: 5 Mbit/s', 'there: 64 kbit/s'],
  /^limit: "300 s" is not enough: a move takes at least 1049 s/,
);
test('no runs', refused, ['runs: 3', 'runs: 0'], /^runs: 0 is not a whole number from 1 to 1000/);
test('a name that is a path', refused, ['name: mine', 'name: ../mine'], /^name: /);
test('what is no YAML', refused, ['[diskswarm-hybrid', '[diskswarm-hybrid: ['], /is not YAML: .* at line/s);
test('aliases', refused, ['- idle', '- &a idle\n  - *a'], /uses aliases/);
test('a document that is no mapping', refused, [/^[\s\S]*$/, '- 1'], /is not a mapping/);
test('a file of a megabyte', refused, ['runs: 3', `runs: 3 # ${'x'.repeat(1e6)}`], /larger than 65536 bytes/);

test('runs are interleaved, repeatable, and the same for all systems of a place', (t) => {
  const experiment = readExperiment(GOOD, 'mine.yaml');
  const plan = planRuns(experiment);
  t.is(plan.length, 2 * 2 * 2 * 3);
  t.deepEqual(planRuns(experiment), plan);
  t.notDeepEqual(planRuns({ ...experiment, seed: 2 }), plan);
  t.deepEqual(
    plan.map(({ number }) => number),
    plan.map((_, index) => index + 1),
  );
  const begins = new Set<string>();
  for (let at = 0; at < plan.length; at += 2) {
    const [one, other] = plan.slice(at, at + 2);
    t.not(one?.system, other?.system);
    t.deepEqual(
      [one?.link, one?.workload, one?.seed, one?.round],
      [other?.link, other?.workload, other?.seed, other?.round],
    );
    begins.add(one?.system ?? '');
  }
  t.is(begins.size, 2);
});

test('every lack of the machine is told at once, programs with their packages', (t) => {
  const lacking: Machine = {
    root: false,
    tun: false,
    hasProgram: (name) => name !== 'qemu-img' && name !== 'nbdinfo',
    missingForGuests: ['busybox-static'],
    freeMemoryMib: 100,
    freeDiskMib: () => 50,
    fileSystemOf: (folder) => folder,
    isMemory: () => false,
  };
  const experiment = { ...readExperiment(GOOD, 'mine.yaml'), systems: ['freeze-copy'] };
  const error = t.throws(() => checkMachine(experiment, '/', lacking), { instanceOf: DiskswarmError });
  t.is(error?.code, 'EXTERNAL_TOOL_FAILED');
  for (const word of [
    /programs: nbdinfo \(libnbd-bin\), qemu-img \(qemu-utils\)\. .*busybox-static libnbd-bin qemu-utils/,
    /root/,
    /\/dev\/net\/tun/,
    /memory: 1056 MiB/,
    /256 MiB are needed, 50/,
  ]) {
    t.regex(error?.message ?? '', word);
  }
  t.deepEqual(error?.data.packages, ['busybox-static', 'libnbd-bin', 'qemu-utils']);
  const enough = { ...lacking, root: true, tun: true, hasProgram: () => true, missingForGuests: [] };
  const large = { ...enough, freeMemoryMib: 4000, freeDiskMib: () => 4000 };
  t.notThrows(() => checkMachine(experiment, '/', large));
  const why = (machine: Machine, asked: Experiment = experiment): string =>
    t.throws(() => checkMachine(asked, '/', machine), { instanceOf: DiskswarmError })?.message ?? '';
  // 1,056 MiB of processes and 256 of disks that are files in memory.
  t.regex(
    why({ ...large, isMemory: () => true, freeMemoryMib: 1200 }),
    /memory: 1312 MiB are needed, 256 of them for disks/,
  );
  t.notThrows(() => checkMachine(experiment, '/', { ...large, isMemory: () => true, freeMemoryMib: 1312 }));
  t.regex(why({ ...large, fileSystemOf: () => 'one', freeDiskMib: () => 300 }), /320 MiB are needed, 300/);
  // What is recorded of a run stays: many take more.
  const long = { ...experiment, runs: 500 };
  const recorded = 2 * planRuns(long).length;
  t.true(recorded > 64);
  t.true(why({ ...large, freeDiskMib: () => 300 }, long).includes(`${recorded} MiB are needed, 300`));
  const replays = readExperiment(
    GOOD.replace(/systems:.*/, 'systems: [diskswarm-boot]').replace(
      /workloads:[\s\S]*guest/,
      'workloads: [replay]\nguest',
    ),
    'mine.yaml',
  );
  t.regex(why({ ...large, hasProgram: (name) => name !== 'nbdsh' }, replays), /python3-libnbd/);
});

test('every shipped experiment is good, whole and small, and carries the name of its file', (t) => {
  t.true(shippedExperiments().length > 0);
  for (const name of shippedExperiments()) {
    t.is(loadExperiment(name).name, name);
    const small = planRuns(loadExperiment(name, { smoke: true }));
    t.true(small.length <= 8, `${name}: ${small.length} runs are no small run`);
  }
});
