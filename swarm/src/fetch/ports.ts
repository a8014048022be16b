/**
 * What the fetch engine needs of a disk and of a channel, and what it tells whoever keeps statistics.
 *
 * `DiskChannel` is a `FetchChannel`. Availability stays with the caller: claims come on channels and are read here.
 */
import type { ChunkId, DiskId, GenerationId, HostId, PieceIndex } from '@diskswarm/core';
import type { ChannelLane } from '@diskswarm/wire';
import type { RequestToken } from '../ports.ts';

/** A peer's end of one disk, as far as fetching goes. */
export interface FetchChannel {
  readonly host: HostId;
  /** The last round trip that was measured to it; null before. */
  readonly rttUs: number | null;
  /** Null when nothing can be asked there now. `base` is a chunk that is here: the answer may travel as what differs from it. */
  request(wanted: {
    generation: GenerationId;
    piece: PieceIndex;
    lane: ChannelLane;
    base: ChunkId | null;
  }): RequestToken | null;
  /** Tells the peer whether chunks may come compressed, when that changed. */
  acceptCompressed(compressed: boolean): void;
  cancel(token: RequestToken): void;
  /** Takes a chunk's array back for the next one. */
  release(bytes: Uint8Array): void;
  /** Ends the session and keeps the host away. */
  misbehaved(why: string): void;
}

/** Who may be asked for a piece. `unknown`: the peer said neither that it has it nor that it lacks it. */
export interface FetchHolder {
  readonly channel: FetchChannel;
  readonly certainty: 'has' | 'unknown';
}

/** A disk that chunks are fetched for. */
export interface FetchDisk {
  readonly disk: DiskId;
  readonly chunkSizeBytes: number;
  /** The generation whose pieces are counted under this manifest root; null when peers cannot be asked for it. */
  generationOf(root: ChunkId): GenerationId | null;
  /** A chunk that is here and probably has much in common with the piece's newest one; null for none. */
  baseOf(piece: PieceIndex): ChunkId | null;
  /** The host does not serve the piece; true when `holders` may answer otherwise for that. */
  rejected?(piece: PieceIndex, host: HostId): boolean;
  /** Channels that are ready, know the generation, and did not say that the peer lacks the piece. */
  holders(generation: GenerationId, piece: PieceIndex): Iterable<FetchHolder>;
}

/** Where the time of one fault's fetch went, in microseconds. */
export interface FetchTimes {
  /** Whose answer it was. */
  readonly host: HostId;
  /** From the guest's need to the request that brought the chunk; 0 when that was under way already. */
  readonly queueUs: number;
  /** From then until the last byte was here. */
  readonly networkUs: number;
  /** From then until the bytes were known to be the chunk, waiting for its id included. */
  readonly verifyUs: number;
}

export interface FetchStatistics {
  /** A verified chunk came from `host`; `fault`: somebody waited for it. */
  received(host: HostId, lengthBytes: number, fault: boolean): void;
  /** The fetch of a fault ended with its chunk. */
  fetched(times: FetchTimes): void;
}
