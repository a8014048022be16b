import test from 'ava';
import fc from 'fast-check';
import { DISK_MODES, forecastMigration, type MoveObservation } from '../src/index.ts';

const MIB = 1024 * 1024;
const IDLE: MoveObservation = {
  diskMode: 'hybrid',
  maxDowntimeMs: 300,
  autoConverge: false,
  memoryPostcopy: false,
  diskSizeBytes: 400 * MIB,
  diskBytesOnlyHere: 200 * MIB,
  diskBytesElsewhere: 0,
  memoryBytes: 64 * MIB,
  memoryRatio: 1,
  linkRate: 10 * MIB,
  rttMs: 1,
  diskDirtyRate: 0,
  throttled: false,
  memoryDirtyRate: 0,
  chunkSizeBytes: 65_536,
  missingInUse: null,
};

test('an idle guest: what it has, at the rate of the link, and a short pause', (t) => {
  const plan = forecastMigration(IDLE);
  t.deepEqual(plan.bytesToSend, { total: 264 * MIB, disk: 200 * MIB, rewritten: 0, memory: 64 * MIB });
  t.like(plan, { expectedStalls: 0, converges: true });
  t.true(plan.expectedMs! > 26_000 && plan.expectedMs! < 30_000, String(plan.expectedMs));
  t.true(plan.expectedPauseMs! < 300, String(plan.expectedPauseMs));
});

test('what others near have is not to be sent from here', (t) => {
  const plan = forecastMigration({ ...IDLE, diskBytesOnlyHere: 0, diskBytesElsewhere: 200 * MIB });
  t.like(plan, { bytesToSend: { total: 64 * MIB, disk: 0 }, diskBytesElsewhere: 200 * MIB });
});

test('a link that was not measured: bytes are known, times are not', (t) => {
  const plan = forecastMigration({ ...IDLE, linkRate: null });
  t.like(plan, { bytesToSend: { total: 264 * MIB }, expectedMs: null, expectedPauseMs: null, converges: null });
  t.regex(plan.reason, /could not be measured/);
});

test('a guest whose memory changes faster than the link carries does not arrive, unless it is slowed down, memory shrinks on the way, or follows', (t) => {
  const fast = { ...IDLE, memoryDirtyRate: 12 * MIB };
  const plan = forecastMigration(fast);
  t.like(plan, { converges: false, expectedMs: null, expectedPauseMs: null });
  t.regex(plan.reason, /12\.0 MiB\/s of its memory.*10\.0 MiB\/s.*--auto-converge/);
  const slowed = forecastMigration({ ...fast, autoConverge: true });
  t.true(slowed.converges);
  t.true(slowed.expectedMs! > forecastMigration(IDLE).expectedMs!);
  t.true(forecastMigration({ ...fast, memoryRatio: 0.3 }).converges);
  const postcopy = forecastMigration({ ...fast, memoryPostcopy: true });
  t.like(postcopy, { converges: true, bytesToSend: { memory: 128 * MIB } });
  t.true(postcopy.expectedPauseMs! < forecastMigration({ ...fast, memoryRatio: 0.3 }).expectedPauseMs! + 1);
});

test('a guest that writes faster than the link carries: in precopy the pause is too long, in hybrid the rest follows, unless it is slowed', (t) => {
  const writing = { ...IDLE, diskDirtyRate: 40 * MIB };
  const precopy = forecastMigration({ ...writing, diskMode: 'precopy' });
  t.false(precopy.converges);
  t.regex(precopy.reason, /--disk hybrid/);
  const hybrid = forecastMigration(writing);
  t.true(hybrid.converges);
  t.regex(hybrid.reason, /do not catch up/);
  t.true(hybrid.expectedStalls! > 1000);
  for (const diskMode of ['precopy', 'hybrid'] as const) {
    const slowed = forecastMigration({ ...writing, diskMode, throttled: true });
    t.true(slowed.converges);
    t.regex(slowed.reason, /its writes are slowed/);
  }
});

test('postcopy stalls on what the guest uses and the destination lacks, where that is known', (t) => {
  t.is(forecastMigration({ ...IDLE, diskMode: 'postcopy', missingInUse: 34 }).expectedStalls, 34);
  t.is(forecastMigration({ ...IDLE, diskMode: 'postcopy' }).expectedStalls, null);
  t.is(forecastMigration({ ...IDLE, diskMode: 'precopy' }).expectedStalls, 0);
});

