/**
 * Peer addresses as trackers pack them: 4 or 16 address bytes and a big-endian port, one after the other (BEP 23, BEP 7).
 *
 * An IPv4 address inside IPv6 (::ffff:a.b.c.d, what a socket that serves both reports) counts as IPv4.
 */
import { type Address, DiskswarmError, formatAddress, parseAddress } from '@diskswarm/core';

/** An address and a port, packed: 6 bytes for IPv4, 18 for IPv6. */
export type CompactPeer = Uint8Array;

export const COMPACT_V4_BYTES = 6;
export const COMPACT_V6_BYTES = 18;

const MAPPED_PREFIX = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];

/** Packs a numeric address; INVALID_ARGUMENT for a host name. */
export function packPeer(address: Address): CompactPeer {
  const { host, port } = parseAddress(address);
  return packEndpoint(host, port);
}

/** Packs what a socket reports: a numeric address without brackets, perhaps with a zone (dropped). INVALID_ARGUMENT otherwise. */
export function packEndpoint(ip: string, port: number): CompactPeer {
  const bytes = ipBytes(ip);
  if (bytes === null)
    throw new DiskswarmError('INVALID_ARGUMENT', 'not a numeric address', { data: { field: 'address' } });
  return Uint8Array.of(...bytes, port >> 8, port & 0xff);
}

/** The address of a packed peer. */
export function unpackPeer(peer: CompactPeer): Address {
  const port = ((peer.at(-2) as number) << 8) | (peer.at(-1) as number);
  return formatAddress(ipText(peer.subarray(0, -2)), port);
}

/** Packed peers of one family as one string of bytes (a copy). */
export function joinPeers(peers: readonly CompactPeer[]): Uint8Array {
  const bytes = new Uint8Array(peers.reduce((sum, peer) => sum + peer.length, 0));
  let at = 0;
  for (const peer of peers) {
    bytes.set(peer, at);
    at += peer.length;
  }
  return bytes;
}

/** At most `max` addresses; a cut tail and peers with port 0 are left out. */
export function unpackPeers(bytes: Uint8Array, family: 4 | 6, max: number): Address[] {
  const width = family === 4 ? COMPACT_V4_BYTES : COMPACT_V6_BYTES;
  const addresses: Address[] = [];
  for (let at = 0; at + width <= bytes.length && addresses.length < max; at += width) {
    const peer = bytes.subarray(at, at + width);
    if (peer[width - 2] !== 0 || peer[width - 1] !== 0) addresses.push(unpackPeer(peer));
  }
  return addresses;
}

/** 4 or 16 bytes of a numeric address (a zone is dropped), null for anything else. */
function ipBytes(host: string): number[] | null {
  if (/^\d{1,3}(?:\.\d{1,3}){3}$/.test(host)) {
    const bytes = host.split('.').map(Number);
    return bytes.every((byte) => byte <= 255) ? bytes : null;
  }
  const text = `http://[${host.replace(/%.*$/, '')}]/`;
  if (!host.includes(':') || !URL.canParse(text)) return null;
  // The URL parser validates, and leaves hextets with at most one "::".
  const [head = '', tail] = new URL(text).hostname.slice(1, -1).split('::');
  const hextets = (part: string): number[] =>
    part === '' ? [] : part.split(':').map((hextet) => Number.parseInt(hextet, 16));
  const front = hextets(head);
  const back = tail === undefined ? [] : hextets(tail);
  const all = [...front, ...new Array<number>(8 - front.length - back.length).fill(0), ...back];
  const bytes = all.flatMap((hextet) => [hextet >> 8, hextet & 0xff]);
  return MAPPED_PREFIX.every((byte, index) => bytes[index] === byte) ? bytes.slice(12) : bytes;
}

function ipText(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join('.');
  const hextets: string[] = [];
  for (let at = 0; at < 16; at += 2)
    hextets.push((((bytes[at] as number) << 8) | (bytes[at + 1] as number)).toString(16));
  return new URL(`http://[${hextets.join(':')}]/`).hostname.slice(1, -1);
}
