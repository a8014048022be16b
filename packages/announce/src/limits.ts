/** Bounds of what trackers and their clients read from each other; docs/LIMITS.md lists them. */

/** Characters of an announce or scrape query; a longer one is refused before it is taken apart. */
export const MAX_QUERY_CHARS = 6 * 1024;
/** Parameters of one query. */
export const MAX_QUERY_PARAMETERS = 80;
/** Info hashes of one scrape. */
export const MAX_SCRAPE_HASHES = 64;
/** Info hashes of one scrape by datagram (BEP 15: about 74 fit). */
export const MAX_UDP_SCRAPE_HASHES = 74;
/** Bytes of a tracker's answer. */
export const MAX_RESPONSE_BYTES = 64 * 1024;
/** Peers taken from one answer; more are ignored. */
export const MAX_RESPONSE_PEERS = 1000;
/** Seconds between announces that a tracker may ask for; more is taken as this much. */
export const MAX_INTERVAL_SECONDS = 86_400;
/** Bytes of news that an answer carries; more are not read. */
export const MAX_NEWS_BYTES = 1024;
