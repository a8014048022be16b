/** The report: ratios within rounds, verdicts, and what renewing a section keeps. */
import { ROWS, type RowResult, ratioFigure, reached, renewed } from '@diskswarm/bench';
import test from 'ava';

const FACTS = { date: '2026-01-02 03:04', machine: 'a machine', load: 0.5 };
const [first, second] = ROWS;

function resultWith(ours: readonly number[], peer: readonly number[]): RowResult {
  const series = (subject: string, values: readonly number[]) => ({ subject, measure: 'speed', unit: 'MiB/s', values });
  const figures = [ratioFigure('speed', series('ours', ours), series('peer', peer), { kind: 'at least', value: 1 })];
  return { series: [series('ours', ours), series('peer', peer)], figures, checks: ['content'], notes: [] };
}

test('a ratio is formed within each round, not of the medians', (t) => {
  const [figure] = resultWith([10, 300, 20], [10, 100, 40]).figures;
  t.is(figure?.value, 1);
  t.deepEqual(figure?.range, [0.5, 3]);
  t.throws(() => resultWith([1, 2], [1]), { instanceOf: RangeError });
});

test('a target is reached on its own side', (t) => {
  const figure = { label: '', unit: 'x', range: null, rounds: 1 };
  t.true(reached({ ...figure, value: 1, target: { kind: 'at least', value: 1 } }));
  t.false(reached({ ...figure, value: 0.99, target: { kind: 'at least', value: 1 } }));
  t.false(reached({ ...figure, value: 1.01, target: { kind: 'at most', value: 1 } }));
  t.is(reached({ ...figure, value: 1, target: null }), null);
});

test('renewing a section keeps the others and the reason that a person wrote', (t) => {
  if (first === undefined || second === undefined) throw new Error('there are rows');
  let text = renewed('', first, resultWith([1], [2]), FACTS);
  t.regex(text, /missed, see \[why\]/);
  t.regex(text, /nobody has written down why yet/);
  text = text.replace('(nobody has written down why yet)', 'Because of the moon.');
  text = renewed(text, second, resultWith([3], [2]), FACTS);
  t.regex(text, /Because of the moon\./);
  text = renewed(text, first, resultWith([1], [4]), FACTS);
  t.regex(text, /Because of the moon\./);
  t.regex(text, /0\.25 ×/);
  t.is(text.match(/^## /gm)?.length, 3);
  t.true(text.indexOf(`## ${first.name}`) < text.indexOf(`## ${second.name}`));
  t.is(renewed(text, first, resultWith([1], [4]), FACTS), text);
});
