/**
 * Magnet links of torrents (BEP 9): a foreign one taken apart, ours written.
 *
 * Only the info hash, the name, trackers and peers' addresses are read: web seeds and places to fetch a .torrent from would have
 * this host ask any server that a link names.
 */
import { DiskswarmError, parseAddress } from '@diskswarm/core';
import { MAX_MAGNET_CHARS, MAX_MAGNET_PEERS, MAX_TORRENT_TRACKERS, MAX_TRACKER_CHARS } from './limits.ts';

const TRACKER_PROTOCOLS = ['http:', 'https:', 'udp:', 'ws:', 'wss:'];
const BASE32 = 'abcdefghijklmnopqrstuvwxyz234567';

export interface Magnet {
  /** 40 hex digits. */
  readonly infoHash: string;
  /** For people; empty when there is none. */
  readonly name: string;
  readonly trackers: readonly string[];
  /** HOST:PORT */
  readonly peers: readonly string[];
}

/** Takes a link apart; TORRENT_INVALID unless it names a torrent of version 1. Trackers and peers it names wrongly are ignored. */
export function parseMagnet(text: string): Magnet {
  if (text.length > MAX_MAGNET_CHARS || !/^magnet:\?/i.test(text)) return refuse('no magnet link, or too long');
  const query = new URLSearchParams(text.slice('magnet:?'.length));
  const topics = valuesOf(query, 'xt');
  const hashes = topics.flatMap((topic) => infoHashOf(topic) ?? []);
  const infoHash = hashes[0];
  if (infoHash === undefined)
    return refuse(
      topics.some((topic) => topic.startsWith('urn:btmh:'))
        ? 'it names a torrent of version 2 alone; version 1 and hybrid ones are read'
        : 'it names no torrent (xt=urn:btih:…)',
    );
  if (new Set(hashes).size > 1) refuse('it names two torrents');
  const trackers = [...new Set(valuesOf(query, 'tr').filter(isTracker))].slice(0, MAX_TORRENT_TRACKERS);
  const peers = [...new Set(valuesOf(query, 'x.pe').filter(isPeer))].slice(0, MAX_MAGNET_PEERS);
  return { infoHash, name: query.get('dn') ?? '', trackers, peers };
}

/** The link of a torrent. */
export function formatMagnet({ infoHash, name, trackers, peers }: Magnet): string {
  const parts = [
    ...(name === '' ? [] : [`dn=${encodeURIComponent(name)}`]),
    ...trackers.map((tracker) => `tr=${encodeURIComponent(tracker)}`),
    ...peers.map((peer) => `x.pe=${peer}`),
  ];
  return `magnet:?${[`xt=urn:btih:${infoHash}`, ...parts].join('&')}`;
}

/** True for the announce URL of a tracker that speaks HTTP, UDP or WebSocket. */
export function isTracker(text: string): boolean {
  if (text.length > MAX_TRACKER_CHARS || !URL.canParse(text)) return false;
  const { protocol, username, password, hostname } = new URL(text);
  return TRACKER_PROTOCOLS.includes(protocol) && username === '' && password === '' && hostname !== '';
}

function isPeer(text: string): boolean {
  try {
    return parseAddress(text).port > 0;
  } catch {
    return false;
  }
}

/** The values of a parameter, also where it is numbered (`tr.1`). */
function valuesOf(query: URLSearchParams, key: string): string[] {
  return [...query].flatMap(([name, value]) => (name === key || name.replace(/\.\d+$/, '') === key ? [value] : []));
}

/** The hash of `urn:btih:…`, in hex or in base 32; null for other topics. */
function infoHashOf(topic: string): string | null {
  const text = /^urn:btih:([0-9a-z]+)$/i.exec(topic)?.[1]?.toLowerCase() ?? '';
  if (/^[0-9a-f]{40}$/.test(text)) return text;
  if (!/^[a-z2-7]{32}$/.test(text)) return null;
  let bits = 0n;
  for (const digit of text) bits = (bits << 5n) | BigInt(BASE32.indexOf(digit));
  return bits.toString(16).padStart(40, '0');
}

function refuse(why: string): never {
  throw new DiskswarmError('TORRENT_INVALID', `the magnet link cannot be used: ${why}`, { data: { why } });
}
