/** A bitmap beside the set it stands for. */
import test from 'ava';
import fc from 'fast-check';
import { Bitmap } from '../src/agent/bitmap.ts';

const SIZE = 300;
const change = fc.tuple(fc.boolean(), fc.nat({ max: SIZE - 1 }));

test('a bitmap is a set with a count, and its runs are the set', (t) => {
  fc.assert(
    fc.property(fc.array(change, { maxLength: 400 }), (changes) => {
      const bitmap = new Bitmap(SIZE);
      const model = new Set<number>();
      for (const [add, index] of changes) {
        if (add) t.is(bitmap.add(index), !model.has(index));
        else t.is(bitmap.remove(index), model.has(index));
        if (add) model.add(index);
        else model.delete(index);
      }
      const members = [...bitmap.runs()].flatMap(([from, to]) =>
        Array.from({ length: to - from }, (_, offset) => from + offset),
      );
      t.deepEqual(
        members,
        [...model].sort((left, right) => left - right),
      );
      t.is(bitmap.count, model.size);
    }),
    { numRuns: 60 },
  );
});

test('a copy does not change with its original', (t) => {
  const original = new Bitmap(10);
  original.add(3);
  const copy = new Bitmap(10);
  copy.copyFrom(original);
  original.remove(3);
  t.true(copy.has(3));
  t.is(copy.count, 1);
});
