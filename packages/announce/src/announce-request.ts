/**
 * An announce: "I am here, on this port; who else is?" (BEP 3, 23). Both directions: the URL a client fetches and what a
 * tracker reads from it.
 *
 * The peer's address is the connection's, never a parameter: nobody can announce somebody else.
 */
import { fromHex, toHex } from '@diskswarm/core';
import { MAX_QUERY_CHARS } from './limits.ts';
import { percentDecode, percentEncode } from './percent-bytes.ts';
import { bytesOf, integerOf, invalid, type Query } from './query.ts';

/** Names a swarm at trackers: 20 bytes as 40 lower-case hex digits. */
export type InfoHash = string;

export const INFO_HASH_BYTES = 20;
export const PEER_ID_BYTES = 20;

/** Why a client announces; `none` is the regular repetition. */
export type AnnounceEvent = 'started' | 'stopped' | 'completed' | 'none';

/** What an announce says. */
export interface AnnounceRequest {
  readonly infoHash: InfoHash;
  /** 20 bytes that the client made up. */
  readonly peerId: Uint8Array;
  /** Where the client listens, 1 to 65535. */
  readonly port: number;
  readonly uploadedBytes: number;
  readonly downloadedBytes: number;
  /** What the client still lacks; 0 makes it a seeder. */
  readonly leftBytes: number;
  readonly event: AnnounceEvent;
  /** How many peers the client would like; null leaves it to the tracker. */
  readonly peersWanted: number | null;
  /** News to leave at the tracker, at most 1 KiB (packages/identity, announce-blob.ts). @default none */
  readonly blob?: Uint8Array;
}

const EVENTS: readonly string[] = ['started', 'stopped', 'completed'];

/** Reads an announce; INVALID_ARGUMENT names the parameter in `data.field`. */
export function parseAnnounceRequest(query: Query): AnnounceRequest {
  const infoHash = toHex(bytesOf(query, 'info_hash', INFO_HASH_BYTES));
  const port = integerOf(query, 'port', 65_535, 0);
  if (port === 0) throw invalid('port', 'is not a port');
  const event = query.get('event')?.[0] ?? '';
  const count = (name: string): number => integerOf(query, name, Number.MAX_SAFE_INTEGER, 0);
  // Some clients ask for -1 when they mean "as many as you like".
  const wanted = query.get('numwant')?.[0] ?? '';
  const blob = query.get('ds_blob')?.[0];
  return {
    ...(blob === undefined ? {} : { blob: percentDecode(blob) }),
    infoHash,
    peerId: bytesOf(query, 'peer_id', PEER_ID_BYTES),
    port,
    uploadedBytes: count('uploaded'),
    downloadedBytes: count('downloaded'),
    leftBytes: integerOf(query, 'left', Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER),
    event: EVENTS.includes(event) ? (event as AnnounceEvent) : 'none',
    peersWanted:
      wanted === '' || wanted.startsWith('-') ? null : integerOf(query, 'numwant', Number.MAX_SAFE_INTEGER, 0),
  };
}

/** The URL to fetch for an announce at the tracker `announceUrl` (http or https); INVALID_ARGUMENT for another URL. */
export function buildAnnounceUrl(announceUrl: string, request: AnnounceRequest): string {
  const parameters = [
    `info_hash=${percentEncode(fromHex(request.infoHash))}`,
    `peer_id=${percentEncode(request.peerId)}`,
    `port=${request.port}`,
    `uploaded=${request.uploadedBytes}`,
    `downloaded=${request.downloadedBytes}`,
    `left=${request.leftBytes}`,
    'compact=1',
  ];
  if (request.event !== 'none') parameters.push(`event=${request.event}`);
  if (request.peersWanted !== null) parameters.push(`numwant=${request.peersWanted}`);
  if (request.blob !== undefined) parameters.push(`ds_blob=${percentEncode(request.blob)}`);
  return withQuery(announceUrl, parameters);
}

/** Appends parameters to a tracker's URL, which may have some of its own. */
export function withQuery(trackerUrl: string, parameters: readonly string[]): string {
  const url = checkTrackerUrl(trackerUrl);
  const own = url.search.length > 1 ? [url.search.slice(1)] : [];
  // Set as text: URLSearchParams would encode the raw bytes a second time.
  return `${url.origin}${url.pathname}?${[...own, ...parameters].join('&')}`;
}

/** Parses the announce URL of a tracker that speaks HTTP; INVALID_ARGUMENT for anything else. */
export function checkTrackerUrl(text: string): URL {
  const url = URL.canParse(text) && text.length < MAX_QUERY_CHARS ? new URL(text) : null;
  if (url === null || !['http:', 'https:'].includes(url.protocol) || url.username !== '' || url.password !== '') {
    throw invalid('tracker', `is not an http or https announce URL: "${text.slice(0, 80)}"`);
  }
  return url;
}
