/**
 * One disk's traffic with other hosts since the agent started: how long guests waited for chunks and where the time went, who the
 * chunks came from and over what, and how many were given to others.
 */
import type { Address, HostId } from '@diskswarm/core';
import type { FetchStatistics, FetchTimes } from '@diskswarm/swarm';
import type { FaultStatus } from '../control/methods.ts';
import { LatencyHistogram } from './latency-histogram.ts';
import { type SourceKind, sourceKindOf } from './source-kind.ts';

/** Chunks that came, or left. */
export interface ChunkCount {
  readonly chunks: number;
  readonly bytes: number;
}

/** Hosts of which it is told how long they took: those that served a fault first. */
const MAX_TIMED_SOURCES = 64;

const NOTHING: ChunkCount = { chunks: 0, bytes: 0 };

/** Where the time of a fetch goes. */
export const FETCH_STAGES = ['queue', 'network', 'verify', 'store'] as const;
type FetchStage = (typeof FETCH_STAGES)[number];

/** Told beside the counts, for who counts from another moment on. */
export interface StatisticsFollower {
  /** A chunk arrived; `fault`: somebody waited for it. */
  received(source: HostId, lengthBytes: number, fault: boolean): void;
  /** The guest's wait ended. */
  waited(durationUs: number): void;
}

/** What somebody waited for, and what came ahead of any wait. */
export type TrafficKind = 'fault' | 'background';

export class FaultStatistics implements FetchStatistics {
  readonly #addressOf: (host: HostId) => Address | null;
  readonly #followers = new Set<StatisticsFollower>();
  readonly #total = new LatencyHistogram();
  readonly #stages: Readonly<Record<FetchStage, LatencyHistogram>> = {
    queue: new LatencyHistogram(),
    network: new LatencyHistogram(),
    verify: new LatencyHistogram(),
    store: new LatencyHistogram(),
  };
  readonly #bytesBySource = new Map<HostId, number>();
  /** From the need to the verified chunk. */
  readonly #fetchesBySource = new Map<HostId, LatencyHistogram>();
  #faultBytes = 0;
  #backgroundBytes = 0;
  readonly #received = new Map<`${SourceKind} ${TrafficKind}`, ChunkCount>();
  #served: ChunkCount = NOTHING;

  /** `addressOf`: where a host is connected now. */
  constructor(addressOf: (host: HostId) => Address | null = () => null) {
    this.#addressOf = addressOf;
  }

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
    const key = `${sourceKindOf(this.#addressOf(source))} ${fault ? 'fault' : 'background'}` as const;
    this.#received.set(key, more(this.#received.get(key), lengthBytes));
    for (const follower of this.#followers) follower.received(source, lengthBytes, fault);
  }

  /** A chunk was read here for another host. */
  served(lengthBytes: number): void {
    this.#served = more(this.#served, lengthBytes);
  }

  /** A chunk that a guest waits for came: how long its fetch spent where. */
  fetched(times: FetchTimes): void {
    this.#stages.queue.add(times.queueUs);
    this.#stages.network.add(times.networkUs);
    this.#stages.verify.add(times.verifyUs);
    let fetches = this.#fetchesBySource.get(times.host);
    if (fetches === undefined && this.#fetchesBySource.size < MAX_TIMED_SOURCES) {
      fetches = new LatencyHistogram();
      this.#fetchesBySource.set(times.host, fetches);
    }
    fetches?.add(times.queueUs + times.networkUs + times.verifyUs);
  }

  /** It was stored. */
  stored(durationUs: number): void {
    this.#stages.store.add(durationUs);
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

  /** Chunks that came over one kind of connection. */
  receivedOver(source: SourceKind, traffic: TrafficKind): ChunkCount {
    return this.#received.get(`${source} ${traffic}`) ?? NOTHING;
  }

  /** Chunks that were read for other hosts. */
  get servedChunks(): ChunkCount {
    return this.#served;
  }

  /** How long guests waited. */
  get waits(): LatencyHistogram {
    return this.#total;
  }

  /** How long one stage of a fetch took that somebody waited for. */
  stage(stage: FetchStage): LatencyHistogram {
    return this.#stages[stage];
  }

  faults(): FaultStatus {
    return {
      count: this.#total.count,
      latencyUs: {
        ...this.#total.percentiles(),
        queue: this.#stages.queue.percentiles(),
        network: this.#stages.network.percentiles(),
        verify: this.#stages.verify.percentiles(),
        store: this.#stages.store.percentiles(),
      },
      bySource: Object.fromEntries(
        Array.from(this.#fetchesBySource, ([host, fetches]) => [
          host,
          { count: fetches.count, ...fetches.percentiles() },
        ]),
      ),
    };
  }
}

function more({ chunks, bytes }: ChunkCount = NOTHING, lengthBytes: number): ChunkCount {
  return { chunks: chunks + 1, bytes: bytes + lengthBytes };
}
