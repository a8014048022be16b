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

/** Records that wait for a shared store to take them; what is announced meanwhile is told to the others at the next announce. */
export const MAX_UNSENT_RECORDS = 16;
/** Records that a shared store keeps: beyond it the oldest go, sooner than they would by their age. */
export const MAX_SHARED_RECORDS = 65_536;
/** Records read from it at once. */
export const MAX_RECORDS_PER_READ = 16;

/** Blobs of news kept; the one repeated longest ago makes room. */
export const MAX_BLOBS = 20_000;
/** Of these, swarms whose first blob came from one address (one /64 of IPv6); more are not taken. */
export const MAX_BLOBS_PER_ADDRESS = 2_000;
/** A blob goes when nobody repeated it for so long. */
export const BLOB_LIFE_SECONDS = 7 * 86_400;
/** That a blob was repeated is written down, and told to other trackers, no more often than this. */
export const REPEAT_TOLD_SECONDS = 6 * 3600;
/** Blobs read from a shared store at once. */
export const MAX_BLOBS_PER_READ = 16;

/** Connections at once. */
export const MAX_CONNECTIONS = 1024;
/** Bytes of a request's line and headers. */
export const MAX_HEADER_BYTES = 8 * 1024;
/** A request must be complete within this, and an idle connection ends after it. */
export const REQUEST_TIMEOUT_MS = 10_000;
export const KEEP_ALIVE_MS = 15_000;
