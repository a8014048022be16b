/** Pages as Prometheus reads them: conventions that hold by construction, and values that cannot break out of their quotes. */
import test from 'ava';
import fc from 'fast-check';
import { MetricsPage } from '../src/index.ts';

test('a page names each family, says what it is, and then its samples', (t) => {
  const page = new MetricsPage('demo_');
  page.gauge('peers', 'Peers now.', 3);
  page.counter('chunks_total', 'Chunks that came.', [
    [{ source: 'lan' }, 2],
    [{ source: 'wan' }, 0],
  ]);
  page.histogram('wait_seconds', 'Waits.', [
    {
      labels: { disk: 'desk' },
      buckets: [
        [0.001, 1],
        [0.5, 4],
      ],
      count: 5,
      sum: 2.25,
    },
  ]);
  t.is(
    page.text,
    `# HELP demo_peers Peers now.
# TYPE demo_peers gauge
demo_peers 3
# HELP demo_chunks_total Chunks that came.
# TYPE demo_chunks_total counter
demo_chunks_total{source="lan"} 2
demo_chunks_total{source="wan"} 0
# HELP demo_wait_seconds Waits.
# TYPE demo_wait_seconds histogram
demo_wait_seconds_bucket{disk="desk",le="0.001"} 1
demo_wait_seconds_bucket{disk="desk",le="0.5"} 4
demo_wait_seconds_bucket{disk="desk",le="+Inf"} 5
demo_wait_seconds_sum{disk="desk"} 2.25
demo_wait_seconds_count{disk="desk"} 5
`,
  );
});

test('a family without samples is announced', (t) => {
  const page = new MetricsPage('demo_');
  page.counter('moves_total', 'Moves.', []);
  t.is(page.text, '# HELP demo_moves_total Moves.\n# TYPE demo_moves_total counter\n');
});

test('whatever a label holds, the page keeps its lines and gives it back', (t) => {
  const property = fc.property(fc.string({ unit: 'binary' }), (value) => {
    const page = new MetricsPage('demo_');
    page.gauge('disks', 'Disks.', [[{ disk: value }, 1]]);
    const lines = page.text.trimEnd().split('\n');
    const held = /^demo_disks\{disk="((?:[^"\\\n]|\\["\\n])*)"\} 1$/.exec(lines.slice(2).join('\n'))?.[1];
    return held?.replace(/\\(.)/g, (_, mark: string) => (mark === 'n' ? '\n' : mark)) === value;
  });
  fc.assert(property, { numRuns: 500 });
  t.pass();
});

test('names that Prometheus would refuse are mistakes of the programmer', (t) => {
  const page = new MetricsPage('demo_');
  t.throws(() => page.counter('chunks', 'no suffix', 1), { instanceOf: RangeError });
  t.throws(() => page.gauge('chunks_total', 'a suffix', 1), { instanceOf: RangeError });
  t.throws(() => page.gauge('wait_sum', 'reserved', 1), { instanceOf: RangeError });
  t.throws(() => page.gauge('no-dash', 'dash', 1), { instanceOf: RangeError });
  page.gauge('once', 'once', 1);
  t.throws(() => page.gauge('once', 'twice', 1), { instanceOf: RangeError });
});
