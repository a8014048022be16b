/**
 * Stays at one tracker that speaks WebSocket: says which torrents are here, hears who wants them, and sends answers. The single place that imports `ws`.
 *
 * It makes no offers: two who offer to each other at once may end with neither connection. A tracker that hangs up, lies or stays silent is asked again, later and later.
 */
/// <reference path="./ws.d.ts" />
import { randomInt } from 'node:crypto';
import WebSocket from 'ws';
import { formatAnnounce, formatAnswer, readTrackerMessage, type WebOffer } from './web-messages.ts';

/** A message of a tracker; a longer one ends the connection. */
const MAX_WEB_MESSAGE_BYTES = 1024 * 1024;
/** What a tracker has not read of what it was sent; beyond it the connection ends. */
const MAX_WEB_UNSENT_BYTES = 1024 * 1024;
const HANDSHAKE_MS = 20_000;
const FIRST_RETRY_MS = 5_000;
const LATEST_RETRY_MS = 300_000;
const FIRST_INTERVAL_SECONDS = 120;

export class WebTracker {
  readonly #url: string;
  readonly #peerId: string;
  readonly #onOffer: (offer: WebOffer) => void;
  /** Info hashes. */
  readonly #torrents = new Set<string>();
  #socket: WebSocket | null = null;
  #timer: NodeJS.Timeout | null = null;
  #retryMs = FIRST_RETRY_MS;
  /** Something came since the last announce. */
  #heard = true;
  #intervalSeconds = FIRST_INTERVAL_SECONDS;

  constructor(options: { url: string; peerId: string; onOffer(offer: WebOffer): void }) {
    this.#url = options.url;
    this.#peerId = options.peerId;
    this.#onOffer = options.onOffer;
  }

  /** Says which torrents are here from now on; without any it leaves. */
  update(infoHashes: ReadonlySet<string>): void {
    for (const infoHash of this.#torrents) {
      if (infoHashes.has(infoHash)) continue;
      this.#torrents.delete(infoHash);
      this.#announce(infoHash, 'stopped');
    }
    for (const infoHash of infoHashes) {
      if (this.#torrents.has(infoHash)) continue;
      this.#torrents.add(infoHash);
      this.#announce(infoHash, 'started');
    }
    if (this.#torrents.size === 0) this.#leave();
    else if (this.#socket === null && this.#timer === null) this.#connect();
  }

  answer(offer: WebOffer, sdp: string): void {
    this.#send(formatAnswer(offer, this.#peerId, sdp));
  }

  #connect(): void {
    this.#timer = null;
    const socket = new WebSocket(this.#url, {
      maxPayload: MAX_WEB_MESSAGE_BYTES,
      handshakeTimeout: HANDSHAKE_MS,
      perMessageDeflate: false,
      followRedirects: false,
    });
    this.#socket = socket;
    socket.on('open', () => {
      this.#heard = true;
      for (const infoHash of this.#torrents) this.#announce(infoHash, 'started');
      this.#again();
    });
    socket.on('message', (bytes: Buffer, isBinary: boolean) => {
      this.#heard = true;
      const message = isBinary ? null : readTrackerMessage(bytes.toString('utf8'));
      if (message?.kind === 'offer' && this.#torrents.has(message.offer.infoHash)) this.#onOffer(message.offer);
      if (message?.kind !== 'announced') return;
      this.#retryMs = FIRST_RETRY_MS;
      this.#intervalSeconds = message.intervalSeconds;
    });
    socket.on('error', () => {}); // `close` follows.
    socket.on('close', () => {
      if (this.#socket === socket) this.#retry();
    });
  }

  /** Announces at the tracker's interval, and hangs up on one that said nothing since the last time. */
  #again(): void {
    this.#timer = setTimeout(() => {
      if (!this.#heard) {
        this.#socket?.terminate();
        return;
      }
      this.#heard = false;
      for (const infoHash of this.#torrents) this.#announce(infoHash);
      this.#again();
    }, this.#intervalSeconds * 1000);
  }

  #retry(): void {
    this.#socket = null;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#connect(), randomInt(this.#retryMs / 2, this.#retryMs));
    this.#retryMs = Math.min(2 * this.#retryMs, LATEST_RETRY_MS);
  }

  #leave(): void {
    const socket = this.#socket;
    this.#socket = null;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    socket?.terminate();
  }

  #announce(infoHash: string, event?: 'started' | 'stopped'): void {
    this.#send(formatAnnounce({ infoHash, peerId: this.#peerId, ...(event === undefined ? {} : { event }) }));
  }

  #send(text: string): void {
    const socket = this.#socket;
    if (socket?.readyState !== WebSocket.OPEN) return;
    if (socket.bufferedAmount > MAX_WEB_UNSENT_BYTES) socket.terminate();
    else socket.send(text);
  }
}
