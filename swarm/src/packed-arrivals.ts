/**
 * Chunks that came as deltas or compressed, made whole again: the asking half of a channel.
 *
 * A delta names the chunk it is to, which is read from here, verified; so a result that is not the chunk asked for is the sender's fault.
 * A base that is not here any more costs a second request, without one; a host that answers that with a delta too is taken to have refused.
 * At most one chunk of memory for each request under way.
 */
import type { ChunkId } from '@diskswarm/core';
import { type ChannelLane, type ChunkBuffers, type PackedChunk, unpack } from '@diskswarm/wire';
import { PackingStatistics, type PackingTotals } from './packing-statistics.ts';
import type { RequestToken } from './ports.ts';

export interface PackedArrivalsOptions {
  readonly chunkSizeBytes: number;
  readonly buffers: ChunkBuffers;
  /** A chunk of the disk, verified, read into `room`; null when it is not here. */
  readonly readChunk: (id: ChunkId, room: Uint8Array) => Promise<Uint8Array | null>;
  /** The chunk of a request, not verified, and how many bytes it travelled in. */
  readonly arrived: (token: RequestToken, bytes: Uint8Array, wireBytes: number) => void;
  /** Asks for the same once more, whole. */
  readonly askAgain: (lane: ChannelLane, index: number, token: RequestToken) => void;
  readonly rejected: (token: RequestToken) => void;
  readonly failed: (error: unknown) => void;
}

export class PackedArrivals {
  readonly #options: PackedArrivalsOptions;
  readonly #statistics = new PackingStatistics();
  /** Being made whole. */
  readonly #open = new Set<RequestToken>();
  /** Asked for a second time. */
  readonly #again = new Set<RequestToken>();

  constructor(options: PackedArrivalsOptions) {
    this.#options = options;
  }

  /** What came in fewer bytes. */
  get totals(): PackingTotals {
    return this.#statistics.totals;
  }

  /** The answer to a request; throws FORMAT_INVALID when it is none. */
  take(lane: ChannelLane, index: number, token: RequestToken, packed: PackedChunk): void {
    const { buffers, readChunk, failed } = this.#options;
    const room = buffers.chunk();
    if (packed.base === null) {
      this.#deliver(token, packed, room);
      return;
    }
    this.#open.add(token);
    readChunk(packed.base, room)
      .then((base) => {
        if (!this.#open.delete(token)) buffers.give(room);
        else if (base !== null) this.#deliver(token, packed, room);
        else {
          buffers.give(room);
          this.#baseGone(lane, index, token);
        }
      })
      .catch(failed);
  }

  /** Nobody waits for it any more. */
  forget(token: RequestToken): void {
    this.#open.delete(token);
    this.#again.delete(token);
  }

  /** Nothing is delivered any more. */
  close(): void {
    this.#open.clear();
    this.#again.clear();
  }

  #deliver(token: RequestToken, packed: PackedChunk, room: Uint8Array): void {
    const bytes = unpack(packed, room);
    if (bytes !== room) this.#options.buffers.give(room);
    this.#again.delete(token);
    this.#statistics.add(packed, this.#options.chunkSizeBytes);
    this.#options.arrived(token, bytes, packed.body.length);
  }

  #baseGone(lane: ChannelLane, index: number, token: RequestToken): void {
    if (this.#again.delete(token)) {
      this.#options.rejected(token);
      return;
    }
    this.#again.add(token);
    this.#options.askAgain(lane, index, token);
  }
}
