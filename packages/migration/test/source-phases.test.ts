/** The source alone: when rounds end and memory goes, what goes at the same time, and what ends it. */
import type { GenerationId } from '@diskswarm/core';
import test from 'ava';
import fc from 'fast-check';
import {
  applySource,
  decideRound,
  initialSource,
  type MigrationMessage,
  type MigrationPlan,
  type SourceEffect,
  type SourceEvent,
  type SourceState,
} from '../src/index.ts';

const GENERATION = '33'.repeat(32) as GenerationId;
const PLAN: MigrationPlan = {
  ...{
    migration: 'aa'.repeat(16),
    diskMode: 'hybrid',
    memoryMode: 'precopy',
    maxDowntimeMs: 300,
    channels: 2,
    compress: true,
  },
  ...{ definition: new Uint8Array(1), qemuVersion: '7.2', memoryBytes: 2 ** 27 },
};

test('nothing that the destination says ends it at the source: receipts do', (t) => {
  const { migration } = PLAN;
  let state: SourceState = { ...initialSource(PLAN), phase: 'post', memoryCompleted: true };
  const said: readonly MigrationMessage[] = [
    { kind: 'running', migration },
    { kind: 'confirmed', migration },
    { kind: 'progress', migration, round: 0, known: true, missingBytes: 0 },
  ];
  for (const message of said) state = applySource(state, { kind: 'message', message, nowUs: 0 }).state;
  t.is(state.phase, 'post');
  t.is(applySource(state, { kind: 'free' }).state.phase, 'ended');
});

test('rounds end when they fit the pause, when they stop shrinking, and always', (t) => {
  const at = { round: 2, maxDowntimeMs: 300, slowedInRound: null, growth: null };
  t.is(decideRound({ ...at, round: 1, lastUs: 9e6, beforeUs: null }), 'round');
  t.is(decideRound({ ...at, lastUs: 2e6, beforeUs: 9e6 }), 'round');
  t.is(decideRound({ ...at, lastUs: 290_000, beforeUs: 9e6 }), 'memory');
  t.is(decideRound({ ...at, lastUs: 8e6, beforeUs: 9e6 }), 'memory');
  t.is(decideRound({ ...at, lastUs: 8e6, beforeUs: 9e6, growth: 0.8 }), 'memory');
  t.is(decideRound({ ...at, lastUs: 8e6, beforeUs: 9e6, growth: 0.6 }), 'round', 'the next one is smaller');
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 1e9 }), { minLength: 40, maxLength: 40 }), (times) => {
      let beforeUs: number | null = null;
      const rounds = times.findIndex((lastUs, index) => {
        const decision = decideRound({ ...at, round: index + 1, lastUs, beforeUs });
        beforeUs = lastUs;
        return decision === 'memory';
      });
      t.true(rounds >= 0 && rounds < 32);
    }),
  );
});

test('hybrid: the memory does not wait for a round that is smaller than itself, but for all of the first', (t) => {
  const { migration, memoryBytes } = PLAN;
  let state = initialSource(PLAN);
  const tell = (event: SourceEvent): void => {
    state = applySource(state, event).state;
  };
  const progress = (round: number, missingBytes: number, nowUs: number): void =>
    tell({ kind: 'message', message: { kind: 'progress', migration, round, known: true, missingBytes }, nowUs });
  tell({ kind: 'started' });
  tell({ kind: 'message', message: { kind: 'prepared', migration }, nowUs: 0 });
  tell({ kind: 'sealed', generations: [GENERATION], startedUs: 0, nowUs: 0 });
  progress(1, 1, 60e6);
  t.is(state.phase, 'bulk');
  progress(1, 0, 61e6);
  tell({ kind: 'sealed', generations: [GENERATION], startedUs: 62e6, nowUs: 62e6 });
  progress(2, memoryBytes + 1, 63e6);
  t.is(state.phase, 'rounds');
  progress(2, memoryBytes, 64e6);
  t.is(state.phase, 'memory');
});

test('what is left of the memory goes beside the final seal; both are there before the disks are given away', (t) => {
  const orders: readonly (readonly string[])[] = [
    ['completed', 'finalReady', 'confirmed'],
    ['finalReady', 'completed', 'confirmed'],
    ['finalReady', 'confirmed', 'completed'],
  ];
  for (const order of orders) {
    const { migration } = PLAN;
    let state: SourceState = { ...initialSource(PLAN), phase: 'memory' };
    const tell = (event: SourceEvent): readonly string[] => {
      const step = applySource(state, event);
      state = step.state;
      return step.effects.map(({ kind }) => kind);
    };
    tell({ kind: 'memory', status: 'pre-switchover' });
    t.deepEqual(tell({ kind: 'held' }), ['continueMemory', 'finalSeal']);
    tell({ kind: 'finalSealed', generations: [GENERATION] });
    const last = order.map((what) => {
      if (what === 'completed') return tell({ kind: 'memory', status: 'completed' });
      const kind = what === 'finalReady' ? 'finalReady' : 'confirmed';
      return tell({ kind: 'message', message: { kind, migration }, nowUs: 0 });
    });
    t.deepEqual(last.slice(0, 2), [[], []], order.join());
    t.deepEqual(last[2], ['deadline', 'relinquish'], order.join());
  }
});

