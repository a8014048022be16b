/**
 * One chunk that is being fetched: everybody who waits for it, the requests under way, and its id once anybody knows it.
 *
 * Identical gets share it. A waiter that gives up leaves the others alone; each may bring the id, and one whose id cannot
 * be found fails alone. Bytes that come before the id is known are held: one chunk per peer that was asked.
 */
import {
  type ChunkId,
  type GenerationId,
  type HostId,
  type PiecePosition,
  PRIORITY,
  type Priority,
} from '@diskswarm/core';
import type { RequestToken } from '../ports.ts';
import type { FetchChannel, FetchStatistics } from './ports.ts';

/** A request under way. */
export interface FetchRequest {
  readonly channel: FetchChannel;
  readonly token: RequestToken;
  readonly sentAtUs: number;
}

/** Bytes that came and are not judged yet. */
export interface Arrival {
  readonly host: HostId;
  readonly bytes: Uint8Array;
  /** What it travelled in. */
  readonly wireBytes: number;
  readonly sentAtUs: number;
  readonly arrivedAtUs: number;
}

/** Somebody who waits. */
export interface Waiter {
  resolve(bytes: Uint8Array): void;
  reject(error: unknown): void;
}

/** What all fetches of a disk share. */
export interface FetchContext {
  readonly chunkSizeBytes: number;
  readonly statistics: FetchStatistics;
}

export class ChunkFetch {
  readonly key: string;
  readonly position: PiecePosition;
  readonly generation: GenerationId;
  readonly context: FetchContext;
  /** By peer; the scheduler asks each once. */
  readonly requests = new Map<HostId, FetchRequest>();
  /** By peer; waiting for the id. */
  readonly held = new Map<HostId, Arrival>();
  id: ChunkId | null = null;
  readonly #waiters = new Set<Waiter>();
  /** When a guest began to wait; null while only background does. */
  #faultSinceUs: number | null = null;

  constructor(options: { key: string; position: PiecePosition; generation: GenerationId; context: FetchContext }) {
    this.key = options.key;
    this.position = options.position;
    this.generation = options.generation;
    this.context = options.context;
  }

  /** Nobody waits any more. */
  get abandoned(): boolean {
    return this.#waiters.size === 0;
  }

  join(waiter: Waiter, priority: Priority, nowUs: number): void {
    this.#waiters.add(waiter);
    if (priority === PRIORITY.fault) this.#faultSinceUs ??= nowUs;
  }

  /** True when the waiter was still waiting. */
  leave(waiter: Waiter): boolean {
    return this.#waiters.delete(waiter);
  }

  /** Gives every waiter bytes of its own. */
  resolve(bytes: Uint8Array): void {
    let own: Uint8Array | null = bytes;
    for (const waiter of this.#waiters) {
      waiter.resolve(own ?? bytes.slice());
      own = null;
    }
    this.#waiters.clear();
  }

  reject(error: unknown): void {
    for (const waiter of this.#waiters) waiter.reject(error);
    this.#waiters.clear();
  }

  /** Counts an arrival that is the chunk, verified at `nowUs`. */
  count({ host, bytes, sentAtUs, arrivedAtUs }: Arrival, nowUs: number): void {
    const { statistics } = this.context;
    const since = this.#faultSinceUs;
    statistics.received(host, bytes.length, since !== null);
    if (since === null) return;
    statistics.fetched({
      host,
      queueUs: Math.max(0, sentAtUs - since),
      networkUs: Math.max(0, arrivedAtUs - Math.max(sentAtUs, since)),
      verifyUs: Math.max(0, nowUs - Math.max(arrivedAtUs, since)),
    });
  }
}
