/**
 * When a guest's writes are slowed, and by how much: the policies over made-up observations, and a guest, a link and rounds as a model around them.
 */
import test from 'ava';
import fc from 'fast-check';
import {
  adjustThrottle,
  applyBacklog,
  type Backlog,
  decideRound,
  initialBacklog,
  initialThrottle,
  MAX_WRITE_DELAY_US,
  observe,
  type Throttle,
  type ThrottleObservation,
  type ThrottlePolicy,
} from '../src/index.ts';

const MB = 1e6;
const SLOWING: readonly ThrottlePolicy[] = ['bradford', 'adaptive'];

/** A guest that outruns its link, six seconds of what drains waiting. */
const OUTRUN: ThrottleObservation = {
  round: 2,
  growth: 3,
  atBorder: true,
  roundGrowth: 3,
  looks: 1,
  pendingWrites: 20_000,
  waitingBytes: 60 * MB,
  drainBytesPerSecond: 10 * MB,
  bytesPerWrite: 4096,
  writesPerSecond: 10_000,
};

const observations = fc.record<ThrottleObservation>({
  round: fc.integer({ min: 1, max: 40 }),
  atBorder: fc.boolean(),
  looks: fc.integer({ min: 0, max: 5 }),
  growth: fc.option(fc.double({ min: 0, max: 1e6, noNaN: true })),
  roundGrowth: fc.option(fc.double({ min: 0, max: 1e6, noNaN: true })),
  pendingWrites: fc.double({ min: 0, max: 1e9, noNaN: true }),
  waitingBytes: fc.double({ min: 0, max: 1e15, noNaN: true }),
  drainBytesPerSecond: fc.double({ min: 0, max: 1e11, noNaN: true }),
  bytesPerWrite: fc.double({ min: 0, max: 1e9, noNaN: true }),
  writesPerSecond: fc.double({ min: 0, max: 1e7, noNaN: true }),
});

for (const policy of SLOWING) {
  test(`${policy}: the delay is bounded and changes by steps`, (t) => {
    fc.assert(
      fc.property(fc.array(observations, { maxLength: 60 }), (seen) => {
        let throttle = initialThrottle(policy);
        for (const observation of seen) {
          const before = throttle.delayUs;
          throttle = adjustThrottle(throttle, observation);
          const { delayUs } = throttle;
          t.true(delayUs >= 0 && delayUs <= MAX_WRITE_DELAY_US, `${delayUs}`);
          if (before === 0) t.true(delayUs <= 2048);
          else if (delayUs === 0) t.true(before < 256);
          else t.true(delayUs <= before * 2 && delayUs >= before / 2, `${before} to ${delayUs}`);
        }
      }),
    );
  });

  test(`${policy}: more that waits never means less delay`, (t) => {
    fc.assert(
      fc.property(
        fc.array(observations, { maxLength: 20 }),
        observations,
        fc.double({ min: 1, max: 1e3, noNaN: true }),
        (seen, observation, factor) => {
          const throttle = seen.reduce(adjustThrottle, initialThrottle(policy));
          const more = {
            ...observation,
            pendingWrites: observation.pendingWrites * factor,
            waitingBytes: observation.waitingBytes * factor,
          };
          t.true(adjustThrottle(throttle, more).delayUs >= adjustThrottle(throttle, observation).delayUs);
        },
      ),
    );
  });

  test(`${policy}: nothing is slowed before rounds are outrun`, (t) => {
    fc.assert(
      fc.property(observations, (observation) => {
        const { delayUs } = initialThrottle(policy);
        for (const seen of [
          { ...observation, growth: 0.7, roundGrowth: null },
          { ...observation, roundGrowth: 0.7, atBorder: true },
          { ...observation, growth: 1, atBorder: false },
          { ...observation, growth: null, roundGrowth: null },
          { ...observation, waitingBytes: 2 * observation.drainBytesPerSecond },
        ])
          t.is(adjustThrottle(initialThrottle(policy), seen).delayUs, delayUs);
      }),
    );
  });
}

