import test from 'ava';
import { planText, recordText, screenText } from '../src/cli/migration-words.ts';
import type { MigrationEstimate, MigrationStatus } from '../src/control/methods.ts';

const MIB = 1024 * 1024;
const TO = 'ab'.repeat(68);
const PLAN: MigrationEstimate = {
  ...{ name: 'desk', to: TO, diskBytes: 30 * MIB, diskBytesOnlyHere: 20 * MIB, memoryBytes: 128 * MIB, seconds: 13 },
  bytesToSend: { total: 62 * MIB, disk: 20 * MIB, rewritten: 2 * MIB, memory: 40 * MIB },
  ...{ diskBytesElsewhere: 10 * MIB, linkBytesPerSecond: 5 * MIB, diskDirtyBytesPerSecond: 0 },
  ...{ memoryDirtyBytesPerSecond: 0, expectedMs: 12_400, expectedPauseMs: 420, expectedStalls: 1, converges: true },
  reason: 'all is calm',
  warnings: ['this QEMU is old'],
};
const RECORD = {
  ...{ migration: '00', vm: 'desk', to: TO, startedAt: '2026-01-02T03:04:05.000Z', result: 'done' },
  ...{ migrationMs: 13_000, downtimeMs: 380.2, additionalDisruptionMs: 20, disruptionMs: 5_000, drainMs: 12 },
  ...{
    diskBytes: 21 * MIB,
    memoryBytes: 41 * MIB,
    roundsTotal: 4,
    memoryPasses: 2,
    mostThrottledPercent: 0,
    plan: PLAN,
  },
  bytesBySource: [{ host: 'cd'.repeat(68), faultBytes: MIB, backgroundBytes: 9 * MIB }],
  faults: { count: 3, p50: 900, p90: 1_000, p99: 20_000, max: 21_000 },
  ...{
    freeAt: '2026-01-02T03:04:18.000Z',
    throttle: { policy: 'bradford', delayUs: 0, maxDelayUs: 4_096, levels: [] },
  },
  deltas: { count: 7, bytes: 70_000, savedBytes: 380_000 },
  warnings: ['this QEMU is old'],
};

test('a plan says what, how long and why', (t) => {
  const text = planText(PLAN);
  for (const words of [
    '62M',
    '20M of its disks',
    '40M of memory',
    '2M written meanwhile',
    '10M of its disks are on other hosts',
  ])
    t.true(text.includes(words), `${words}: ${text}`);
  t.regex(text, /warning +this QEMU is old/);
  for (const words of ['5M/s', 'about 13 s', 'about 420 ms', 'at most about 1 read that waits', 'yes: all is calm'])
    t.true(text.includes(words), `${words}: ${text}`);
  const unknown = planText({
    ...{ ...PLAN, expectedMs: null, expectedPauseMs: null, expectedStalls: null, converges: null },
    ...{ linkBytesPerSecond: null },
  });
  t.is(unknown.match(/unknown/g)?.length, 5);
});

test('the screen shows every kind, and what the destination tells', (t) => {
  const status: MigrationStatus = {
    ...{ event: 'migration', name: 'desk', to: TO, phase: 'memory', phaseText: 'sending the memory', elapsedMs: 4_000 },
    ...{ round: 3, missingBytes: MIB, memoryBytes: 9 * MIB, diskBytes: 20 * MIB, faults: RECORD.faults },
    memory: {
      ...{
        totalBytes: 128 * MIB,
        remainingBytes: 60 * MIB,
        dirtyBytesPerSecond: 2 * MIB,
        passes: 2,
        throttlePercent: 30,
        pagesAsked: 2,
      },
    },
    link: { memoryBytesPerSecond: 3 * MIB, faultBytesPerSecond: 65_536, backgroundBytesPerSecond: MIB },
    sources: RECORD.bytesBySource,
    record: { plan: PLAN, throttle: { delayUs: 2_048, maxDelayUs: 2_048 } },
  };
  const text = screenText(status);
  for (const words of ['desk to host abababab', 'sending the memory; 4 s so far', '20M sent, round 3, 1M to go'])
    t.true(text.includes(words), `${words}: ${text}`);
  for (const words of ['9M sent, 60M of 128M to go in pass 2, changes at 2M/s, its processors slowed by 30 %'])
    t.true(text.includes(words), `${words}: ${text}`);
  for (const words of ['waited for 64K/s, memory 3M/s, ahead 1M/s', '10M from cdcdcdcd', '3 reads: 900 us typically'])
    t.true(text.includes(words), `${words}: ${text}`);
  for (const words of ['each delayed by 2.0 ms now', '13 s, 62M to send, with a pause of 420 ms'])
    t.true(text.includes(words), `${words}: ${text}`);
});

test('a record says what came of it beside what was expected', (t) => {
  const text = recordText(RECORD);
  for (const words of [
    '13 s; expected 13 s',
    '380 ms, 20 ms of it for the disks; expected 420 ms',
    '62M: 21M of the disks, 41M of memory; expected 62M',
  ])
    t.true(text.includes(words), `${words}: ${text}`);
  for (const words of [
    '4 of the disks, 2 passes over the memory',
    '7 chunks in 68K, 371K saved',
    'delayed by up to 4.1 ms',
    '2026-01-02T03:04:18.000Z',
  ])
    t.true(text.includes(words), `${words}: ${text}`);
});

test('a record of an earlier version, or of an agent that ended, shows what it has', (t) => {
  t.is(recordText({ result: 'unknown', message: 'the agent ended' }), 'result  unknown: the agent ended');
  t.true(recordText({ ...RECORD, plan: null, faults: null, bytesBySource: null }).includes('13 s'));
});
