/**
 * How long a guest's reads take, as its QEMU counts them: a histogram fine enough for percentiles.
 *
 * From the moment a request leaves the emulated device until it is answered, so the guest's own slowness is not in it.
 */
import type { QmpClient } from '@diskswarm/qmp';
import { check } from '../row.ts';

/** From 5 µs to a minute, each 5 % above the one before. */
const BOUNDARIES_NS = Array.from({ length: 335 }, (_, index) => Math.round(5000 * 1.05 ** index));

export class ReadLatency {
  readonly #qmp: QmpClient;
  readonly #device: string;

  private constructor(qmp: QmpClient, device: string) {
    this.#qmp = qmp;
    this.#device = device;
  }

  /** Of the disk of a machine with one disk. */
  static async of(qmp: QmpClient): Promise<ReadLatency> {
    const device = (await qmp.execute('query-blockstats', {})).find(({ qdev }) => qdev !== undefined)?.qdev;
    check(device !== undefined, 'QEMU names no disk');
    return new ReadLatency(qmp, device!);
  }

  /** Counts from now on. */
  async begin(): Promise<void> {
    await this.#qmp.execute('block-latency-histogram-set', { id: this.#device, 'boundaries-read': BOUNDARIES_NS });
  }

  /** The percentile of the reads since `begin`, microseconds, and how many there were. */
  async percentile(part: number): Promise<{ us: number; reads: number }> {
    const device = (await this.#qmp.execute('query-blockstats', {})).find(({ qdev }) => qdev === this.#device);
    const histogram = device?.stats.rd_latency_histogram;
    check(histogram !== undefined, 'QEMU counts no latencies');
    const { bins, boundaries } = histogram!;
    const reads = bins.reduce((sum, count) => sum + count, 0);
    let below = 0;
    const index = bins.findIndex((count) => {
      below += count;
      return below >= reads * part;
    });
    return { us: (boundaries[Math.min(index, boundaries.length - 1)] ?? Number.NaN) / 1000, reads };
  }
}
