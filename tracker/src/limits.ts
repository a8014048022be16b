/** Bounds of the tracker; docs/LIMITS.md lists them. */

/** Swarms known at once. */
export const MAX_SWARMS = 100_000;
/** Peers of one swarm. */
export const MAX_PEERS_PER_SWARM = 100_000;
/** Peers of all swarms together: 30 to 100 MB in swarms of many, more in swarms of few. */
export const MAX_PEERS = 1_000_000;
/** Peers in one answer, whatever was asked for. */
export const MAX_PEERS_PER_ANSWER = 200;
/** Peers in one answer to a client that does not say how many it wants. */
export const DEFAULT_PEERS_PER_ANSWER = 50;
/** Seconds between announces that clients are asked for. */
export const DEFAULT_INTERVAL_SECONDS = 120;
/** No sooner than this, also when there is news. */
export const MIN_INTERVAL_SECONDS = 5;
/** A peer is forgotten after this many intervals without an announce. */
export const INTERVALS_UNTIL_EXPIRY = 2.5;

/** The same by datagram over IPv6, so that an answer fits a packet everywhere. */
export const MAX_UDP6_PEERS_PER_ANSWER = 66;
/** Answers that wait for the kernel to take them; more are dropped, as a network would. */
export const MAX_QUEUED_ANSWERS = 512;

/** Texts of addresses whose bytes are remembered; beyond it all are worked out anew. */
export const MAX_CACHED_ADDRESSES = 4096;
/** Bytes of changes collected before they go to the journal, and of one of its records. */
export const MAX_PENDING_CHANGES_BYTES = 64 * 1024;

/** Connections at once. */
export const MAX_CONNECTIONS = 1024;
/** Bytes of a request's line and headers. */
export const MAX_HEADER_BYTES = 8 * 1024;
/** A request must be complete within this, and an idle connection ends after it. */
export const REQUEST_TIMEOUT_MS = 10_000;
export const KEEP_ALIVE_MS = 15_000;