test('bradford: from 16,384 pending writes on 2,048 µs; both double, and the delay stays', (t) => {
  const delays = (pending: readonly number[]): number[] => {
    let throttle = initialThrottle('bradford');
    return pending.map((pendingWrites) => {
      throttle = adjustThrottle(throttle, { ...OUTRUN, atBorder: false, growth: 2, pendingWrites });
      return throttle.delayUs;
    });
  };
  t.deepEqual(delays([16_383, 16_384, 32_767, 32_768, 65_536, 0]), [0, 2048, 2048, 4096, 8192, 8192]);
  t.is(delays(Array(40).fill(1e9)).at(-1), MAX_WRITE_DELAY_US);
});

test('bradford: from a whole round on that did not shrink, however few its writes are', (t) => {
  const few = { ...OUTRUN, pendingWrites: 5000 };
  t.is(
    adjustThrottle(initialThrottle('bradford'), { ...few, atBorder: false, growth: 2 }).delayUs,
    0,
    'it is on its way',
  );
  t.like(adjustThrottle(initialThrottle('bradford'), few), { delayUs: 2048, raisedInRound: 2 });
});

test('bradford: a whole look in vain doubles the delay too', (t) => {
  const begun = adjustThrottle(initialThrottle('bradford'), OUTRUN);
  t.is(begun.raisedInRound, 2);
  const few = { ...OUTRUN, pendingWrites: 5000 };
  t.is(adjustThrottle(begun, few).delayUs, 2048, 'nothing new was seen');
  t.is(adjustThrottle(begun, { ...few, looks: 2, waitingBytes: MB }).delayUs, 2048, 'little as it is');
  const next = adjustThrottle(begun, { ...few, round: 3, looks: 2 });
  t.like(next, { delayUs: 4096, raisedInRound: 3 });
  t.is(adjustThrottle(next, { ...few, round: 4, looks: 3, roundGrowth: 0.5 }).delayUs, 4096);
  const within = adjustThrottle(begun, { ...OUTRUN, pendingWrites: 40_000 });
  t.is(within.delayUs, 4096, 'more waits');
  t.is(adjustThrottle(within, { ...few, looks: 2 }).delayUs, 4096, 'half of it was before');
  t.is(adjustThrottle(within, { ...few, looks: 3 }).delayUs, 8192);
});

test('adaptive: the guest gets half of what drains, less when much waits, and is let go when it is calm', (t) => {
  const after = (steps: number, observation: ThrottleObservation, from = initialThrottle('adaptive')): Throttle =>
    Array(steps).fill(observation).reduce(adjustThrottle, from);
  const delayOf = (part: number): number => (OUTRUN.bytesPerWrite * 1e6) / (part * OUTRUN.drainBytesPerSecond);
  const half = after(10, { ...OUTRUN, waitingBytes: 30 * MB });
  t.is(Math.round(half.delayUs), Math.round(delayOf(0.5)));
  t.is(Math.round(after(10, { ...OUTRUN, waitingBytes: 80 * MB }).delayUs), Math.round(delayOf(0.2)));
  t.is(Math.round(after(20, { ...OUTRUN, waitingBytes: 900 * MB }).delayUs), Math.round(delayOf(0.1)));
  const calm = { ...OUTRUN, growth: 0.1, waitingBytes: MB };
  t.is(Math.round(after(10, { ...calm, writesPerSecond: 1200 }, half).delayUs), Math.round(delayOf(0.5)), 'it presses');
  t.is(after(10, { ...calm, writesPerSecond: 10 }, half).delayUs, 0);
});

test('off: never', (t) => {
  t.is(adjustThrottle(initialThrottle('off'), OUTRUN).delayUs, 0);
});

interface Load {
  readonly diskBytes: number;
  /** The region that the guest rewrites, and how fast without a throttle. */
  readonly regionBytes: number;
  readonly writeBytes: number;
  readonly writesPerSecond: number;
  readonly linkBytesPerSecond: number;
}

