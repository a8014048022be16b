import type { Clock } from '@diskswarm/core';
import test from 'ava';
import { WriteMeter } from '../src/attachment/write-meter.ts';

const SECOND_US = 1_000_000;

function world(): { clock: { nowUs: number }; meter: WriteMeter } {
  const clock = { nowUs: 7 * SECOND_US };
  const meter = new WriteMeter({ nowUs: () => clock.nowUs } as Clock);
  return { clock, meter };
}

test('a rate is the mean since the start, then over the last minute', (t) => {
  const { clock, meter } = world();
  t.is(meter.bytesPerSecond, 0);
  for (let second = 0; second < 20; second++) {
    meter.add(1000);
    clock.nowUs += SECOND_US;
  }
  t.is(meter.bytesPerSecond, 1000);
  for (let second = 0; second < 200; second++) {
    meter.add(500);
    clock.nowUs += SECOND_US;
  }
  t.true(Math.abs(meter.bytesPerSecond - 500) < 50, String(meter.bytesPerSecond));
  t.is(meter.writes, 220);
  t.is(meter.writtenBytes, 20 * 1000 + 200 * 500);
});

test('one burst just after the start is not taken for a rate, and is forgotten after a minute', (t) => {
  const { clock, meter } = world();
  clock.nowUs += 1000;
  meter.add(5_000_000);
  t.is(meter.bytesPerSecond, 1_000_000);
  clock.nowUs += 70 * SECOND_US;
  t.is(meter.bytesPerSecond, 0);
  t.is(meter.writtenBytes, 5_000_000);
});
