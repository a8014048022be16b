/** Figures of a row: ratios within rounds, and verdicts. */
import { ratioFigure, reached } from '@diskswarm/bench';
import test from 'ava';

function ratioOf(ours: readonly number[], peer: readonly number[]) {
  const series = (subject: string, values: readonly number[]) => ({ subject, measure: 'speed', unit: 'MiB/s', values });
  return ratioFigure('speed', series('ours', ours), series('peer', peer), { kind: 'at least', value: 1 });
}

test('a ratio is formed within each round, not of the medians', (t) => {
  const figure = ratioOf([10, 300, 20], [10, 100, 40]);
  t.is(figure.value, 1);
  t.deepEqual(figure.range, [0.5, 3]);
  t.throws(() => ratioOf([1, 2], [1]), { instanceOf: RangeError });
});

test('a target is reached on its own side', (t) => {
  const figure = { label: '', unit: 'x', range: null, rounds: 1 };
  t.true(reached({ ...figure, value: 1, target: { kind: 'at least', value: 1 } }));
  t.false(reached({ ...figure, value: 0.99, target: { kind: 'at least', value: 1 } }));
  t.false(reached({ ...figure, value: 1.01, target: { kind: 'at most', value: 1 } }));
  t.is(reached({ ...figure, value: 1, target: null }), null);
});
