/** What a peer's answers teach, and how soon that is unlearned. */
import { KIB, MIB } from '@diskswarm/core';
import test from 'ava';
import fc from 'fast-check';
import { Bans } from '../src/bans.ts';
import { Deadlines } from '../src/deadlines.ts';
import { PATIENCE, SCHEDULER_LIMITS } from '../src/limits.ts';
import { ResponseModel } from '../src/response-model.ts';
import { Desk } from './model/desk.ts';
import { keyOf, peerId, want } from './model/names.ts';

const CHUNK = 64 * KIB;

/** Answers back to back on a link of `bytesPerUs` at a distance of `distanceUs`. */
function saturated(model: ResponseModel, count: number, bytesPerUs: number, distanceUs: number, fromUs = 0): number {
  const gapUs = CHUNK / bytesPerUs;
  let nowUs = fromUs;
  for (let index = 0; index < count; index++) {
    nowUs += gapUs;
    model.learn(CHUNK, nowUs - distanceUs - gapUs, distanceUs + gapUs, nowUs);
  }
  return nowUs;
}

test('nothing is known of a new peer', (t) => {
  const model = new ResponseModel();
  t.false(model.measured);
  t.is(model.baseUs(CHUNK), null);
  t.is(model.bytesPerSecond, null);
  t.is(model.expectedUs(0, CHUNK), PATIENCE.unmeasuredUs);
  t.true(model.expectedUs(CHUNK, CHUNK) > model.expectedUs(0, CHUNK));
});

test('the link is measured by chunks that come behind each other; lone and packed answers say nothing of it', (t) => {
  const model = new ResponseModel();
  for (let nowUs = 0; nowUs < 10_000_000; nowUs += 100_000) model.learn(CHUNK, nowUs - 50_000, 50_000, nowUs);
  t.is(model.linkBytesPerSecond, null);
  t.true(model.bytesPerSecond! < 2e6);
  const nowUs = saturated(model, 100, 25, 50_000, 10_000_000);
  t.true(Math.abs(model.linkBytesPerSecond! / 25e6 - 1) < 0.05, `${model.linkBytesPerSecond}`);
  const { bytesPerSecond, linkBytesPerSecond } = model;
  for (let count = 1; count < 1000; count++) {
    const atUs = nowUs + 1000 * count;
    model.learn(4096, atUs - 10_000, 50_000, atUs, { whole: false });
  }
  t.is(model.bytesPerSecond, bytesPerSecond);
  t.is(model.linkBytesPerSecond, linkBytesPerSecond);
  t.is(model.baseUs(4096), 10_000);
  t.is(model.baseUs(CHUNK), 50_000, 'a whole chunk is not measured by small ones');
});

test('the rate is that of the busy link; what is expected is the pipe or the rate, whichever is longer', (t) => {
  const model = new ResponseModel();
  saturated(model, 200, 2.5, 50_000);
  t.true(Math.abs(model.bytesPerSecond! / 2.5e6 - 1) < 0.05, `${model.bytesPerSecond}`);
  const baseUs = 50_000 + CHUNK / 2.5;
  t.true(Math.abs(model.baseUs(CHUNK)! - baseUs) < 1);
  t.true(Math.abs(model.expectedUs(0, CHUNK) - baseUs) < 1);
  t.true(Math.abs(model.expectedUs(9 * CHUNK, CHUNK) / ((10 * CHUNK) / 2.5) - 1) < 0.05);
});

test('idle time between requests does not count against the rate', (t) => {
  const model = new ResponseModel();
  let nowUs = 0;
  for (let round = 0; round < 20; round++) nowUs = 60_000_000 + saturated(model, 20, 2.5, 1000, nowUs);
  t.true(model.bytesPerSecond! > 2.2e6, `${model.bytesPerSecond}`);
});

test('a rate from slow times does not outlast one quick answer', (t) => {
  const model = new ResponseModel();
  saturated(model, 200, 0.5, 10_000);
  t.true(model.expectedUs(0, CHUNK) > 100_000);
  model.learn(CHUNK, 60_000_000, 130_000, 60_030_000);
  t.true(model.expectedUs(0, CHUNK) <= 30_000);
});

test('another size is judged by the rate', (t) => {
  const model = new ResponseModel();
  saturated(model, 100, 2.5, 50_000);
  t.true(model.baseUs(MIB)! > 50_000 + 0.9 * (MIB / 2.5));
});

test('a longer route is believed after a minute at most', (t) => {
  const model = new ResponseModel();
  let nowUs = saturated(model, 100, 2.5, 10_000);
  const until = nowUs + 70_000_000;
  while (nowUs < until) nowUs = saturated(model, 100, 2.5, 90_000, nowUs);
  t.true(model.baseUs(CHUNK)! > 90_000);
});

