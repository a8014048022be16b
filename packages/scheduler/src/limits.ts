/**
 * The numbers of the policy in one place: bounds (listed in docs/LIMITS.md too) and times.
 *
 * Each is a bound on memory, on bytes under way, or on patience; why it has this value stands beside it.
 */
import { KIB, MIB } from '@diskswarm/core';

export const SCHEDULER_LIMITS = {
  /** Requests under way at one peer, both lanes together; what a peer's request queue takes. */
  requestsPerPeer: 512,
  /** Peers that one fault is asked of at the same time. */
  requestsPerWant: 3,
  /** Wants a caller may have open besides its feeds. */
  wants: 65_536,
  /** Wants taken from a feed ahead of need; rarest first and runs choose among these. */
  feedLookAhead: 64,
  /** Wants of one feed that nobody has any more; at this many the feed rests until claims change. */
  feedParked: 1024,
  /** Wants looked at for one request when the first ones must wait for their own peers. */
  scan: 64,
  /** Wants of a queue that are gone over for one request, those included that only peers without credit have: two windows of a background fetch. */
  skim: 1024,
  /** Adjacent pieces that go to one peer in a run. */
  runPieces: 8,
  /** Wants looked at again at once when a peer's claims change; the rest follow every 10 ms. */
  unparkAtOnce: 256,
  /** Peers remembered as banned; the one whose ban ends first makes room. */
  bans: 1024,
  /** Background bytes under way, per peer and for the host: at 500 MB/s 16 ms. */
  creditCeilingBytes: 8 * MIB,
  /** Credit before anything is measured. */
  creditStartBytes: 128 * KIB,
  /** Where lone answers are slow, how far credit may grow that no quick answers have borne: 100 Mbit/s over 40 ms. */
  creditUnprovenBytes: 512 * KIB,
  /** Background kept under way at a peer that parts its link by itself: half of 100 Mbit/s over 50 ms, with what memory queues there. */
  sharedBytes: 512 * KIB,
} as const;

/** When a peer counts as far: its lone answer beside the nearest peer's. */
export const NEARNESS = {
  /** Far beyond this many times the nearest, and never below `farUs`: on one segment all are near. */
  farFactor: 4,
  farUs: 10_000,
  /** Near again within this many times the nearest, and always within `nearUs`. */
  nearFactor: 2,
  nearUs: 5_000,
  /** A far peer that was asked for nothing for so long is asked for one chunk, to see whether it still is. */
  measureUs: 30_000_000,
} as const;

/** Times of the policy, in microseconds. */
export const PATIENCE = {
  /** What a peer nobody measured is expected to take, at most: so many of its round trips, where these are known. */
  unmeasuredUs: 100_000,
  unmeasuredRoundTrips: 10,
  /** A fault is never late before this: a garbage collection or a disk that spins up is not worth a second copy. */
  lateFloorUs: 200_000,
  /** Background has stalled after ten times what was expected, and not before this. */
  stallFloorUs: 2_000_000,
  stallFactor: 10,
  /** A peer that rejected a chunk, or stalled with it, is asked for it again after this, doubling. */
  retryUs: 250_000,
  retryMaxUs: 60_000_000,
  /** Pause before more parked wants are looked at again. */
  unparkUs: 10_000,
  /** The shortest response counts for one to two of these: a route that became longer is believed after that. */
  baseWindowUs: 30_000_000,
  /** A fault's place is kept for the next one for so long: who reads on has used the bytes by then. */
  faultPlaceUs: 20_000,
  /** First ban; each further one doubles it. */
  banUs: 600_000_000,
  banMaxUs: 86_400_000_000,
  /** Bounds of the queue that background may build: a quarter of the shortest response, within these. */
  targetMinUs: 4_000,
  targetMaxUs: 25_000,
  /** Answers within this come from a LAN; what may queue there. */
  lanUs: 5_000,
  lanTargetUs: 20_000,
  /** Credit that was cut for what turned out to be no queue is found again fast, but not twice within this. */
  reopenUs: 10_000_000,
  /** A queue counts when it has stood for so long. */
  standingUs: 20_000,
} as const;
