/** What a family of metrics is made of. */

/** Label names and values; values may hold anything. */
export type Labels = Readonly<Record<string, string>>;

/** One line: a family without labels has one sample with none. */
export type Sample = readonly [labels: Labels, value: number];

/** One histogram of a family. All histograms of a family have the same bounds. */
export interface HistogramSample {
  readonly labels: Labels;
  /** Upper bound, inclusive, and how many were at most that; bounds rise, and so do counts. */
  readonly buckets: readonly (readonly [bound: number, atMost: number])[];
  readonly count: number;
  readonly sum: number;
}
