import type { Clock, HostId } from '@diskswarm/core';
import { forecastMigration } from '@diskswarm/migration';
import test from 'ava';
import { FaultStatistics } from '../src/agent/fault-statistics.ts';
import { ArrivalStatistics } from '../src/migration/arrival-statistics.ts';
import { MemoryProgress } from '../src/migration/memory-progress.ts';
import { MigrationReport, withoutEnd } from '../src/migration/migration-report.ts';
import { Traffic } from '../src/migration/traffic.ts';

const MIB = 1024 * 1024;
const [SELF, TO, OTHER] = ['aa', 'bb', 'cc'].map((digits) => digits.repeat(68)) as [HostId, HostId, HostId];
const migration = '00'.repeat(16);

interface World {
  readonly clock: { us: number };
  readonly report: MigrationReport;
  readonly traffic: Traffic;
  /** The channel that carries the disk now. */
  channel: { sent: { totalBytes: number } } | undefined;
}

function measured(memoryBytes: number, diskBytes: number) {
  const packed = { count: 6, bytes: 100, savedBytes: 300 };
  return { memoryBytes, diskBytes, deltas: packed, compression: packed };
}

function world(): World {
  const clock = { us: 5_000_000 };
  const channel = { sent: { totalBytes: 1_000_000 } };
  const around: { channel: World['channel'] } = { channel };
  const disk = {
    peers: { link: () => (around.channel === undefined ? undefined : { channel: around.channel }) },
  };
  const system = { nowUs: () => clock.us, wallMs: () => 1_800_000_000_000 } as Clock;
  const traffic = new Traffic(system, { self: SELF, to: TO, disks: [disk as never] });
  const modes = { diskMode: 'hybrid', memoryMode: 'precopy', compress: true } as const;
  const subject = { migration, vm: 'desk', to: TO, ...modes, warnings: [] };
  const report = new MigrationReport(system, subject, { traffic, memory: new MemoryProgress() });
  return Object.assign(around, { clock, report, traffic });
}

test('times as Bradford defines them, drain time, and how right the plan was', (t) => {
  const { clock, report } = world();
  const forecast = forecastMigration({
    ...{
      diskMode: 'hybrid',
      maxDowntimeMs: 300,
      autoConverge: false,
      memoryPostcopy: false,
      chunkSizeBytes: 65_536,
      missingInUse: null,
    },
    ...{ diskSizeBytes: 100 * MIB, diskBytesOnlyHere: 10 * MIB, diskBytesElsewhere: 0 },
    ...{
      memoryBytes: 50 * MIB,
      memoryRatio: 0.2,
      linkRate: 10 * MIB,
      rttMs: 0,
      diskDirtyRate: 0,
      throttled: true,
      memoryDirtyRate: 0,
    },
  });
  const at = (ms: number, mark: Parameters<MigrationReport['mark']>[0]): void => {
    clock.us = 5_000_000 + ms * 1000;
    report.mark(mark);
  };
  at(1_000, 'memory');
  at(2_000, 'stop');
  at(2_010, 'pre-switchover');
  at(2_030, 'held');
  at(2_050, 'sealed');
  at(2_060, 'completed');
  at(2_060, 'finalReady');
  at(2_070, 'relinquish');
  at(2_090, 'accepted');
  t.deepEqual([report.value.plan, report.value.accuracy, report.value.result], [null, null, 'running']);
  report.planned(forecast, 50 * MIB);
  report.planned({ ...forecast, expectedMs: 1 }, 1);
  clock.us = 5_000_000 + 2_100_000;
  report.heard({ kind: 'running', migration });
  clock.us = 5_000_000 + 3_000_000;
  report.end({ result: 'done' }, measured(20 * MIB, 10 * MIB));
  const { value } = report;
  t.like(value, {
    downtimeMs: 100,
    disruptionMs: 1100,
    migrationMs: 3000,
    freeAtMs: 3000,
    drainMs: 20,
    plan: forecast,
  });
  t.deepEqual(value.accuracy, {
    bytes: 1.5,
    time: Math.round((3000 / forecast.expectedMs!) * 100) / 100,
    pause: Math.round((100 / forecast.expectedPauseMs!) * 100) / 100,
  });
  t.is(value.memoryRatio, 0.4);
  t.deepEqual(value.deltas, { count: 6, bytes: 100, savedBytes: 300, perSecond: 2 });
  t.is(report.elapsedMs, 3000);
});

test('a migration that did not move has no accuracy, and was never free', (t) => {
  const { report } = world();
  report.end({ result: 'failed', code: 'TIMEOUT', message: 'no' }, measured(1, 1));
  t.like(report.value, { result: 'failed', message: 'no', accuracy: null });
  t.false('freeAtMs' in report.value);
});

