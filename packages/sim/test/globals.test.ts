/** Third-party code sees simulated time and randomness, and the real ones come back. */
import { sleep } from '@diskswarm/core';
import test from 'ava';
import { createSimulation, withSimulatedGlobals } from '../src/index.ts';

test.serial('timers, dates and randomness are the simulation’s', async (t) => {
  const runs: unknown[] = [];
  for (let round = 0; round < 2; round++) {
    const simulation = createSimulation(11);
    const seen: unknown[] = [];
    await withSimulatedGlobals(simulation, () =>
      simulation.run(async () => {
        const ticks = setInterval(
          (word: string) => seen.push(word, new Date().toISOString().slice(17, 19)),
          1000,
          'tick',
        );
        const cancelled = setTimeout(() => seen.push('never'), 500);
        setTimeout(() => seen.push('timeout'), 2500).unref();
        setImmediate(() => seen.push('immediate', performance.now()));
        clearTimeout(cancelled);
        await sleep(simulation.clock, 3500);
        clearInterval(ticks);
        await sleep(simulation.clock, 3500);
        seen.push(
          Math.random(),
          crypto.getRandomValues(new Uint8Array(8)).join(),
          new Date(5).getTime(),
          new Date() instanceof Date,
        );
      }),
    );
    runs.push(seen);
  }
  t.deepEqual(runs[0], runs[1]);
  t.deepEqual((runs[0] as unknown[]).slice(0, 9), [
    'immediate',
    0,
    'tick',
    '01',
    'tick',
    '02',
    'timeout',
    'tick',
    '03',
  ]);
  t.deepEqual((runs[0] as unknown[]).slice(-2), [5, true]);
});

test.serial('a failure inside still gives the real globals back', async (t) => {
  const before = [globalThis.setTimeout, globalThis.Date, Math.random, performance.now];
  const simulation = createSimulation(1);
  await t.throwsAsync(
    withSimulatedGlobals(simulation, () => Promise.reject(new Error('inside'))),
    { message: 'inside' },
  );
  t.deepEqual([globalThis.setTimeout, globalThis.Date, Math.random, performance.now], before);
  t.true(Date.now() > Date.UTC(2026, 0, 2));
});