const observation: fc.Arbitrary<MoveObservation> = fc.record({
  diskMode: fc.constantFrom(...DISK_MODES),
  maxDowntimeMs: fc.integer({ min: 1, max: 5_000 }),
  autoConverge: fc.boolean(),
  throttled: fc.boolean(),
  memoryPostcopy: fc.boolean(),
  diskSizeBytes: fc.integer({ min: 0, max: 2 ** 40 }),
  diskBytesOnlyHere: fc.integer({ min: 0, max: 2 ** 40 }),
  diskBytesElsewhere: fc.integer({ min: 0, max: 2 ** 40 }),
  memoryBytes: fc.integer({ min: 0, max: 2 ** 36 }),
  memoryRatio: fc.double({ min: 0.01, max: 1, noNaN: true }),
  linkRate: fc.option(fc.integer({ min: 0, max: 2 ** 32 })),
  rttMs: fc.option(fc.integer({ min: 0, max: 2_000 })),
  diskDirtyRate: fc.integer({ min: 0, max: 2 ** 32 }),
  memoryDirtyRate: fc.option(fc.integer({ min: 0, max: 2 ** 34 })),
  chunkSizeBytes: fc.constant(65_536),
  missingInUse: fc.option(fc.integer({ min: 0, max: 1000 })),
});

test('whatever is observed, the numbers are sound and the parts add up', (t) => {
  fc.assert(
    fc.property(observation, (seen) => {
      const plan = forecastMigration(seen);
      const { total, disk, rewritten, memory } = plan.bytesToSend;
      t.is(total, disk + rewritten + memory);
      for (const value of [disk, rewritten, memory]) t.true(Number.isFinite(value) && value >= 0);
      for (const value of [plan.expectedMs, plan.expectedPauseMs, plan.expectedStalls])
        t.true(value === null || (Number.isSafeInteger(value) && value >= 0), String(value));
      t.true(plan.expectedMs === null || plan.expectedMs >= plan.expectedPauseMs!);
      t.not(plan.reason, '');
      // A copy that does not end has no time, one that has a time ends or is not known to.
      t.is(
        plan.expectedMs === null,
        plan.linkBytesPerSecond === null || (plan.converges === false && plan.expectedPauseMs === null),
      );
    }),
  );
});

test('a faster link never takes longer, and never sends more, of a guest that is idle', (t) => {
  fc.assert(
    fc.property(
      observation,
      fc.integer({ min: 1, max: 2 ** 32 }),
      fc.integer({ min: 1, max: 2 ** 32 }),
      (seen, a, b) => {
        const idle = { ...seen, diskDirtyRate: 0, memoryDirtyRate: 0 };
        const [slow, fast] = [Math.min(a, b), Math.max(a, b)].map((linkRate) =>
          forecastMigration({ ...idle, linkRate }),
        );
        t.true(fast!.expectedMs! <= slow!.expectedMs!);
        t.is(fast!.bytesToSend.total, slow!.bytesToSend.total);
      },
    ),
  );
});

test('more to send never takes less time', (t) => {
  fc.assert(
    fc.property(observation, fc.integer({ min: 1, max: 2 ** 30 }), (seen, more) => {
      const idle = { ...seen, linkRate: seen.linkRate ?? 1000, diskDirtyRate: 0 };
      const less = forecastMigration(idle);
      const bigger = forecastMigration({ ...idle, diskBytesOnlyHere: seen.diskBytesOnlyHere + more });
      t.true(bigger.bytesToSend.total > less.bytesToSend.total);
      t.true(less.expectedMs === null || bigger.expectedMs! >= less.expectedMs);
    }),
  );
});

test('memory that changes at least as fast as the link carries is never said to arrive by itself', (t) => {
  fc.assert(
    fc.property(observation, fc.integer({ min: 1, max: 2 ** 30 }), (seen, linkRate) => {
      const plan = forecastMigration({
        ...seen,
        ...{ linkRate, memoryRatio: 1, autoConverge: false, memoryPostcopy: false, memoryDirtyRate: linkRate * 2 },
        ...{ memoryBytes: linkRate * 10, maxDowntimeMs: 300 },
      });
      t.false(plan.converges);
    }),
  );
});
