/** Samples of what happened each second: differences, rates over the time that really went by, and no more than five minutes. */
import test from 'ava';
import { TrafficHistory } from '../src/dashboard/traffic-history.ts';
import { TestClock } from './support/test-clock.ts';

const NOTHING = { faults: 0, waitedUs: 0, faultBytes: 0, backgroundBytes: 0, servedBytes: 0 };

test('a sample is what happened since the one before', (t) => {
  const clock = new TestClock();
  let totals = { ...NOTHING, faults: 100, waitedUs: 5e6 };
  const history = new TrafficHistory(clock, () => totals);
  let told = 0;
  history.start(() => told++);
  totals = { faults: 104, waitedUs: 5e6 + 20_000, faultBytes: 4000, backgroundBytes: 9000, servedBytes: 1000 };
  clock.advance(1000);
  clock.advance(1000);
  t.is(told, 2);
  const atMs = 0;
  t.deepEqual(history.samples, [
    {
      atMs,
      faults: 4,
      waitMs: 5,
      faultBytesPerSecond: 4000,
      backgroundBytesPerSecond: 9000,
      servedBytesPerSecond: 1000,
    },
    { atMs, faults: 0, waitMs: 0, faultBytesPerSecond: 0, backgroundBytesPerSecond: 0, servedBytesPerSecond: 0 },
  ]);
  history.stop();
  t.is(clock.timers, 0);
});

test('a disk that was removed is no negative traffic, and old samples go', (t) => {
  const clock = new TestClock();
  let totals = { ...NOTHING, backgroundBytes: 1e9 };
  const history = new TrafficHistory(clock, () => totals);
  history.start(() => {});
  totals = NOTHING;
  clock.advance(400_000);
  t.is(history.samples.length, 300);
  t.true(history.samples.every(({ backgroundBytesPerSecond }) => backgroundBytesPerSecond === 0));
});