test('a record stays small however many rounds there are: the first and the last are kept', (t) => {
  const { report } = world();
  for (let round = 1; round <= 5_000; round++) {
    report.sealed(round);
    report.heard({ kind: 'progress', migration, round, known: true, missingBytes: round * 10 });
    report.heard({ kind: 'progress', migration, round, known: true, missingBytes: 0 });
  }
  report.heard({
    ...{ kind: 'statistics', migration, faults: { count: 9, p50: 1, p90: 2, p99: 3, max: 4 } },
    missingBytes: 0,
    sources: Array.from({ length: 16 }, () => ({ host: OTHER, faultBytes: 2 ** 50, backgroundBytes: 2 ** 50 })),
  });
  const rounds = report.value.rounds as { round: number; missingBytes: number }[];
  t.is(report.value.roundsTotal, 5_000);
  t.deepEqual(
    rounds.map(({ round }) => round),
    [
      ...Array.from({ length: 32 }, (_, index) => index + 1),
      ...Array.from({ length: 32 }, (_, index) => 4_969 + index),
    ],
  );
  t.true(rounds.every(({ round, missingBytes }) => missingBytes === round * 10));
  t.true(report.text.length < 16 * 1024, String(report.text.length));
});

test('bytes of the disks are those since it began, over channels that come and go', (t) => {
  const around = world();
  const { traffic } = around;
  t.is(traffic.diskBytes(), 0);
  around.channel!.sent.totalBytes += 500;
  t.is(traffic.diskBytes(), 500);
  around.channel!.sent.totalBytes += 100;
  const before = around.channel;
  around.channel = undefined;
  t.is(traffic.diskBytes(), 600);
  before!.sent.totalBytes += 50;
  around.channel = { sent: { totalBytes: 70 } };
  t.is(traffic.diskBytes(), 720);
});

test('rates on the link, by kind: of memory as it leaves, of chunks as the destination tells', (t) => {
  const { clock, traffic } = world();
  t.deepEqual(traffic.use(0), { memoryBytesPerSecond: 0, faultBytesPerSecond: null, backgroundBytesPerSecond: null });
  const faults = { count: 0, p50: 0, p90: 0, p99: 0, max: 0 };
  let use = traffic.use(0);
  for (let second = 1; second <= 6; second++) {
    clock.us += 1_000_000;
    traffic.heard({
      sources: [
        { host: OTHER, faultBytes: 7 * second, backgroundBytes: 7 * second },
        { host: SELF, faultBytes: 1_000 * second, backgroundBytes: 20_000 * second },
      ],
      faults,
      missingBytes: 0,
    });
    use = traffic.use(300_000 * second);
  }
  t.deepEqual(use, { memoryBytesPerSecond: 300_000, faultBytesPerSecond: 1_000, backgroundBytesPerSecond: 20_000 });
  clock.us += 10_000_000;
  t.deepEqual(traffic.use(1_800_000), { memoryBytesPerSecond: 0, faultBytesPerSecond: 0, backgroundBytesPerSecond: 0 });
});

test('what arrives is counted from the start, waits from when the guest runs, and nothing after the end', (t) => {
  const statistics = new FaultStatistics();
  statistics.received(OTHER, 999, false);
  const arrival = new ArrivalStatistics();
  arrival.follow([{ statistics, leftBytes: () => 77 }]);
  statistics.received(OTHER, 100, false);
  statistics.received(SELF, 50, true);
  statistics.received(SELF, 60, false);
  statistics.waited(1_000);
  arrival.runs();
  statistics.waited(2_000);
  arrival.stop();
  statistics.waited(9_000);
  statistics.received(SELF, 60, false);
  const { sources, faults, missingBytes } = arrival.value;
  t.is(missingBytes, 77);
  t.deepEqual(sources, [
    { host: SELF, faultBytes: 50, backgroundBytes: 60 },
    { host: OTHER, faultBytes: 0, backgroundBytes: 100 },
  ]);
  t.like(faults, { count: 1, max: 2_000 });
  t.is(statistics.faults().count, 3);
});

test('figures that come after the end are noted, and a host that goes on telling costs no more writes', (t) => {
  const { report } = world();
  const faults = { count: 3, p50: 1, p90: 2, p99: 3, max: 4 };
  const message = { kind: 'statistics', migration, sources: [], faults, missingBytes: 0 } as const;
  t.false(report.heardLate(message));
  report.end({ result: 'done' }, measured(1, 1));
  t.false(report.heardLate({ kind: 'running', migration }));
  report.heard(message);
  t.true(report.heardLate(message));
  t.deepEqual(report.value.faults, faults);
  const noted = Array.from({ length: 100 }, () => report.heardLate(message)).filter((each) => each);
  t.is(noted.length, 2);
});

test('a record without an end says so after a restart; every other is left alone', (t) => {
  const { report } = world();
  const found = JSON.parse(withoutEnd(report.text)!) as Record<string, unknown>;
  t.is(found.result, 'unknown');
  t.is(found.vm, 'desk');
  report.end({ result: 'done' }, measured(1, 1));
  for (const text of [report.text, '', '{', 'null', '7']) t.is(withoutEnd(text), null, text);
});
