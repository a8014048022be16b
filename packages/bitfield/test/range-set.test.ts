/** RangeSet against a plain Set of numbers, and at sizes where a linear search would show. */
import test from 'ava';
import fc from 'fast-check';
import { RangeSet } from '../src/index.ts';

const LIMIT = 64;
const run = fc.tuple(fc.nat(LIMIT), fc.nat(LIMIT)).map(([a, b]) => ({ from: Math.min(a, b), to: Math.max(a, b) }));
const operation = fc.record({ add: fc.boolean(), run });

const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, index) => from + index);
const members = (set: RangeSet): number[] => [...set.runs()].flatMap(({ from, to }) => range(from, to));
const model = (set: RangeSet): Set<number> => new Set(members(set));

function build(operations: readonly { add: boolean; run: { from: number; to: number } }[]): {
  set: RangeSet;
  plain: Set<number>;
} {
  const set = new RangeSet();
  const plain = new Set<number>();
  for (const { add, run } of operations) {
    if (add) set.add(run.from, run.to);
    else set.remove(run.from, run.to);
    for (const value of range(run.from, run.to)) {
      if (add) plain.add(value);
      else plain.delete(value);
    }
  }
  return { set, plain };
}

const sorted = (plain: Iterable<number>): number[] => [...plain].sort((a, b) => a - b);
const operations = fc.array(operation, { maxLength: 40 });

test('adding and removing runs does what a plain set does', (t) => {
  fc.assert(
    fc.property(operations, run, (list, window) => {
      const { set, plain } = build(list);
      t.deepEqual(members(set), sorted(plain));
      t.is(set.count, plain.size);
      for (let value = 0; value <= LIMIT; value++) {
        t.is(set.has(value), plain.has(value));
        t.is(set.next(value), sorted(plain).find((member) => member >= value) ?? null);
      }
      const inside = range(window.from, window.to);
      t.is(
        set.hasAll(window.from, window.to),
        inside.every((value) => plain.has(value)),
      );
      const clipped = [...set.runs(window.from, window.to)].flatMap(({ from, to }) => range(from, to));
      const holes = [...set.gaps(window.from, window.to)].flatMap(({ from, to }) => range(from, to));
      t.deepEqual(
        clipped,
        inside.filter((value) => plain.has(value)),
      );
      t.deepEqual(
        holes,
        inside.filter((value) => !plain.has(value)),
      );
    }),
  );
});

test('runs stay sorted, apart and not empty', (t) => {
  fc.assert(
    fc.property(operations, (list) => {
      const { set } = build(list);
      let end = -1;
      for (const { from, to } of set.runs()) {
        t.true(from > end && to > from);
        end = to;
      }
      t.is([...set.runs()].length, set.runCount);
      t.is(set.end, Math.max(end, 0));
    }),
  );
});

test('union, intersection and difference do what plain sets do, and change neither side', (t) => {
  fc.assert(
    fc.property(operations, operations, (left, right) => {
      const a = build(left);
      const b = build(right);
      t.deepEqual(members(a.set.union(b.set)), sorted(new Set([...a.plain, ...b.plain])));
      t.deepEqual(
        members(a.set.intersect(b.set)),
        sorted(a.plain).filter((value) => b.plain.has(value)),
      );
      const less = a.set.subtract(b.set);
      t.deepEqual(
        members(less),
        sorted(a.plain).filter((value) => !b.plain.has(value)),
      );
      t.is(less.count, members(less).length);
      t.true(less.equals(RangeSet.from(less.runs())));
      t.deepEqual(members(a.set), sorted(a.plain));
      t.deepEqual(members(b.set), sorted(b.plain));
    }),
  );
});

test('parts together are the set, each within the bound', (t) => {
  fc.assert(
    fc.property(operations, fc.integer({ min: 1, max: 5 }), (list, maxRuns) => {
      const { set } = build(list);
      const parts = [...set.parts(maxRuns)];
      t.true(parts.every((part) => part.runCount >= 1 && part.runCount <= maxRuns));
      t.deepEqual(parts.flatMap(members), members(set));
      t.is(
        parts.reduce((sum, part) => sum + part.count, 0),
        set.count,
      );
    }),
  );
});

test('a copy does not follow the original', (t) => {
  const set = RangeSet.from([{ from: 3, to: 9 }]);
  const copy = set.clone();
  set.remove(5);
  t.deepEqual(model(copy), new Set([3, 4, 5, 6, 7, 8]));
  t.is(copy.count, 6);
});

test('twenty million pieces in 100,000 runs', (t) => {
  const set = new RangeSet();
  for (let index = 0; index < 100_000; index++) set.add(index * 200, index * 200 + 199);
  t.is(set.runCount, 100_000);
  t.is(set.count, 100_000 * 199);
  for (let index = 0; index < 100_000; index++) t.true(set.has(index * 200 + 198) && !set.has(index * 200 + 199));
  set.add(0, 20_000_000);
  t.is(set.runCount, 1);
  t.is(set.count, 20_000_000);
});

test('runs that are no runs are programmer errors', (t) => {
  const set = new RangeSet();
  for (const [from, to] of [
    [-1, 2],
    [5, 4],
    [0.5, 2],
    [0, Number.POSITIVE_INFINITY],
  ] as const) {
    t.throws(() => set.add(from, to), { instanceOf: RangeError });
  }
});
