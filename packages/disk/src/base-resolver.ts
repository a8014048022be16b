/**
 * What the data path needs from the rest of the agent: pages of the manifest, and chunks that are not here.
 *
 * The data path runs in a thread of its own (design D13), so this port is asynchronous and is asked only about faults and
 * about leaf pages seen for the first time. It leaves to the other side: which root is current, verification of pages,
 * choice of peers, storing what arrives, batching of traces.
 */
import type { ChunkLocation, PieceIndex, Priority } from '@diskswarm/core';

/** One leaf page of the manifest with the places of its chunks at this moment. */
export interface LeafView {
  /** Index of the leaf: it names pieces `leaf * 256` to `leaf * 256 + 255`. */
  readonly leaf: number;
  /** The page: 256 ids of 32 bytes, verified. Belongs to the receiver. */
  readonly ids: Uint8Array;
  /** Slot of the first location. @default 0 */
  readonly first?: number;
  /**
   * Where the chunks from `first` on lie; null for one that is absent or the zero chunk. Of other slots nothing is said: what was known of them
   * stays, and what was not counts as absent. A whole leaf has 256 entries.
   */
  readonly locations: readonly (ChunkLocation | null)[];
  /** Verified bytes of the piece that was asked for, when the store has no room for them: they are read this once. Belongs to the receiver. */
  readonly unstored?: Uint8Array | null;
}

export interface BaseResolver {
  /** The leaf as far as it is known here; null when its page is not here. Never waits for the network. */
  peek(leaf: number): Promise<LeafView | null>;
  /**
   * Resolves when the piece's chunk can be read at the location of the view, or comes with it (or its id is the zero id); waits as long as it must.
   * Asking again with a more urgent priority raises the piece. Rejects with ABORTED when `signal` fires, or CHUNK_NOT_FOUND.
   */
  resolve(piece: PieceIndex, priority: Priority, options: { signal: AbortSignal }): Promise<LeafView>;
  /** The bytes at `location` are not the piece's chunk or cannot be read: the next `resolve` must give a good place. */
  damaged(piece: PieceIndex, location: ChunkLocation): void;
  /** A guest touched the piece for the first time in this attachment; recorded for the trace. */
  touched(piece: PieceIndex): void;
}
