/**
 * One connected peer: what is under way at it, what it is expected to take, and how much background it may hold.
 *
 * Also what one wanted chunk is to the scheduler (`Entry`) and one request for it (`Request`). Bytes are counted by the
 * lane they were asked on, once per request, from `add` to `remove`.
 */
import type { DiskId, HostId, Priority } from '@diskswarm/core';
import { CreditWindow } from './credit-window.ts';
import type { DiskState, FeedState } from './disk-state.ts';
import { SCHEDULER_LIMITS } from './limits.ts';
import type { Lane, Want } from './messages.ts';
import { ResponseModel } from './response-model.ts';

/** A request under way. */
export interface Request {
  readonly entry: Entry;
  readonly peer: Peer;
  readonly lane: Lane;
  readonly sentAtUs: number;
  readonly expectedUs: number;
  /** False when this peer was asked for this chunk before: its answer may be to the earlier request. */
  readonly measured: boolean;
  late: boolean;
  /** When a stalled request that nobody else can take over was last looked at. */
  lookedAtUs: number;
}

/** Where an entry is kept: among waiting faults, in its disk's queue, with the unavailable, or under way. */
export type Place = 'faults' | 'queued' | 'parked' | 'asked';

/** A peer not to be asked for a chunk for a while. */
interface Exclusion {
  readonly untilUs: number;
  readonly backoffUs: number;
  readonly certainty: 'has' | 'unknown';
}

/** A connected peer and what was said of a chunk. */
export interface ConnectedHolder {
  readonly peer: Peer;
  readonly certainty: 'has' | 'unknown';
}

/** One wanted chunk. */
export interface Entry {
  readonly want: Want;
  readonly disk: DiskState;
  readonly sequence: number;
  priority: Priority;
  /** Somebody asked for it by name, besides the feed it may have come from. */
  named: boolean;
  feed: FeedState | null;
  place: Place;
  /** How many connected peers have it, as of when it was queued; only read for bulk. */
  rarity: number;
  readonly requests: Map<HostId, Request>;
  readonly excluded: Map<HostId, Exclusion>;
  /** Peers it was ever asked of. */
  readonly asked: Set<HostId>;
  holders: readonly ConnectedHolder[];
  holdersVersion: number;
  toldUnavailable: boolean;
  /** A deadline to look at it again is set. */
  retrying: boolean;
}

export class Peer {
  readonly id: HostId;
  /** Breaks ties between equals, so that not every host of a fleet begins with the same peer. */
  readonly tie: number;
  readonly credit = new CreditWindow({ floorChunks: 1 });
  readonly model = new ResponseModel();
  /** By key, oldest first. */
  readonly requests = new Map<string, Request>();
  readonly choked = new Set<DiskId>();
  backgroundBytes = 0;
  faultBytes = 0;
  bannedUntilUs = 0;
  /** Something is late here and nothing has come since. */
  late = false;
  /** Its line is long or slow beside the nearest peer's. */
  far = false;
  /** It parts its link by itself. */
  shared = false;
  /** When it was last asked for anything. */
  askedUs = Number.NEGATIVE_INFINITY;
  /** When it was last asked for something alone. */
  calibratedUs = Number.NEGATIVE_INFINITY;
  /** A deadline to look for stalled requests is set. */
  watched = false;

  readonly #roundTripUs: (id: HostId) => number | null;

  constructor(id: HostId, tie: number, roundTripUs: (id: HostId) => number | null) {
    this.id = id;
    this.tie = tie;
    this.#roundTripUs = roundTripUs;
  }

  get outstandingBytes(): number {
    return this.backgroundBytes + this.faultBytes;
  }

  add(request: Request): void {
    this.requests.set(request.entry.want.key, request);
    this.askedUs = request.sentAtUs;
    if (request.lane === 'fault') this.faultBytes += request.entry.want.lengthBytes;
    else this.backgroundBytes += request.entry.want.lengthBytes;
  }

  remove(request: Request): void {
    this.requests.delete(request.entry.want.key);
    if (request.lane === 'fault') this.faultBytes -= request.entry.want.lengthBytes;
    else this.backgroundBytes -= request.entry.want.lengthBytes;
  }

  /** True when one more request of any kind fits. */
  get hasRoom(): boolean {
    return this.requests.size < SCHEDULER_LIMITS.requestsPerPeer;
  }

  /** True when its credit takes another background request of this size. */
  takesBackground(lengthBytes: number): boolean {
    return this.hasRoom && this.credit.allows(this.outstandingBytes, lengthBytes);
  }

  expectedUs(lengthBytes: number): number {
    const roundTripUs = this.model.measured ? null : this.#roundTripUs(this.id);
    return this.model.expectedUs(this.outstandingBytes, lengthBytes, roundTripUs);
  }
}