test('three slow answers in a row to lone requests say what is usual now, and a quick one takes that back', (t) => {
  const model = new ResponseModel();
  let nowUs = 0;
  const answers = (...responses: readonly (readonly [us: number, alone: boolean])[]): number => {
    for (const [responseUs, alone] of responses) {
      nowUs += 1_000_000;
      model.learn(CHUNK, nowUs - responseUs, 50_000, nowUs, { alone });
    }
    return model.usualUs(CHUNK)!;
  };
  t.is(
    answers([50_000, true], [55_000, true], [60_000, true], [58_000, true]),
    50_000,
    'what a queue may be is no other machine',
  );
  t.is(answers([200_000, false], [210_000, false], [190_000, false], [195_000, false]), 50_000, 'a queue of ours');
  t.false(model.inDoubt);
  t.is(answers([150_000, true], [300_000, true]), 50_000);
  t.true(model.inDoubt);
  t.is(answers([60_000, false], [150_000, true], [170_000, true]), 50_000, 'one in between was quick');
  t.is(answers([120_000, false], [300_000, true]), 120_000, 'the shortest of those, whatever else was under way');
  t.false(model.inDoubt);
  t.is(model.baseUs(CHUNK), 50_000);
  t.is(answers([90_000, false]), 90_000);
  t.is(answers([51_000, true]), 51_000);
});

test('a lone answer of any size ends a doubt', (t) => {
  const model = new ResponseModel();
  for (const lengthBytes of [CHUNK, 4 * KIB]) model.learn(lengthBytes, 0, 50_000, 50_000);
  model.learn(4 * KIB, 0, 50_000, 150_000, { alone: true });
  t.true(model.inDoubt);
  model.learn(CHUNK, 0, 50_000, 51_000);
  t.true(model.inDoubt, 'what is not alone says nothing of other sizes');
  model.learn(CHUNK, 0, 50_000, 51_000, { alone: true });
  t.false(model.inDoubt);
});

test('late means: not before 200 ms, twice what is expected, and beyond what is usual', (t) => {
  const model = new ResponseModel();
  saturated(model, 200, 100, 1000);
  t.is(model.lateAfterUs(2_000), PATIENCE.lateFloorUs);
  t.true(model.lateAfterUs(500_000) >= 1_000_000);
  for (let index = 0; index < 50; index++) model.learnError(index % 2 === 0 ? 1_000_000 : 0, 500_000);
  t.true(model.lateAfterUs(2_000) > 1_000_000, 'a peer that is often far off gets more time');
});

test('a wait of hours does not make the next fault wait for hours', (t) => {
  const model = new ResponseModel();
  model.learn(CHUNK, 0, 50_000, 7_200_000_000);
  saturated(model, 1, 2.5, 50_000, 7_200_000_000);
  t.true(model.lateAfterUs(model.expectedUs(0, CHUNK)) < 10_000_000);
});

test('deadlines come in order of time, and in order of setting where that is equal', (t) => {
  fc.assert(
    fc.property(fc.array(fc.nat(20), { maxLength: 80 }), (times) => {
      const deadlines = new Deadlines<number>();
      for (const [index, atUs] of times.entries()) deadlines.set(atUs, index);
      const taken: number[] = [];
      for (let nowUs = 0; nowUs <= 20; nowUs++) {
        for (let item = deadlines.takeDue(nowUs); item !== undefined; item = deadlines.takeDue(nowUs)) {
          t.is(times[item], nowUs);
          taken.push(item);
        }
      }
      const expected = [...times.keys()].sort((a, b) => times[a]! - times[b]! || a - b);
      t.deepEqual(taken, expected);
      t.is(deadlines.nextUs, Number.POSITIVE_INFINITY);
    }),
  );
});

test('bans double up to a day, are forgiven, and their number is bounded', (t) => {
  const bans = new Bans();
  t.is(bans.add(peerId(1), 0), PATIENCE.banUs);
  t.is(bans.add(peerId(1), 0), 2 * PATIENCE.banUs);
  for (let offence = 0; offence < 20; offence++) bans.add(peerId(1), 0);
  t.is(bans.untilUs(peerId(1)), PATIENCE.banMaxUs);
  bans.remove(peerId(1));
  t.is(bans.untilUs(peerId(1)), 0);
  for (let number = 0; number <= SCHEDULER_LIMITS.bans; number++) bans.add(peerId(number), number);
  t.is(bans.untilUs(peerId(0)), 0, 'the one that would have ended first made room');
  t.is(bans.untilUs(peerId(1)), 1 + PATIENCE.banUs);
});

test('answers that came packed tell nothing of the link', (t) => {
  const asked = 100;
  const link = (lengthBytes: number): number | null => {
    const desk = new Desk().measured(1);
    for (let piece = 0; piece < asked; piece++) desk.want(want(piece));
    for (let piece = 0; piece < asked; piece++) {
      desk.nowUs += 2000;
      desk.raw({ type: 'arrived', peer: peerId(1), key: keyOf(1, piece), lengthBytes });
    }
    return desk.scheduler.linkBytesPerSecondOf(peerId(1));
  };
  t.is(link(4096), null);
  t.true(Math.abs(link(CHUNK)! / (CHUNK / 0.002) - 1) < 0.05);
});
