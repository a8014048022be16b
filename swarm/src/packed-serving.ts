/**
 * Makes chunks smaller for one peer of one disk: a delta to a chunk that the peer holds, compressed where that pays.
 *
 * Compression pays where the peer, who knows how fast its chunks come, asked for it, and the disk's bytes let themselves be compressed:
 * of those that do not, one in 64 is tried again; and while this host has time for it. Of those that do, one in 64 goes as it is, so that the peer goes on knowing its link.
 * Whatever does not fit comes whole, in the same answer. Chunks are verified by the disk's server.
 */
import type { ChunkId } from '@diskswarm/core';
import { type ChunkBuffers, compress, encodeDelta, fitsPacked, type PackedChunk } from '@diskswarm/wire';
import type { CompressionBudget } from './compression-budget.ts';
import { CompressionGauge } from './compression-gauge.ts';
import { PackingStatistics, type PackingTotals } from './packing-statistics.ts';

/** One chunk in so many goes as it is although compression pays. */
const PLAIN_EVERY = 64;

export interface PackedServingOptions {
  readonly buffers: ChunkBuffers;
  readonly budget: CompressionBudget;
  /** A chunk of the disk, verified, read into `room`; null when it is not here for the peer. */
  readonly readChunk: (id: ChunkId, room: Uint8Array) => Promise<Uint8Array | null>;
}

export class PackedServing {
  readonly #options: PackedServingOptions;
  readonly #gauge = new CompressionGauge();
  readonly #statistics = new PackingStatistics();
  #compressible = 0;
  #compressed = false;

  constructor(options: PackedServingOptions) {
    this.#options = options;
  }

  /** What was sent in fewer bytes. */
  get totals(): PackingTotals {
    return this.#statistics.totals;
  }

  /** Whether the peer wants compressed chunks. */
  accept(compressed: boolean): void {
    this.#compressed = compressed;
  }

  /** False where nothing can make a chunk smaller, which needs no look at it; `base` is what the peer says it holds. */
  mayPack(base: ChunkId | null): boolean {
    return base !== null || this.#compressed;
  }

  /** The chunk in fewer bytes; null when it does not get smaller. `base` is what the peer says it holds. */
  async pack(chunk: Uint8Array, base: ChunkId | null): Promise<PackedChunk | null> {
    const delta = base === null ? null : await this.#deltaTo(base, chunk);
    const plain = delta ?? chunk;
    const zstd = this.#compress(plain);
    const packed = { base: delta === null ? null : base, zstd: zstd !== null, body: zstd ?? plain };
    return fitsPacked(packed.body.length, chunk.length) ? packed : null;
  }

  /** It is sent. */
  sent(packed: PackedChunk, chunkSizeBytes: number): void {
    this.#statistics.add(packed, chunkSizeBytes);
  }

  async #deltaTo(base: ChunkId, chunk: Uint8Array): Promise<Uint8Array | null> {
    const room = this.#options.buffers.chunk();
    try {
      const old = await this.#options.readChunk(base, room);
      return old === null ? null : encodeDelta(old, chunk);
    } finally {
      this.#options.buffers.give(room);
    }
  }

  #compress(bytes: Uint8Array): Uint8Array | null {
    const { budget } = this.#options;
    if (!this.#compressed || !budget.open || !this.#gauge.tries()) return null;
    if (this.#gauge.pays && ++this.#compressible % PLAIN_EVERY === 0) return null;
    const smaller = budget.spend(() => compress(bytes));
    return this.#gauge.learn(bytes.length, smaller.length) ? smaller : null;
  }
}