interface Course {
  readonly rounds: number;
  readonly seconds: number;
  readonly leftBytes: number;
  readonly maxDelayUs: number;
}

/** Rounds until memory goes. The guest writes its region from end to end, again and again. */
function migrate(policy: ThrottlePolicy, load: Load): Course {
  const STEP_US = 100_000;
  let throttle = initialThrottle(policy);
  let backlog: Backlog = initialBacklog(0, 0);
  let slowedInRound: number | null = null;
  let maxDelayUs = 0;
  let nowUs = 0;
  let writes = 0;
  let dirtyBytes = 0;
  let missingBytes = load.diskBytes;
  let round = 1;
  let sealedUs = 0;
  let beforeUs: number | null = null;
  const look = (): void => {
    throttle = adjustThrottle(throttle, observe(backlog));
    slowedInRound = throttle.raisedInRound;
    maxDelayUs = Math.max(maxDelayUs, throttle.delayUs);
  };
  backlog = applyBacklog(backlog, { kind: 'sealed', round, writes, dirtyBytes });
  backlog = applyBacklog(backlog, { kind: 'missing', round, missingBytes, nowUs });
  for (;;) {
    nowUs += STEP_US;
    const perWriteUs = 1e6 / load.writesPerSecond + throttle.delayUs;
    writes += STEP_US / perWriteUs;
    dirtyBytes = Math.min(load.regionBytes, dirtyBytes + (STEP_US / perWriteUs) * load.writeBytes);
    missingBytes = Math.max(0, missingBytes - (load.linkBytesPerSecond * STEP_US) / 1e6);
    backlog = applyBacklog(backlog, { kind: 'written', writes, dirtyBytes, nowUs });
    backlog = applyBacklog(backlog, { kind: 'missing', round, missingBytes, nowUs });
    look();
    if (missingBytes > 0) continue;
    const lastUs = nowUs - sealedUs;
    const growth = observe(backlog).roundGrowth;
    if (decideRound({ round, lastUs, beforeUs, maxDowntimeMs: 300, slowedInRound, growth }) === 'memory')
      return { rounds: round, seconds: nowUs / 1e6, leftBytes: dirtyBytes, maxDelayUs };
    beforeUs = lastUs;
    sealedUs = nowUs;
    round++;
    missingBytes = dirtyBytes;
    backlog = applyBacklog(backlog, { kind: 'sealed', round, writes, dirtyBytes });
    dirtyBytes = 0;
    backlog = applyBacklog(backlog, { kind: 'missing', round, missingBytes, nowUs });
  }
}

const LINK = { diskBytes: 256 * MB, linkBytesPerSecond: 12.5 * MB };
const FAST: Load = { ...LINK, regionBytes: 128 * MB, writeBytes: 4096, writesPerSecond: 15_000 };

for (const policy of SLOWING) {
  test(`${policy}: a guest that writes five times as fast as the link carries is slowed, and rounds end small`, (t) => {
    const course = migrate(policy, FAST);
    t.true(course.maxDelayUs > 0);
    t.true(course.leftBytes < 0.3 * FAST.linkBytesPerSecond, JSON.stringify(course));
    t.true(course.seconds < 120, JSON.stringify(course));
    const free = migrate('off', FAST);
    t.is(free.rounds, 3);
    t.is(free.leftBytes, FAST.regionBytes);
  });

  test(`${policy}: a guest that writes 5 MB/s over 12.5 MB/s is not slowed`, (t) => {
    for (const writeBytes of [4096, 65_536]) {
      const course = migrate(policy, {
        ...LINK,
        regionBytes: 32 * MB,
        writeBytes,
        writesPerSecond: (5 * MB) / writeBytes,
      });
      t.is(course.maxDelayUs, 0);
      t.deepEqual(
        course,
        migrate('off', { ...LINK, regionBytes: 32 * MB, writeBytes, writesPerSecond: (5 * MB) / writeBytes }),
      );
    }
  });
}

