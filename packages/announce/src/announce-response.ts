/**
 * What a tracker answers to an announce: when to come back, how many there are, and some of their addresses (BEP 3, 7, 23).
 *
 * We write compact peers only; we read the older list form too, since a tracker may ignore `compact=1`.
 */
import { type Address, type Canonical, DiskswarmError, encodeCanonical, formatAddress } from '@diskswarm/core';
import { type Bencoded, readBencode } from './bencode-reader.ts';
import { COMPACT_V4_BYTES, type CompactPeer, joinPeers, unpackPeers } from './compact-peers.ts';
import { MAX_INTERVAL_SECONDS, MAX_NEWS_BYTES, MAX_RESPONSE_BYTES, MAX_RESPONSE_PEERS } from './limits.ts';

/** An answer as a client reads it. */
export interface AnnounceResponse {
  /** When to announce again. */
  readonly intervalSeconds: number;
  /** No sooner than this, also when there is news. */
  readonly minIntervalSeconds: number;
  /** Hosts that have everything, and those that do not, as far as the tracker tells. */
  readonly seeders: number;
  readonly leechers: number;
  /** Numeric addresses of both families, without repeats. */
  readonly peers: readonly Address[];
  /** For people; null where there is none. */
  readonly warning: string | null;
  /** What somebody left at the tracker, unchecked, at most 1 KiB; a view. */
  readonly blob?: Uint8Array;
}

const MAX_TEXT_BYTES = 300;
const DEFAULT_INTERVAL_SECONDS = 1800;

/** The bytes of an answer. */
export function encodeAnnounceResponse(response: {
  readonly intervalSeconds: number;
  readonly minIntervalSeconds: number;
  readonly seeders: number;
  readonly leechers: number;
  readonly peers: readonly CompactPeer[];
}): Uint8Array {
  return encodePackedAnnounceResponse({
    ...response,
    peers4: joinPeers(response.peers.filter((peer) => peer.length === COMPACT_V4_BYTES)),
    peers6: joinPeers(response.peers.filter((peer) => peer.length !== COMPACT_V4_BYTES)),
  });
}

/** The same from peers that are packed one behind the other already. */
export function encodePackedAnnounceResponse(response: {
  readonly intervalSeconds: number;
  readonly minIntervalSeconds: number;
  readonly seeders: number;
  readonly leechers: number;
  readonly peers4: Uint8Array;
  readonly peers6: Uint8Array;
  readonly blob?: Uint8Array | undefined;
}): Uint8Array {
  const body: { [key: string]: Canonical } = {
    interval: response.intervalSeconds,
    'min interval': response.minIntervalSeconds,
    complete: response.seeders,
    incomplete: response.leechers,
    peers: response.peers4,
  };
  if (response.peers6.length > 0) body.peers6 = response.peers6;
  if (response.blob !== undefined) body.ds_blob = response.blob;
  return encodeCanonical(body);
}

/** The bytes of a refusal; clients show `reason` to people. */
export function encodeFailure(reason: string): Uint8Array {
  return encodeCanonical({ 'failure reason': reason });
}

/**
 * Reads an answer; FORMAT_INVALID when it is none, PEER_UNREACHABLE with the tracker's words when it refuses.
 * Numbers out of range are brought into it, peers beyond 1000 and unusable ones are left out.
 */
export function parseAnnounceResponse(bytes: Uint8Array): AnnounceResponse {
  const body = readBencode(bytes, MAX_RESPONSE_BYTES);
  if (!(body instanceof Map)) throw malformed('not a dictionary');
  const failure = textOf(body.get('failure reason'));
  if (failure !== null) {
    throw new DiskswarmError('PEER_UNREACHABLE', `the tracker refuses: ${failure}`, { data: { reason: failure } });
  }
  const interval = numberOf(body.get('interval'), DEFAULT_INTERVAL_SECONDS);
  const blob = body.get('ds_blob');
  const peers = [...peersOf(body.get('peers'), 4), ...peersOf(body.get('peers6'), 6)];
  return {
    ...(blob instanceof Uint8Array && blob.length <= MAX_NEWS_BYTES ? { blob } : {}),
    intervalSeconds: Math.min(MAX_INTERVAL_SECONDS, Math.max(1, interval)),
    minIntervalSeconds: Math.min(MAX_INTERVAL_SECONDS, numberOf(body.get('min interval'), 0)),
    seeders: numberOf(body.get('complete'), 0),
    leechers: numberOf(body.get('incomplete'), 0),
    peers: [...new Set(peers)].slice(0, MAX_RESPONSE_PEERS),
    warning: textOf(body.get('warning message')),
  };
}

function peersOf(value: Bencoded | undefined, family: 4 | 6): Address[] {
  if (value === undefined) return [];
  if (value instanceof Uint8Array) return unpackPeers(value, family, MAX_RESPONSE_PEERS);
  if (!Array.isArray(value)) throw malformed('peers are neither packed nor a list');
  return (value as readonly Bencoded[]).slice(0, MAX_RESPONSE_PEERS).flatMap((peer) => {
    const ip = peer instanceof Map ? textOf(peer.get('ip')) : null;
    const port = peer instanceof Map ? numberOf(peer.get('port'), 0) : 0;
    return ip !== null && /^[0-9a-fA-F:.]{2,45}$/.test(ip) && port > 0 && port < 65_536
      ? [formatAddress(ip, port)]
      : [];
  });
}

function numberOf(value: Bencoded | undefined, otherwise: number): number {
  return typeof value === 'number' && value >= 0 ? value : otherwise;
}

function textOf(value: Bencoded | undefined): string | null {
  return value instanceof Uint8Array ? Buffer.from(value.subarray(0, MAX_TEXT_BYTES)).toString('utf8') : null;
}

function malformed(why: string): DiskswarmError {
  return new DiskswarmError('FORMAT_INVALID', `the tracker's answer: ${why}`, { data: { what: 'tracker answer' } });
}
