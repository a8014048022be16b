/**
 * @module metrics
 * Metrics in the text that Prometheus scrapes: one page, written anew for each question.
 *
 * Knows the format and its conventions; what is counted, and what it is called, is the caller's.
 *
 * ```ts
 * const page = new MetricsPage('diskswarm_tracker_');
 * page.counter('announces_total', 'Announces answered.', [[{ transport: 'http' }, 12]]);
 * response.end(page.text);
 * ```
 */
export { METRICS_CONTENT_TYPE, MetricsPage } from './metrics-page.ts';
export type { HistogramSample, Labels, Sample } from './samples.ts';
