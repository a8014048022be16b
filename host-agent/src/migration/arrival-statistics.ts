/**
 * What came for one machine that arrives here: bytes of its disks by source from the start, its guest's waits since it runs here.
 *
 * Counts beside the disks' own statistics, which began when the agent did. Told to the source, where the operator looks.
 */
import type { HostId } from '@diskswarm/core';
import type { SourceBytes, Statistics } from '@diskswarm/migration';
import { LatencyHistogram } from '../agent/latency-histogram.ts';
import type { ManagedDisk } from '../agent/managed-disk.ts';

type Disk = Pick<ManagedDisk, 'statistics' | 'leftBytes'>;

export class ArrivalStatistics {
  readonly #bytes = new Map<HostId, { faultBytes: number; backgroundBytes: number }>();
  readonly #waits = new LatencyHistogram();
  #disks: readonly Disk[] = [];
  #forget: (() => void)[] = [];
  #running = false;
  #changes = 0;

  /** Begins to count; once. */
  follow(disks: readonly Disk[]): void {
    this.#disks = disks;
    this.#forget = disks.map(({ statistics }) =>
      statistics.follow({
        received: (source, lengthBytes, fault) => this.#received(source, lengthBytes, fault),
        waited: (durationUs) => {
          if (!this.#running) return;
          this.#waits.add(durationUs);
          this.#changes++;
        },
      }),
    );
  }

  /** The guest runs here: its waits count from now on. */
  runs(): void {
    this.#running = true;
  }

  /** Counts nothing any more. Idempotent. */
  stop(): void {
    for (const forget of this.#forget) forget();
    this.#forget = [];
  }

  /** Grows with everything that is counted: what was told is not told again. */
  get changes(): number {
    return this.#changes;
  }

  get value(): Statistics {
    const sources = [...this.#bytes].map(([host, bytes]): SourceBytes => ({ host, ...bytes }));
    const total = ({ faultBytes, backgroundBytes }: SourceBytes): number => faultBytes + backgroundBytes;
    return {
      sources: sources.toSorted((left, right) => total(right) - total(left)),
      faults: { count: this.#waits.count, ...this.#waits.percentiles() },
      missingBytes: this.#disks.reduce((sum, disk) => sum + disk.leftBytes(), 0),
    };
  }

  #received(source: HostId, lengthBytes: number, fault: boolean): void {
    const bytes = this.#bytes.get(source) ?? { faultBytes: 0, backgroundBytes: 0 };
    if (fault) bytes.faultBytes += lengthBytes;
    else bytes.backgroundBytes += lengthBytes;
    this.#bytes.set(source, bytes);
    this.#changes++;
  }
}
