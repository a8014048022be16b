import { type Clock, DiskswarmError } from '@diskswarm/core';
import type { SourceState } from '@diskswarm/migration';
import test from 'ava';
import { MemoryProgress } from '../src/migration/memory-progress.ts';
import { phaseWords } from '../src/migration/phase-words.ts';

/** Follows a copy whose phases the test names, one a second; in which of them QEMU was asked. */
async function follow(
  seconds: readonly (Pick<SourceState, 'phase' | 'memoryCompleted'> & { answer?: object | Error })[],
): Promise<{ asked: string[]; progress: MemoryProgress; changes: number }> {
  const progress = new MemoryProgress();
  const asked: string[] = [];
  let [now, changes] = [0, 0];
  const clock = {
    setTimer: (_delayMs: number, callback: () => void) => {
      now++;
      queueMicrotask(callback);
      return { cancel: () => {} };
    },
  } as unknown as Clock;
  const at = () => seconds[Math.min(now, seconds.length - 1)]!;
  await progress.follow(
    {
      execute: async () => {
        const { phase, answer } = at();
        asked.push(phase);
        if (answer instanceof Error) throw answer;
        return (answer ?? {}) as never;
      },
    },
    {
      clock,
      signal: new AbortController().signal,
      state: () => at() as SourceState,
      changed: () => {
        changes++;
      },
    },
  );
  return { asked, progress, changes };
}

const answer = (remaining: number, throttle?: number) => ({
  ram: {
    ...{
      transferred: 1,
      remaining,
      total: 1000,
      mbps: 1,
      'dirty-pages-rate': 3,
      'dirty-sync-count': 2,
      'page-size': 4096,
    },
    'postcopy-requests': 7,
  },
  ...(throttle === undefined ? {} : { 'cpu-throttle-percentage': throttle }),
});

test('QEMU is asked while memory moves, in post-copy too, and never inside the pause', async (t) => {
  const { asked, progress, changes } = await follow([
    { phase: 'memory', memoryCompleted: false },
    { phase: 'memory', memoryCompleted: false, answer: answer(900, 40) },
    { phase: 'switchover', memoryCompleted: false },
    { phase: 'relinquishing', memoryCompleted: false },
    { phase: 'post', memoryCompleted: false, answer: answer(100) },
    { phase: 'post', memoryCompleted: true },
  ]);
  t.deepEqual(asked, ['memory', 'memory', 'post']);
  t.is(changes, 3);
  t.deepEqual(progress.state, {
    ...{
      totalBytes: 1000,
      remainingBytes: 100,
      dirtyBytesPerSecond: 12_288,
      passes: 2,
      throttlePercent: 0,
      pagesAsked: 7,
    },
  });
  t.is(progress.mostThrottledPercent, 40);
});

test('a QEMU that does not answer ends it without a word', async (t) => {
  const { asked } = await follow([
    { phase: 'memory', memoryCompleted: false, answer: new DiskswarmError('QMP_CLOSED', 'it ended') },
    { phase: 'memory', memoryCompleted: false },
  ]);
  t.deepEqual(asked, ['memory']);
});

test('every phase has words, and an end says how', (t) => {
  const state = { running: true, memoryCompleted: true, outcome: null };
  const phases: SourceState['phase'][] = ['preparing', 'bulk', 'rounds', 'memory', 'switchover', 'confirming'];
  for (const phase of [...phases, 'relinquishing', 'post', 'ended'] as const)
    t.not(phaseWords({ ...state, phase }), '');
  t.regex(phaseWords({ ...state, phase: 'post', memoryCompleted: false }), /its memory and the rest/);
  t.regex(phaseWords({ ...state, phase: 'post', running: false }), /starts it/);
  const outcome = { result: 'failed', code: 'TIMEOUT', message: 'too slow' } as const;
  t.regex(phaseWords({ ...state, phase: 'ended', outcome }), /goes on here: too slow/);
});
