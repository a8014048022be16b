/** How long guests waited for chunks, where the time went, and who the chunks came from. */
import type { HostId } from '@diskswarm/core';
import type { FetchStatistics, FetchTimes } from '@diskswarm/swarm';
import type { FaultStatus } from '../control/methods.ts';
import { LatencyHistogram } from './latency-histogram.ts';

/** Told beside the counts, for who counts from another moment on. */
export interface StatisticsFollower {
  /** A chunk arrived; `fault`: somebody waited for it. */
  received(source: HostId, lengthBytes: number, fault: boolean): void;
  /** The guest's wait ended. */
  waited(durationUs: number): void;
}

export class FaultStatistics implements FetchStatistics {
  readonly #followers = new Set<StatisticsFollower>();
  readonly #total = new LatencyHistogram();
  readonly #queue = new LatencyHistogram();
  readonly #network = new LatencyHistogram();
  readonly #verify = new LatencyHistogram();
  readonly #store = new LatencyHistogram();
  readonly #bytesBySource = new Map<HostId, number>();
  #faultBytes = 0;
  #backgroundBytes = 0;

  get faultBytes(): number {
    return this.#faultBytes;
  }
  get backgroundBytes(): number {
    return this.#backgroundBytes;
  }

  /** A chunk arrived from `source`. */
  received(source: HostId, lengthBytes: number, fault: boolean): void {
    this.#bytesBySource.set(source, (this.#bytesBySource.get(source) ?? 0) + lengthBytes);
    if (fault) this.#faultBytes += lengthBytes;
    else this.#backgroundBytes += lengthBytes;
    for (const follower of this.#followers) follower.received(source, lengthBytes, fault);
  }

  /** A chunk that a guest waits for came: how long its fetch spent where. */
  fetched(times: FetchTimes): void {
    this.#queue.add(times.queueUs);
    this.#network.add(times.networkUs);
    this.#verify.add(times.verifyUs);
  }

  /** It was stored. */
  stored(durationUs: number): void {
    this.#store.add(durationUs);
  }

  /** The guest's wait ended. */
  waited(durationUs: number): void {
    this.#total.add(durationUs);
    for (const follower of this.#followers) follower.waited(durationUs);
  }

  /** Tells `follower` of everything from now on, until the function returned is called. */
  follow(follower: StatisticsFollower): () => void {
    this.#followers.add(follower);
    return () => this.#followers.delete(follower);
  }

  bytesBySource(): Record<string, number> {
    return Object.fromEntries(this.#bytesBySource);
  }

  faults(): FaultStatus {
    return {
      count: this.#total.count,
      latencyUs: {
        ...this.#total.percentiles(),
        queue: this.#queue.percentiles(),
        network: this.#network.percentiles(),
        verify: this.#verify.percentiles(),
        store: this.#store.percentiles(),
      },
    };
  }
}