test('rounds go on beside the memory, at a pace, until the guest stops', (t) => {
  const { migration } = PLAN;
  let state = initialSource(PLAN);
  const tell = (event: SourceEvent): readonly SourceEffect[] => {
    const step = applySource(state, event);
    state = step.state;
    return step.effects;
  };
  const hear = (message: MigrationMessage, nowUs: number): readonly SourceEffect[] =>
    tell({ kind: 'message', message, nowUs });
  const there = (round: number, missingBytes = 0): MigrationMessage => ({
    ...{ kind: 'progress', migration, round, known: true, missingBytes },
  });
  const sealed = (nowUs: number) => tell({ kind: 'sealed', generations: [GENERATION], startedUs: nowUs, nowUs });
  tell({ kind: 'started' });
  t.deepEqual(hear({ kind: 'prepared', migration }, 0).at(-1), { kind: 'sealRound', afterMs: 0 });
  sealed(0);
  // The first round is quick enough for the pause: on to memory, and the next seal a second later.
  t.deepEqual(hear(there(1), 200_000).at(-1), { kind: 'sealRound', afterMs: 1000 });
  t.is(state.phase, 'memory');
  const round = (number: number) => [
    { kind: 'send', message: { kind: 'round', migration, round: number, generations: [GENERATION] } },
    { kind: 'sealRound', afterMs: 1000 },
  ];
  t.deepEqual(sealed(1_200_000), round(2));
  t.deepEqual(hear(there(2, 5_000_000), 1_300_000), [], 'the next one does not wait for this one');
  t.deepEqual(sealed(2_200_000), round(3));
  tell({ kind: 'memory', status: 'pre-switchover' });
  t.deepEqual(sealed(2_700_000), [], 'the final seal is what counts now');
  t.is(state.phase, 'switchover');
});

test('beside the memory of precopy a round waits for the one before, up to ten seconds', (t) => {
  const { migration } = PLAN;
  let state: SourceState = { ...initialSource({ ...PLAN, diskMode: 'precopy' }), phase: 'bulk' };
  const tell = (event: SourceEvent): readonly SourceEffect[] => {
    const step = applySource(state, event);
    state = step.state;
    return step.effects;
  };
  const there = (round: number, missingBytes: number, nowUs: number) =>
    tell({ kind: 'message', message: { kind: 'progress', migration, round, known: true, missingBytes }, nowUs });
  const sealed = (nowUs: number) => tell({ kind: 'sealed', generations: [GENERATION], startedUs: nowUs, nowUs });
  sealed(0);
  t.deepEqual(there(1, 0, 200_000).at(-1), { kind: 'sealRound', afterMs: 1000 });
  t.is(state.phase, 'memory');
  t.is(sealed(1_200_000).length, 1, 'no seal follows by itself');
  t.deepEqual(there(2, 500_000, 1_300_000), []);
  t.deepEqual(there(2, 0, 1_500_000), [{ kind: 'sealRound', afterMs: 700 }], 'a second after the last one');
  t.deepEqual(there(2, 0, 1_600_000), [], 'one at a time');
  sealed(2_200_000);
  t.deepEqual(there(3, 500_000, 12_100_000), []);
  t.deepEqual(there(3, 400_000, 12_200_000), [{ kind: 'sealRound', afterMs: 0 }]);
});

test('the memory gets of the pause what a round leaves, at least half, and all of it when it does not come to an end', (t) => {
  const { migration } = PLAN;
  const plan = { ...PLAN, maxDowntimeMs: 300 };
  const at = (sealMs: number, knownMs: number): { start: readonly SourceEffect[]; late: readonly SourceEffect[] } => {
    let state: SourceState = { ...initialSource(plan), phase: 'bulk' };
    const tell = (event: SourceEvent): readonly SourceEffect[] => {
      const step = applySource(state, event);
      state = step.state;
      return step.effects;
    };
    const nowUs = sealMs * 1000;
    tell({ kind: 'sealed', generations: [GENERATION], startedUs: 0, nowUs });
    const known = { kind: 'progress', migration, round: 1, known: true, missingBytes: 0 } as const;
    tell({ kind: 'message', message: known, nowUs: nowUs + knownMs * 1000 });
    // Told again while it waits: only the first word of a round counts.
    tell({ kind: 'message', message: known, nowUs: nowUs + 10e6 });
    const start = tell({ kind: 'message', message: { kind: 'memoryReady', migration }, nowUs });
    const late = [1, 11, 12, 13].flatMap((passes) => tell({ kind: 'passed', passes }));
    return { start, late };
  };
  const allow = [{ kind: 'allowDowntime', downtimeMs: 300 }] as const;
  t.deepEqual(at(40, 30), { start: [{ kind: 'startMemory', downtimeMs: 230 }], late: allow });
  t.deepEqual(at(150, 120), { start: [{ kind: 'startMemory', downtimeMs: 150 }], late: allow });
});