for (const policy of SLOWING) {
  test(`${policy}: whatever a guest writes and a link carries, rounds do not end with more than a pause bears`, (t) => {
    const loads = fc.record({
      linkBytesPerSecond: fc.integer({ min: 0.5 * MB, max: 100 * MB }),
      roundSeconds: fc.double({ min: 0.1, max: 60, noNaN: true }),
      regionPart: fc.double({ min: 0.01, max: 1, noNaN: true }),
      writtenPart: fc.double({ min: 0.05, max: 8, noNaN: true }),
    });
    fc.assert(
      fc.property(loads, ({ linkBytesPerSecond, roundSeconds, regionPart, writtenPart }) => {
        const diskBytes = linkBytesPerSecond * roundSeconds;
        const load: Load = {
          ...{ diskBytes, linkBytesPerSecond, writeBytes: 4096, regionBytes: diskBytes * regionPart },
          writesPerSecond: (linkBytesPerSecond * writtenPart) / 4096,
        };
        const course = migrate(policy, load);
        const leftSeconds = course.leftBytes / linkBytesPerSecond;
        t.true(leftSeconds < 2.5, `${leftSeconds} s: ${JSON.stringify({ ...load, ...course })}`);
      }),
      { numRuns: 400 },
    );
  });
}

test('a guest that writes the same megabyte all the time is not slowed, however many its writes are', (t) => {
  for (const policy of SLOWING)
    t.is(migrate(policy, { ...LINK, regionBytes: MB, writeBytes: 4096, writesPerSecond: 100_000 }).maxDelayUs, 0);
});

test('large writes are slowed as well, few as they are', (t) => {
  const load = { ...LINK, regionBytes: 128 * MB, writeBytes: 262_144, writesPerSecond: 200 };
  for (const policy of SLOWING) {
    const course = migrate(policy, load);
    t.true(course.maxDelayUs > 0 && course.leftBytes < 0.5 * load.linkBytesPerSecond, JSON.stringify(course));
  }
});

test('rounds go on for as long as it takes to see what slowing the guest did', (t) => {
  const at = { lastUs: 8e6, beforeUs: 9e6, maxDowntimeMs: 300, growth: null };
  t.is(decideRound({ ...at, round: 4, slowedInRound: 4 }), 'round');
  t.is(decideRound({ ...at, round: 5, slowedInRound: 4 }), 'round');
  t.is(decideRound({ ...at, round: 6, slowedInRound: 4 }), 'memory');
  t.is(decideRound({ ...at, round: 4, lastUs: 290_000, slowedInRound: 4 }), 'memory');
  t.is(decideRound({ ...at, round: 32, slowedInRound: 32 }), 'memory');
});

test('what waits: the rest of the round as it drains, and what was written since, as wide as it travels', (t) => {
  let backlog = initialBacklog(1000, 0);
  const tell = (event: Parameters<typeof applyBacklog>[1]): ThrottleObservation => {
    backlog = applyBacklog(backlog, event);
    return observe(backlog);
  };
  tell({ kind: 'sealed', round: 1, writes: 1000, dirtyBytes: 0 });
  tell({ kind: 'missing', round: 1, missingBytes: 100 * MB, nowUs: 0 });
  tell({ kind: 'missing', round: 1, missingBytes: 0, nowUs: 10e6 });
  tell({ kind: 'written', writes: 3000, dirtyBytes: 8 * MB, nowUs: 10e6 });
  t.like(tell({ kind: 'sealed', round: 2, writes: 3000, dirtyBytes: 8 * MB }), {
    pendingWrites: 2000,
    waitingBytes: 8 * MB,
    growth: null,
  });
  const seen = tell({ kind: 'missing', round: 2, missingBytes: 40 * MB, nowUs: 11e6 });
  t.like(seen, { pendingWrites: 2000, waitingBytes: 40 * MB });
  t.is(Math.round(seen.drainBytesPerSecond), 10 * MB);
  tell({ kind: 'written', writes: 3500, dirtyBytes: 2 * MB, nowUs: 12e6 });
  t.like(tell({ kind: 'missing', round: 2, missingBytes: 20 * MB, nowUs: 13e6 }), {
    pendingWrites: 1500,
    waitingBytes: 30 * MB,
    bytesPerWrite: (50 * MB) / 2500,
    growth: null,
  });
  t.is(tell({ kind: 'missing', round: 1, missingBytes: 1, nowUs: 14e6 }).waitingBytes, 30 * MB, 'a round that is over');
  t.is(tell({ kind: 'missing', round: 2, missingBytes: 90 * MB, nowUs: 13.5e6 }).waitingBytes, 30 * MB, 'not of it');
  t.like(tell({ kind: 'missing', round: 2, missingBytes: 0, nowUs: 14e6 }), { growth: 0.25, atBorder: true, looks: 1 });
});

