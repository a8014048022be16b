/** Chunks of one disk in fewer bytes between two hosts, both ways; how is packed-serving.ts and packed-arrivals.ts. */
import type { ChunkId } from '@diskswarm/core';
import type { ChannelLane, ChunkBuffers } from '@diskswarm/wire';
import type { CompressionBudget } from './compression-budget.ts';
import { PackedArrivals } from './packed-arrivals.ts';
import { PackedServing } from './packed-serving.ts';
import type { PackingTotals } from './packing-statistics.ts';
import type { ChannelHandlers, DiskMembership, RequestToken } from './ports.ts';

export interface ChannelPackingOptions {
  readonly membership: DiskMembership;
  readonly buffers: ChunkBuffers;
  readonly budget: CompressionBudget;
  /** Null before the channel is opened and after it was closed. */
  readonly handlers: () => ChannelHandlers | null;
  /** Asks for the same once more, whole; false when that cannot be sent. */
  readonly askAgain: (lane: ChannelLane, index: number, token: RequestToken) => boolean;
  readonly tell: (compressed: boolean) => void;
  readonly failed: (error: unknown) => void;
}

export class ChannelPacking {
  readonly serving: PackedServing;
  readonly arrivals: PackedArrivals;
  readonly #tell: (compressed: boolean) => void;
  /** What the peer was told. */
  #compressed = false;

  constructor({ membership, buffers, budget, handlers, askAgain, tell, failed }: ChannelPackingOptions) {
    const readChunk = (id: ChunkId, room: Uint8Array): Promise<Uint8Array | null> =>
      membership.server.readChunk(id, room);
    const rejected = (token: RequestToken): void => handlers()?.onRejected(token);
    this.#tell = tell;
    this.serving = new PackedServing({ buffers, budget, readChunk });
    this.arrivals = new PackedArrivals({
      chunkSizeBytes: membership.chunkSizeBytes,
      buffers,
      readChunk,
      arrived: (token, bytes, wireBytes) => handlers()?.onPiece(token, bytes, wireBytes),
      askAgain: (lane, index, token) => {
        if (!askAgain(lane, index, token)) rejected(token);
      },
      rejected,
      failed,
    });
  }

  /** What travelled packed since the channel was opened. */
  get totals(): { readonly sent: PackingTotals; readonly received: PackingTotals } {
    return { sent: this.serving.totals, received: this.arrivals.totals };
  }

  /** Tells the peer whether its chunks may come compressed, when that changed. */
  accept(compressed: boolean): void {
    if (compressed === this.#compressed) return;
    this.#compressed = compressed;
    this.#tell(compressed);
  }
}
