/**
 * What the scheduler is told (events), what it asks for (effects), and what it shows (snapshots). Data only.
 *
 * Contract of the runner: it performs effects in order; it announces every change of what `whoHas` would answer with
 * `claims`; after a `cancel` it reports nothing more about that request; each request under way ends in exactly one of
 * `arrived`, `corrupt`, `rejected`, `cancel`, or the peer's `peerDown`.
 */
import type { ChunkId, DiskId, HostId, PieceIndex, Priority } from '@diskswarm/core';

/** One chunk that is wanted. The scheduler compares `key`s and hands the rest back unread, but for disk, piece and length. */
export interface Want {
  /** Unique per disk, generation and piece; the caller's choice. */
  readonly key: string;
  readonly disk: DiskId;
  /** Manifest root of the generation that `piece` counts in. */
  readonly root: ChunkId;
  readonly piece: PieceIndex;
  readonly lengthBytes: number;
  readonly priority: Priority;
  /** Position within its disk and priority; smaller is sooner. Not read for faults: these go in the order they come. */
  readonly order: number;
}

/** Who may be asked for a chunk. `unknown`: nothing was claimed either way, a request is worth a try. */
export interface Holder {
  readonly peer: HostId;
  readonly certainty: 'has' | 'unknown';
}

/**
 * A stream of wants too long to hand over: all that is left of a pull, or of a trace.
 * At most one per disk and priority. `next` answers at once; null means "nothing now", until `feedMore`.
 * It should pass over pieces that no known peer has.
 */
export interface WantFeed {
  readonly disk: DiskId;
  readonly priority: Exclude<Priority, 0>;
  next(): Want | null;
}

/** Faults go ahead of everything at the sender; the rest shares the other lane. */
export type Lane = 'fault' | 'bulk';

export type SchedulerEvent =
  /** Asks for a chunk, or raises one already asked for. Throws LIMIT_EXCEEDED when too many are open. */
  | { readonly type: 'want'; readonly want: Want }
  | { readonly type: 'raisePriority'; readonly key: string; readonly priority: Priority }
  /** Nobody waits any more; a chunk that a feed gave too falls back to the feed's priority. */
  | { readonly type: 'giveUp'; readonly key: string }
  | { readonly type: 'feed'; readonly feed: WantFeed }
  /** A feed that said null has wants again. */
  | { readonly type: 'feedMore'; readonly feed: WantFeed }
  /** Ends a feed and gives up what it brought. */
  | { readonly type: 'feedEnd'; readonly feed: WantFeed }
  | { readonly type: 'peerUp'; readonly peer: HostId }
  | { readonly type: 'peerDown'; readonly peer: HostId }
  /** What `whoHas` says of this peer and disk has changed. */
  | { readonly type: 'claims'; readonly peer: HostId; readonly disk: DiskId }
  /** Verified bytes came, in `lengthBytes`: fewer than the want's where they travelled packed. */
  | { readonly type: 'arrived'; readonly peer: HostId; readonly key: string; readonly lengthBytes?: number }
  /** Bytes came that are not the chunk. */
  | { readonly type: 'corrupt'; readonly peer: HostId; readonly key: string }
  | { readonly type: 'rejected'; readonly peer: HostId; readonly key: string }
  | { readonly type: 'choked'; readonly peer: HostId; readonly disk: DiskId }
  | { readonly type: 'unchoked'; readonly peer: HostId; readonly disk: DiskId }
  | { readonly type: 'unban'; readonly peer: HostId }
  /** The peer parts its link between chunks and something else by itself: background is kept under way there, however long answers take; until `on` is false, or it is down. */
  | { readonly type: 'shared'; readonly peer: HostId; readonly on: boolean }
  | { readonly type: 'timer' };

export type Effect =
  | { readonly type: 'request'; readonly peer: HostId; readonly want: Want; readonly lane: Lane }
  | { readonly type: 'cancel'; readonly peer: HostId; readonly key: string }
  /** Call back with `timer` at this time; replaces any earlier one. */
  | { readonly type: 'timer'; readonly atUs: number }
  /** The peer sent wrong bytes; its other requests were cancelled. It is not asked again before `untilUs`. */
  | { readonly type: 'ban'; readonly peer: HostId; readonly untilUs: number; readonly reason: 'corrupt' }
  /** Nobody known has this chunk; it stays wanted. Told once until somebody had it again. */
  | { readonly type: 'unavailable'; readonly key: string }
  /** A request took far longer than expected (statistics). */
  | {
      readonly type: 'late';
      readonly peer: HostId;
      readonly key: string;
      readonly lane: Lane;
      readonly waitedUs: number;
    };

/** One peer as the scheduler sees it. */
export interface PeerSnapshot {
  readonly peer: HostId;
  readonly requests: number;
  readonly backgroundBytes: number;
  readonly faultBytes: number;
  readonly creditBytes: number;
  /** Null before enough was measured. */
  readonly bytesPerSecond: number | null;
  /** Shortest recent response, or null. */
  readonly baseUs: number | null;
  readonly late: boolean;
  /** Spared where a near peer has the chunk. */
  readonly far: boolean;
}

export interface SchedulerSnapshot {
  /** Chunks wanted now, the look-ahead of feeds included. */
  readonly wants: number;
  /** Of these, without a request under way, and among those the ones nobody known has. */
  readonly waiting: number;
  readonly unavailable: number;
  readonly backgroundBytes: number;
  readonly faultBytes: number;
  /** What the host's downlink is thought to bear. */
  readonly creditBytes: number;
  readonly peers: readonly PeerSnapshot[];
}