test('rounds that begin before the last is whole: what was missing waits on, and growth is what came to it', (t) => {
  let backlog = initialBacklog(0, 0);
  const at = (seconds: number): number => seconds * 1e6;
  backlog = applyBacklog(backlog, { kind: 'sealed', round: 2, writes: 4000, dirtyBytes: 40 * MB });
  backlog = applyBacklog(backlog, { kind: 'missing', round: 2, missingBytes: 40 * MB, nowUs: 0 });
  for (let round = 3, second = 1; second <= 6; round++, second++) {
    // Each second 4 MB of it leave, and 6 MB that were not missing any more are written.
    const missingBytes = backlog.missingBytes;
    backlog = applyBacklog(backlog, {
      kind: 'missing',
      round: round - 1,
      missingBytes: missingBytes - 4 * MB,
      nowUs: at(second),
    });
    backlog = applyBacklog(backlog, {
      kind: 'written',
      writes: 4000 + second * 600,
      dirtyBytes: 6 * MB,
      nowUs: at(second),
    });
    backlog = applyBacklog(backlog, { kind: 'sealed', round, writes: 4000 + second * 600, dirtyBytes: 6 * MB });
    backlog = applyBacklog(backlog, {
      kind: 'missing',
      round,
      missingBytes: missingBytes + 2 * MB,
      nowUs: at(second),
    });
    t.is(observe(backlog).growth, second < 5 ? null : 1.5);
  }
  const { waitingBytes, pendingWrites } = observe(backlog);
  t.is(waitingBytes, 52 * MB);
  t.true(pendingWrites > 4000 && pendingWrites < 7600, String(pendingWrites));
});

test('rates and widths stay finite whatever comes', (t) => {
  const events = fc.oneof(
    fc.record({
      kind: fc.constant('written' as const),
      writes: fc.nat(),
      dirtyBytes: fc.nat(),
      nowUs: fc.nat(),
    }),
    fc.record({
      kind: fc.constant('sealed' as const),
      round: fc.nat(5),
      writes: fc.nat(),
      dirtyBytes: fc.nat(),
    }),
    fc.record({ kind: fc.constant('missing' as const), round: fc.nat(5), missingBytes: fc.nat(), nowUs: fc.nat() }),
  );
  fc.assert(
    fc.property(fc.array(events), fc.constantFrom(...SLOWING), (all, policy) => {
      let throttle = initialThrottle(policy);
      let backlog = initialBacklog(0, 0);
      for (const event of all) {
        backlog = applyBacklog(backlog, event);
        const { growth, ...figures } = observe(backlog);
        for (const figure of [growth ?? 0, ...Object.values(figures)]) t.true(Number.isFinite(Number(figure)));
        throttle = adjustThrottle(throttle, observe(backlog));
        t.true(throttle.delayUs >= 0 && throttle.delayUs <= MAX_WRITE_DELAY_US);
      }
    }),
  );
});
