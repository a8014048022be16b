/**
 * Announce and scrape as datagrams (BEP 15): what a tracker reads, and the bytes it answers with.
 *
 * A datagram is read in place and nothing in it is believed beyond its form: whether the connection id is one of the tracker's
 * is for the tracker to say, and the "ip" field is not even read, because a peer's address is the datagram's. Whatever is
 * malformed is null, since an unauthenticated datagram deserves no answer.
 */
import type { AnnounceEvent, AnnounceRequest, InfoHash } from './announce-request.ts';
import { MAX_UDP_SCRAPE_HASHES } from './limits.ts';
import type { SwarmCounts } from './scrape.ts';

/** What a connect request carries in place of a connection id. */
const PROTOCOL_HIGH = 0x417;
const PROTOCOL_LOW = 0x27101980;
const CONNECT = 0;
const ANNOUNCE = 1;
const SCRAPE = 2;
const ERROR = 3;

export const UDP_CONNECT_BYTES = 16;
export const UDP_ANNOUNCE_BYTES = 98;
const HASH_BYTES = 20;
const EVENTS: readonly AnnounceEvent[] = ['none', 'completed', 'started', 'stopped'];

/** What stands before every request but the first: the 64 bits that the tracker gave out, as two halves. */
interface Connected {
  readonly connectionHigh: number;
  readonly connectionLow: number;
  /** Comes back in the answer. */
  readonly transaction: number;
}

/** A datagram to a tracker. */
export type UdpRequest =
  | { readonly kind: 'connect'; readonly transaction: number }
  | ({ readonly kind: 'announce'; readonly request: AnnounceRequest } & Connected)
  | ({ readonly kind: 'scrape'; readonly infoHashes: readonly InfoHash[] } & Connected);

/** Reads a datagram; null for what is none of the three. Bytes after an announce (BEP 41 options) are ignored. The peer id is a view. */
export function parseUdpRequest(bytes: Buffer): UdpRequest | null {
  if (bytes.length < UDP_CONNECT_BYTES) return null;
  const connectionHigh = bytes.readUInt32BE(0);
  const connectionLow = bytes.readUInt32BE(4);
  const transaction = bytes.readUInt32BE(12);
  switch (bytes.readUInt32BE(8)) {
    case CONNECT:
      if (connectionHigh !== PROTOCOL_HIGH || connectionLow !== PROTOCOL_LOW) return null;
      return { kind: 'connect', transaction };
    case ANNOUNCE: {
      const request = parseAnnounce(bytes);
      return request === null ? null : { kind: 'announce', connectionHigh, connectionLow, transaction, request };
    }
    case SCRAPE: {
      const count = (bytes.length - UDP_CONNECT_BYTES) / HASH_BYTES;
      if (!Number.isInteger(count) || count < 1 || count > MAX_UDP_SCRAPE_HASHES) return null;
      const infoHashes: InfoHash[] = [];
      for (let at = UDP_CONNECT_BYTES; at < bytes.length; at += HASH_BYTES)
        infoHashes.push(bytes.toString('hex', at, at + HASH_BYTES));
      return { kind: 'scrape', connectionHigh, connectionLow, transaction, infoHashes };
    }
    default:
      return null;
  }
}

function parseAnnounce(bytes: Buffer): AnnounceRequest | null {
  if (bytes.length < UDP_ANNOUNCE_BYTES) return null;
  const event = EVENTS[bytes.readUInt32BE(80)];
  const port = bytes.readUInt16BE(96);
  return event === undefined || port === 0 ? null : new DatagramAnnounce(bytes, event, port);
}

/** Reads what few ask for only when they do: a tracker is asked ten thousands of times a second. */
class DatagramAnnounce implements AnnounceRequest {
  readonly #bytes: Buffer;
  readonly infoHash: InfoHash;
  readonly port: number;
  readonly leftBytes: number;
  readonly event: AnnounceEvent;
  readonly peersWanted: number | null;

  constructor(bytes: Buffer, event: AnnounceEvent, port: number) {
    const wanted = bytes.readInt32BE(92);
    this.#bytes = bytes;
    this.infoHash = bytes.toString('hex', 16, 36);
    this.port = port;
    this.leftBytes = readCount(bytes, 64);
    this.event = event;
    this.peersWanted = wanted < 0 ? null : wanted;
  }

  get peerId(): Uint8Array {
    return this.#bytes.subarray(36, 56);
  }

  get downloadedBytes(): number {
    return readCount(this.#bytes, 56);
  }

  get uploadedBytes(): number {
    return readCount(this.#bytes, 72);
  }
}

/** A 64-bit number, or the largest safe one where it is larger. */
function readCount(bytes: Buffer, at: number): number {
  return Math.min(bytes.readUInt32BE(at) * 2 ** 32 + bytes.readUInt32BE(at + 4), Number.MAX_SAFE_INTEGER);
}

/** The answer to a connect request: as long as the request. */
export function encodeUdpConnect(transaction: number, connectionHigh: number, connectionLow: number): Buffer {
  const bytes = head(CONNECT, transaction, UDP_CONNECT_BYTES);
  bytes.writeUInt32BE(connectionHigh, 8);
  bytes.writeUInt32BE(connectionLow, 12);
  return bytes;
}

/** Where the peers of an answer to an announce begin. */
export const UDP_PEERS_AT = 20;

/**
 * The answer to an announce with room for `peersBytes` of peers from UDP_PEERS_AT on, which the caller fills: packed, and of the family
 * that the datagram came in.
 */
export function encodeUdpAnnounce(
  transaction: number,
  answer: { readonly intervalSeconds: number; readonly seeders: number; readonly leechers: number },
  peersBytes: number,
): Buffer {
  const bytes = head(ANNOUNCE, transaction, UDP_PEERS_AT + peersBytes);
  bytes.writeUInt32BE(answer.intervalSeconds, 8);
  bytes.writeUInt32BE(answer.leechers, 12);
  bytes.writeUInt32BE(answer.seeders, 16);
  return bytes;
}

/** The answer to a scrape, in the order of the question. */
export function encodeUdpScrape(transaction: number, counts: readonly SwarmCounts[]): Buffer {
  const bytes = head(SCRAPE, transaction, 8 + 12 * counts.length);
  for (const [index, { seeders, completed, leechers }] of counts.entries()) {
    bytes.writeUInt32BE(seeders, 8 + 12 * index);
    bytes.writeUInt32BE(completed, 12 + 12 * index);
    bytes.writeUInt32BE(leechers, 16 + 12 * index);
  }
  return bytes;
}

/** A refusal with a reason for people. */
export function encodeUdpError(transaction: number, reason: string): Buffer {
  const text = Buffer.from(reason);
  const bytes = head(ERROR, transaction, 8 + text.length);
  bytes.set(text, 8);
  return bytes;
}

function head(action: number, transaction: number, length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  bytes.writeUInt32BE(action, 0);
  bytes.writeUInt32BE(transaction, 4);
  return bytes;
}
