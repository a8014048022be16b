/**
 * One page of metrics in the text exposition format 0.0.4 of Prometheus.
 *
 * Source: "Exposition formats" and "Metric and label naming" of the Prometheus documentation. A family comes whole and once; one
 * without samples is still announced, so that a reader sees what there could be. Names are the programmer's and asserted, label
 * values may come from anywhere and are escaped.
 */
import type { HistogramSample, Labels, Sample } from './samples.ts';

/** What a page is served as. */
export const METRICS_CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

const NAME = /^[a-zA-Z_][a-zA-Z0-9_]*$/;
/** Suffixes that a histogram's own lines end in. */
const RESERVED = /_(?:bucket|sum|count)$/;

export class MetricsPage {
  readonly #prefix: string;
  readonly #families = new Set<string>();
  readonly #lines: string[] = [];

  /** `prefix` begins every name. */
  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  /** What only grows while the process lives; the name ends in `_total`. */
  counter(name: string, help: string, samples: number | readonly Sample[]): void {
    if (!name.endsWith('_total')) throw new RangeError(`a counter named ${name}`);
    this.#plain(name, 'counter', help, samples);
  }

  /** What goes up and down. */
  gauge(name: string, help: string, samples: number | readonly Sample[]): void {
    if (name.endsWith('_total')) throw new RangeError(`a gauge named ${name}`);
    this.#plain(name, 'gauge', help, samples);
  }

  /** How many of what size. */
  histogram(name: string, help: string, samples: readonly HistogramSample[]): void {
    const full = this.#begin(name, 'histogram', help);
    for (const { labels, buckets, count, sum } of samples) {
      for (const [bound, atMost] of buckets)
        this.#lines.push(`${full}_bucket${labelText({ ...labels, le: String(bound) })} ${atMost}`);
      this.#lines.push(`${full}_bucket${labelText({ ...labels, le: '+Inf' })} ${count}`);
      this.#lines.push(`${full}_sum${labelText(labels)} ${sum}`, `${full}_count${labelText(labels)} ${count}`);
    }
  }

  /** Everything so far. */
  get text(): string {
    return `${this.#lines.join('\n')}\n`;
  }

  #plain(name: string, type: 'counter' | 'gauge', help: string, samples: number | readonly Sample[]): void {
    const full = this.#begin(name, type, help);
    const list: readonly Sample[] = typeof samples === 'number' ? [[{}, samples]] : samples;
    for (const [labels, value] of list) this.#lines.push(`${full}${labelText(labels)} ${value}`);
  }

  #begin(name: string, type: string, help: string): string {
    const full = `${this.#prefix}${name}`;
    if (!NAME.test(full) || RESERVED.test(full) || this.#families.has(full))
      throw new RangeError(`a metric named ${full}`);
    this.#families.add(full);
    this.#lines.push(
      `# HELP ${full} ${help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')}`,
      `# TYPE ${full} ${type}`,
    );
    return full;
  }
}

function labelText(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => {
    if (!NAME.test(name)) throw new RangeError(`a label named ${name}`);
    return `${name}="${value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')}"`;
  });
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}
