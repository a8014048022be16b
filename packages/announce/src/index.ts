/**
 * @module announce
 * How hosts and trackers speak to each other: announce and scrape requests and answers over HTTP (BEP 3, 7, 23, 48), and the
 * tracker's side of the same as datagrams (BEP 15).
 *
 * Pure functions over text and bytes, shared by the tracker and by the client in the swarm. Fetching, serving and deciding
 * when to announce are left to them.
 *
 * @example
 * const url = buildAnnounceUrl('http://tracker.example:6969/announce', request);
 * const { peers, intervalSeconds } = parseAnnounceResponse(await fetchBytes(url));
 */
export * from './announce-request.ts';
export * from './announce-response.ts';
export * from './compact-peers.ts';
export * from './limits.ts';
export { percentDecode, percentEncode } from './percent-bytes.ts';
export { parseQuery, type Query } from './query.ts';
export * from './scrape.ts';
export * from './udp.ts';
