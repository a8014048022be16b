/**
 * What is said at a tracker that speaks WebSocket (WebTorrent's protocol: JSON in which 20 bytes are 20 characters), by one who only answers.
 *
 * Offers come from strangers by way of a tracker that may lie. What is passed on of them is one data channel and addresses in digits: no name is looked up
 * for a stranger, and no other medium is taken apart.
 */
import { isIP } from 'node:net';

/** A description of a session, ours or a browser's. */
const MAX_SDP_CHARS = 16 * 1024;
/** Addresses that a browser may name; more are left out. */
const MAX_CANDIDATES = 16;
const MAX_OFFER_ID_CHARS = 64;
const INTERVAL_LEAST_SECONDS = 30;
const INTERVAL_MOST_SECONDS = 900;

/** A browser wants a torrent. */
export interface WebOffer {
  /** 40 hex digits. */
  readonly infoHash: string;
  /** 40 hex digits. */
  readonly peerId: string;
  /** As it came. */
  readonly offerId: string;
  /** Checked, and without what is not used. */
  readonly sdp: string;
}

export type TrackerMessage =
  | { readonly kind: 'offer'; readonly offer: WebOffer }
  /** An answer to an announce. */
  | { readonly kind: 'announced'; readonly intervalSeconds: number };

/** Reads what a tracker sent; null when it means nothing to who only answers. */
export function readTrackerMessage(text: string): TrackerMessage | null {
  const message = jsonObject(text);
  if (message?.action !== 'announce') return null;
  if (message.offer === undefined) {
    const { interval } = message;
    if (typeof interval !== 'number' || !Number.isFinite(interval)) return null;
    const intervalSeconds = Math.min(Math.max(interval, INTERVAL_LEAST_SECONDS), INTERVAL_MOST_SECONDS);
    return { kind: 'announced', intervalSeconds };
  }
  const infoHash = hexOf(message.info_hash);
  const peerId = hexOf(message.peer_id);
  const { offer, offer_id: offerId } = message;
  if (infoHash === null || peerId === null || !isObject(offer) || offer.type !== 'offer') return null;
  if (typeof offerId !== 'string' || offerId === '' || offerId.length > MAX_OFFER_ID_CHARS) return null;
  const sdp = readDescription(offer.sdp);
  return sdp === null ? null : { kind: 'offer', offer: { infoHash, peerId, offerId, sdp } };
}

/** The description of a session of one data channel, with addresses in digits alone; null when it is another one. */
export function readDescription(sdp: unknown): string | null {
  if (typeof sdp !== 'string' || sdp.length > MAX_SDP_CHARS) return null;
  const lines = sdp.split(/\r?\n/).filter((line) => line !== '');
  if (lines[0] !== 'v=0' || lines.some((line) => !/^[a-z]=[ -~]+$/.test(line))) return null;
  const media = lines.filter((line) => line.startsWith('m='));
  if (media.length !== 1 || !/^m=application \d{1,5} (?:UDP\/)?DTLS\/SCTP webrtc-datachannel$/.test(media[0]!))
    return null;
  let candidates = 0;
  const kept = lines.filter(
    (line) => !line.startsWith('a=candidate:') || (isAddress(line) && ++candidates <= MAX_CANDIDATES),
  );
  return `${kept.join('\r\n')}\r\n`;
}

/** Tells a tracker that a whole torrent is here, without an offer. */
export function formatAnnounce(what: { infoHash: string; peerId: string; event?: 'started' | 'stopped' }): string {
  const { infoHash, peerId, event } = what;
  return JSON.stringify({
    action: 'announce',
    info_hash: textOf(infoHash),
    peer_id: textOf(peerId),
    ...(event === undefined ? {} : { event }),
    numwant: 0,
    uploaded: 0,
    downloaded: 0,
    left: 0,
    offers: [],
  });
}

/** Answers an offer. */
export function formatAnswer({ infoHash, peerId, offerId }: WebOffer, ownPeerId: string, sdp: string): string {
  return JSON.stringify({
    action: 'announce',
    info_hash: textOf(infoHash),
    peer_id: textOf(ownPeerId),
    to_peer_id: textOf(peerId),
    offer_id: offerId,
    answer: { type: 'answer', sdp },
  });
}

/** `a=candidate:FOUNDATION COMPONENT TRANSPORT PRIORITY ADDRESS PORT …` of UDP, where the address is no name. */
function isAddress(line: string): boolean {
  const [, , transport, , address, port] = line.split(' ');
  return transport?.toLowerCase() === 'udp' && isIP(address ?? '') !== 0 && /^\d{1,5}$/.test(port ?? '');
}

function hexOf(text: unknown): string | null {
  if (typeof text !== 'string' || text.length !== 20 || !/^[\0-\xff]*$/.test(text)) return null;
  return Buffer.from(text, 'latin1').toString('hex');
}

function textOf(hex: string): string {
  return Buffer.from(hex, 'hex').toString('latin1');
}

function jsonObject(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : null;
  } catch {
    return null;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
