/** When compressing a disk's bytes stops, is tried, and begins again; and how much of its time a host spends on it. */
import type { Clock } from '@diskswarm/core';
import test from 'ava';
import { CompressionBudget } from '../src/compression-budget.ts';
import { CompressionGauge } from '../src/compression-gauge.ts';
import { TestClock } from './helpers/test-clock.ts';

/** Tries that come of so many chunks which compress to `share`. */
function tries(gauge: CompressionGauge, chunks: number, share: number): number {
  let count = 0;
  for (let chunk = 0; chunk < chunks; chunk++) {
    if (!gauge.tries()) continue;
    count++;
    gauge.learn(1000, share * 1000);
  }
  return count;
}

test('noise is tried a few times, then one chunk in 64; once it compresses again all are', (t) => {
  const gauge = new CompressionGauge();
  t.true(gauge.pays);
  t.true(tries(gauge, 1000, 1) < 40);
  t.false(gauge.pays);
  t.is(tries(gauge, 6400, 1), 100);
  t.true(tries(gauge, 1000, 0.4) > 500);
  t.true(gauge.pays);
});

test('between the two thresholds it stays as it was', (t) => {
  const stays = new CompressionGauge();
  t.is(tries(stays, 500, 0.9), 500);
  const rests = new CompressionGauge();
  tries(rests, 100, 1);
  t.true(tries(rests, 6400, 0.9) < 110);
  t.false(rests.pays);
});

test('one chunk that does not get smaller among those that do is sent as it is', (t) => {
  const gauge = new CompressionGauge();
  t.true(gauge.learn(1000, 400));
  t.false(gauge.learn(1000, 990));
  t.true(gauge.pays);
});

test('a host compresses for half of its time at most, however many ask', (t) => {
  let nowUs = 0;
  const clock: Clock = Object.assign(new TestClock(), { nowUs: () => nowUs });
  const budget = new CompressionBudget(clock);
  let spentUs = 0;
  while (nowUs < 10_000_000) {
    if (budget.open) {
      budget.spend(() => {
        nowUs += 600;
      });
      spentUs += 600;
    } else nowUs += 100;
  }
  t.true(spentUs > 4_800_000 && spentUs < 5_200_000, `${spentUs} of ${nowUs}`);
});
