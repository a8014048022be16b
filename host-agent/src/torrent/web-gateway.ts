/**
 * A process that lets browser pages with WebTorrent have what is given here: it waits at trackers that speak WebSocket, answers those who want a torrent,
 * and carries what they say to the torrent client's port and back. Both speak the same protocol there.
 *
 * WebRTC is native code that strangers reach, so it has a process to itself: what goes wrong in it stays in it. It knows no keys and no disks, and ends with the agent.
 */
import { randomBytes } from 'node:crypto';
import net, { isIP } from 'node:net';
import type { Duplex } from 'node:stream';
import { parseAddress } from '@diskswarm/core';
import { acceptOffer, type ChannelOptions } from './web-channel.ts';
import type { WebGatewayOrders } from './web-gateway-protocol.ts';
import type { WebOffer } from './web-messages.ts';
import { WebTracker } from './web-tracker.ts';

/** Browsers that are connected or about to be; others are not answered. */
const MAX_WEB_PEERS = 32;
/** WebTorrent's own. A host that is reached at loopback alone has no address to ask for. */
const STUN_SERVERS = ['stun:stun.l.google.com:19302', 'stun:global.stun.twilio.com:3478'];

/** Where a listener at every address is reached from here. */
const HERE = new Map([
  ['0.0.0.0', '127.0.0.1'],
  ['::', '::1'],
]);

class WebGateway {
  readonly #peerId = Buffer.concat([Buffer.from('-DS0001-'), randomBytes(12)]).toString('hex');
  readonly #trackers = new Map<string, WebTracker>();
  /** Peer ids. */
  readonly #peers = new Set<string>();
  #listen = '';

  /** Does what it is told from now on. Connections of a torrent that is given no more are ended by the client. */
  update({ listen, torrents }: WebGatewayOrders): void {
    this.#listen = listen;
    for (const url of new Set(torrents.flatMap(({ trackers }) => trackers)))
      if (!this.#trackers.has(url)) this.#trackers.set(url, this.#tracker(url));
    for (const [url, tracker] of this.#trackers) {
      const wanted = torrents.filter(({ trackers }) => trackers.includes(url));
      tracker.update(new Set(wanted.map(({ infoHash }) => infoHash)));
      if (wanted.length === 0) this.#trackers.delete(url);
    }
  }

  #tracker(url: string): WebTracker {
    const tracker: WebTracker = new WebTracker({
      url,
      peerId: this.#peerId,
      onOffer: (offer) => {
        if (this.#peers.has(offer.peerId) || this.#peers.size >= MAX_WEB_PEERS) return;
        this.#peers.add(offer.peerId);
        void this.#serve(offer, tracker).finally(() => this.#peers.delete(offer.peerId));
      },
    });
    return tracker;
  }

  /** Resolves when the browser is gone. */
  async #serve(offer: WebOffer, tracker: WebTracker): Promise<void> {
    try {
      const accepted = acceptOffer(offer.sdp, channelOptions(this.#listen));
      tracker.answer(offer, await accepted.answer);
      await this.#carry(await accepted.channel);
    } catch {
      // It does not connect, or is no browser: nobody is there to be told.
    }
  }

  #carry(channel: Duplex): Promise<void> {
    if (channel.destroyed) return Promise.resolve();
    const { host, port } = parseAddress(this.#listen);
    const socket = net.connect({ host: HERE.get(host) ?? host, port, noDelay: true });
    channel.pipe(socket).pipe(channel);
    return new Promise((resolve) => {
      for (const [end, other] of [
        [channel, socket],
        [socket, channel],
      ] as const) {
        end.on('error', () => {}); // `close` follows.
        end.once('close', () => {
          other.destroy();
          resolve();
        });
      }
    });
  }
}

/** Browsers come where torrents are given: at the same address, or at any. */
function channelOptions(listen: string): ChannelOptions {
  const { host } = parseAddress(listen);
  const isLoopback = host === 'localhost' || host === '::1' || host.startsWith('127.');
  return {
    bindAddress: isIP(host) !== 0 && !HERE.has(host) ? host : null,
    stunServers: isLoopback ? [] : STUN_SERVERS,
  };
}

const gateway = new WebGateway();
process.on('message', (orders) => gateway.update(orders as WebGatewayOrders));
process.on('disconnect', () => process.exit(0));
