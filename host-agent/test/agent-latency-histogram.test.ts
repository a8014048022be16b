/** Percentiles of recorded latencies, beside the sorted truth. */
import test from 'ava';
import { LatencyHistogram } from '../src/agent/latency-histogram.ts';

test('percentiles lie within a bucket of the truth', (t) => {
  const histogram = new LatencyHistogram();
  for (let duration = 1; duration <= 10_000; duration++) histogram.add(duration);
  const { p50, p90, p99, max } = histogram.percentiles();
  const near = (value: number, truth: number): boolean => Math.abs(value - truth) < truth * 0.05;
  t.true(near(p50, 5_000), `p50 ${p50}`);
  t.true(near(p90, 9_000), `p90 ${p90}`);
  t.true(near(p99, 9_900), `p99 ${p99}`);
  t.is(max, 10_000);
});

test('nothing recorded is all zeros, and no percentile exceeds the maximum', (t) => {
  const histogram = new LatencyHistogram();
  t.deepEqual(histogram.percentiles(), { p50: 0, p90: 0, p99: 0, max: 0 });
  histogram.add(1_000_000);
  const { p50, p99, max } = histogram.percentiles();
  t.is(max, 1_000_000);
  t.true(p50 > 950_000 && p50 <= max && p99 >= p50 && p99 <= max);
  histogram.add(10 ** 12);
  t.is(histogram.percentiles().max, 10 ** 12);
});

test('counts up to a power of two are exact, bounds included', (t) => {
  const histogram = new LatencyHistogram();
  for (let duration = 0; duration <= 5_000; duration++) histogram.add(duration);
  t.deepEqual(histogram.atMost([1, 7, 12, 13, 40]), [3, 129, 4_097, 5_001, 5_001]);
  t.is(histogram.sumUs, (5_000 * 5_001) / 2);
});
