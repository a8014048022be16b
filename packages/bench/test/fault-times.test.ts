/** Distributions of fault latencies: from what agents tell to the picture. */
import test from 'ava';
import { faultTimesChart } from '../src/results/charts/fault-times.ts';
import { sectionsOf } from '../src/results/plots.ts';
import type { Cell } from '../src/results/summary.ts';
import { faultTimesOf, middleOf } from '../src/run/fault-times.ts';
import { figuresOf } from '../src/run/result.ts';
import type { RunManifest } from '../src/run/run-folder.ts';

const parts = (p50: number) => ({ p50, p90: 2 * p50, p99: 3 * p50, max: 4 * p50 });
const facts = (p50: number, count = 3) => ({
  ...{ event: 'facts', atMs: 1 },
  faults: {
    count,
    latencyUs: { ...parts(p50), queue: parts(10), network: parts(p50 / 2), verify: parts(0), store: parts(100) },
  },
});
const CELL: Cell = {
  ...{ system: 'diskswarm-boot', link: 'LAN', workload: 'boot', runs: 1, failed: 0, overLimit: 0 },
  ...{ spreads: { faults: { n: 1, median: 3, lowest: 3, highest: 3 } }, timeline: null, moves: [] },
};

test('the median of hosts that had faults, in milliseconds; none where nobody tells', (t) => {
  const times = faultTimesOf([facts(20_000), facts(40_000), facts(9e9, 0), { event: 'facts', atMs: 1, host: 2 }]);
  t.deepEqual(times?.total, { p50: 30, p90: 60, p99: 90, max: 120 });
  t.is(times?.queue?.p50, 0.01);
  t.is(faultTimesOf([facts(1, 0)]), null);
  t.is(middleOf([]), null);
});

test('by where chunks came from: the far host, and the median of those nearby', (t) => {
  const { faults } = facts(20_000);
  const bySource = {
    far: { count: 2, ...parts(80_000) },
    one: { count: 1, ...parts(2000) },
    other: { count: 1, ...parts(4000) },
  };
  const told = (farHost: unknown) =>
    faultTimesOf([{ event: 'facts', atMs: 1, farHost, faults: { ...faults, bySource } }]);
  t.like(told('far'), { far: { p50: 80, p99: 240 }, near: { p50: 3, max: 12 }, total: { p50: 20 } });
  t.deepEqual(Object.keys(told(undefined) ?? {}), ['total', 'queue', 'network', 'verify', 'store']);
  const svg = faultTimesChart([{ ...CELL, faults: told('far') }], ['diskswarm-boot']) ?? '';
  for (const words of ['from beyond the line', '80 ms, 99 %: 240', 'from hosts nearby'])
    t.true(svg.includes(words), words);
});

test('parts that nobody tells are no zeros', (t) => {
  const zero = parts(0);
  const latencyUs = { ...parts(20_000), queue: zero, network: zero, verify: zero, store: zero };
  const clone = { event: 'facts', atMs: 1, touchedPieces: 4, faults: { count: 3, latencyUs } };
  t.deepEqual(Object.keys(faultTimesOf([clone]) ?? {}), ['total']);
  const figures = figuresOf([clone, { event: 'booted', atMs: 2 }], []);
  t.like(figures, { faultMedian: 20, faultQueue: null, faultNetwork: null, faultVerify: null, faultStore: null });
  const svg = faultTimesChart([{ ...CELL, faults: faultTimesOf([clone]) }], ['diskswarm-boot']) ?? '';
  t.true(svg.includes('all of it') && !svg.includes('storing'));
});

test('a picture with a row for each part; times of nothing are at its edge', (t) => {
  t.is(faultTimesChart([CELL, { ...CELL, faults: null }], ['diskswarm-boot']), null);
  const svg = faultTimesChart([{ ...CELL, faults: faultTimesOf([facts(20_000)]) }], ['diskswarm-boot']) ?? '';
  for (const words of [
    'LAN: how long',
    'boot, diskswarm-boot: 3 faults',
    'waiting to be asked',
    '20 ms, 99 %: 60',
    '100 ms<',
  ])
    t.true(svg.includes(words), words);
  t.false(/NaN|undefined|Infinity/.test(svg));
});

test('the number of faults and how long they took are pictures of their own', (t) => {
  const link = { name: 'LAN', there: { bitsPerSecond: 1e8, delayMs: 0 }, back: { bitsPerSecond: 1e8, delayMs: 0 } };
  const experiment = { links: [link], workloads: [{ label: 'boot' }], systems: ['diskswarm-boot'] };
  const cell = { ...CELL, faults: faultTimesOf([facts(20_000)]) };
  const [section] = sectionsOf({ experiment } as unknown as RunManifest, [cell]);
  const files = section!.plots.map(({ file }) => file);
  t.true(files.includes('lan-faults') && files.length > 1);
  t.is(new Set(files).size, files.length, files.join(', '));
});
