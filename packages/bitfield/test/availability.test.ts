/** What is known of a peer: the last word counts, the unknown stays unknown, and memory is bounded. */
import { hasCode } from '@diskswarm/core';
import test from 'ava';
import fc from 'fast-check';
import { Availability, RangeSet } from '../src/index.ts';

const set = (...runs: [number, number][]): RangeSet => RangeSet.from(runs.map(([from, to]) => ({ from, to })));

test('unknown until spoken of; the last word counts', (t) => {
  const known = new Availability({ maxRuns: 100 });
  t.is(known.stateOf(5), 'unknown');
  known.learnHas(set([0, 10]));
  known.learnLacks(set([5, 20]));
  t.deepEqual(
    [4, 5, 19, 20].map((piece) => known.stateOf(piece)),
    ['has', 'lacks', 'lacks', 'unknown'],
  );
  known.learnHas(set([7, 8]));
  t.is(known.stateOf(7), 'has');
  known.forget(set([0, 2], [7, 30]));
  t.deepEqual(
    [0, 3, 6, 7].map((piece) => known.stateOf(piece)),
    ['unknown', 'has', 'lacks', 'unknown'],
  );
});

test('a new generation inherits by copy: the parent keeps its own', (t) => {
  const parent = new Availability({ maxRuns: 100 });
  parent.learnHas(set([0, 100]));
  const child = parent.clone();
  child.forget(set([10, 20]));
  t.is(parent.stateOf(15), 'has');
  t.is(child.stateOf(15), 'unknown');
  t.is(child.stateOf(20), 'has');
});

test('scattered claims are refused and leave what was known', (t) => {
  const known = new Availability({ maxRuns: 20 });
  known.learnHas(set([0, 5]));
  const scattered = RangeSet.from(Array.from({ length: 21 }, (_, index) => ({ from: 10 * index, to: 10 * index + 1 })));
  t.true(
    hasCode(
      t.throws(() => known.learnLacks(scattered)),
      'LIMIT_EXCEEDED',
    ),
  );
  t.is(known.stateOf(0), 'has');
  t.is(known.lacks.runCount, 0);
  let refusedAt = 0;
  for (let piece = 100; refusedAt === 0; piece += 2) {
    try {
      known.learnHas(set([piece, piece + 1]));
    } catch {
      refusedAt = piece;
    }
  }
  t.is(known.has.runCount, 20);
  t.is(known.stateOf(refusedAt), 'unknown');
});

test('few runs and many runs mean the same', (t) => {
  const step = fc.record({
    what: fc.constantFrom('learnHas' as const, 'learnLacks' as const, 'forget' as const),
    at: fc.array(fc.nat(200), { minLength: 1, maxLength: 40 }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
      const whole = new Availability({ maxRuns: 1000 });
      const single = new Availability({ maxRuns: 1000 });
      for (const { what, at } of steps) {
        whole[what](RangeSet.from(at.map((piece) => ({ from: piece, to: piece + 1 }))));
        for (const piece of at) single[what](set([piece, piece + 1]));
      }
      t.true(whole.has.equals(single.has) && whole.lacks.equals(single.lacks));
      t.is(whole.has.intersect(whole.lacks).count, 0);
    }),
  );
});
