/** Bounds of sessions, lanes and discovery; docs/LIMITS.md lists them. Units last in names. */
import { KIB, MIB } from '@diskswarm/core';

/** Sessions at once; more hosts are refused, and none is dialled. */
export const MAX_SESSIONS = 64;
/** Connections whose host is not known yet, silent ones included; beyond it the oldest goes. */
export const MAX_UNPROVEN_LANES = 256;
/** From a connection's start until its host is proven; whatever fails before, the connection ends then. */
export const LANE_DEADLINE_MS = 10_000;
/** Disks that one session carries. */
export const MAX_CHANNELS = 64;
/** Requests of one peer for one disk on one lane that may wait here. */
export const MAX_PEER_REQUESTS = 512;
/** Path requests of one peer for one disk that may wait here. */
export const MAX_PEER_PATHS = 128;
/** Path requests of ours to one peer for one disk that may wait for an answer. */
export const MAX_OWN_PATHS = 128;
/** Messages and bytes that wait while the peer's roster is checked and stored. */
export const MAX_GATED_MESSAGES = 256;
export const MAX_GATED_BYTES = MIB;
/** Bytes of a lane inside the connection: what is there can no longer be overtaken. */
export const MAX_IN_SINK_BYTES = 128 * KIB;
/** Bytes of a lane that wait to enter it; a peer that makes us say more than it reads is dropped. */
export const MAX_LANE_BACKLOG_BYTES = 8 * MIB;
/** Chunk bytes that may wait for a lane before its next chunk is read: a fault waits behind no more in this process. */
export const SERVE_AHEAD_BYTES = 256 * KIB;
/** What the background may send beyond its part of a link, while memory waits. */
export const SHARE_SLACK_BYTES = 256 * KIB;
/** Reads for peers under way at once, and how many of them may be background. */
export const MAX_SERVE_READS = 24;
export const MAX_BULK_READS = 16;
/** A silent lane is asked after this, and given up after that. */
export const PING_INTERVAL_MS = 15_000;
export const LANE_DEAD_MS = 60_000;
/** Two hosts that dial each other within this have to agree which connection stays. */
export const SIMULTANEOUS_DIAL_MS = 10_000;
/** How long a way through a third host is kept after a direct one that broke before it carried a session. */
export const DETOUR_KEPT_MS = 600_000;
/** From a roster that revokes a host until its channel is shut; it is served nothing meanwhile. */
export const FAREWELL_MS = 1_000;
/** From a closed session until its sockets are torn down. */
export const LINGER_MS = 5_000;
/** Addresses that are remembered. */
export const MAX_ADDRESSES = 1024;
/** Dials under way at once. */
export const MAX_DIALS = 8;
export const DIAL_TIMEOUT_MS = 10_000;
/** Back-off between dials of one address: doubles from the first to the last. */
export const FIRST_BACKOFF_MS = 1_000;
export const LAST_BACKOFF_MS = 60_000;
/** Failures in a row after which an address that was only found is forgotten. */
export const MAX_FAILURES = 8;
/** How long a host that broke the protocol is kept away. */
export const MISBEHAVIOUR_BAN_MS = 600_000;
/** Bans that are remembered. */
export const MAX_BANS = 4096;
/** Between two announces, whatever a tracker asks for. */
export const MIN_ANNOUNCE_INTERVAL_MS = 10_000;
export const MAX_ANNOUNCE_INTERVAL_MS = 3_600_000;
/** Addresses taken from one announce. */
export const MAX_ANNOUNCED_PEERS = 200;
/** Arrays kept for arriving chunks, for each chunk size. */
export const MAX_SPARE_BYTES = 8 * MIB;
/** Streams between two hosts at once. */
export const MAX_STREAMS = 64;
/** Bytes of a stream that may be on their way before the rate is known: what waits here is added to a moving guest's pause. */
export const FIRST_STREAM_WINDOW_BYTES = 256 * KIB;
/** The same once a slow link is known to need less. */
export const LEAST_STREAM_WINDOW_BYTES = 32 * KIB;
/** The same once a fast link over a long way needs more. */
export const MAX_STREAM_WINDOW_BYTES = 16 * MIB;
/** Chunks fetched at once for all disks, waiting ones included. */
export const MAX_FETCHES = 65_536;
/** Newcomers with a join token that are answered at once. */
export const MAX_GUESTS = 32;
/** How long a newcomer and the host that answers it stay connected. */
export const GUEST_DEADLINE_MS = 30_000;
/** Bytes of the answer to a newcomer: a full roster and the epoch records of a disk that moved often. */
export const MAX_REDEMPTION_BYTES = 4 * 1024 * 1024;
