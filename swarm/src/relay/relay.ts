/**
 * Hosts that cannot reach each other meet through one that both are connected to: who asks whom, and who joins what.
 *
 *   this host ── stream "relay-to/B" ──▶ host between ── stream "relay-from/A" ──▶ B
 *
 * The host between joins two byte streams of its sessions, and only for hosts that the roster of one disk admits both. It sees what any
 * network sees: the two ends encrypt and prove themselves over the joined streams as over any connection. Nobody relays over a
 * relayed session, so there are no chains and no circles. What an end makes of its stream is the transport's.
 */
import { DiskswarmError, type HostId } from '@diskswarm/core';
import { hostFromBytes, hostToBytes } from '@diskswarm/identity';
import type { PeerStream, StreamHandlers } from '../streams.ts';
import type { PeerInfo } from '../swarm-options.ts';
import { relayedHostOf } from './relay-address.ts';

/** What the relay sees of the sessions and the rosters here. */
export interface RelayView {
  peers(): readonly Pick<PeerInfo, 'host' | 'address' | 'rttUs'>[];
  openStream(host: HostId, label: string, handlers: (stream: PeerStream) => StreamHandlers): PeerStream;
  /** True when the roster of one disk admits both. */
  admitsBoth(one: HostId, other: HostId): boolean;
}

const TO = 'relay-to/';
const FROM = 'relay-from/';
/** Connections that go through this host at once; a session has three. */
const MAX_RELAYED = 48;

export class Relay {
  readonly #view: RelayView;
  readonly #onArrival: (stream: PeerStream, from: HostId) => StreamHandlers | null;
  #relayed = 0;

  /** `onArrival` gets a stream that another host reaches this one by; null refuses it. Who is said to be there has proven nothing. */
  constructor(view: RelayView, onArrival: (stream: PeerStream, from: HostId) => StreamHandlers | null) {
    this.#view = view;
    this.#onArrival = onArrival;
  }

  /** Whether a stream with this label is the relay's to judge. */
  static owns(label: string): boolean {
    return label.startsWith(TO) || label.startsWith(FROM);
  }

  /** Judges a stream that a connected host opened; null refuses it. */
  onStream(stream: PeerStream): StreamHandlers | null {
    const toOther = stream.label.startsWith(TO);
    const host = hostIn(stream.label.slice(toOther ? TO.length : FROM.length));
    if (host === null || !this.#isDirect(stream.host)) return null;
    return toOther ? this.#join(stream, host) : this.#onArrival(stream, host);
  }

  /** Hosts that may lead to `host`, the nearest first. */
  waysTo(host: HostId): HostId[] {
    return this.#view
      .peers()
      .filter((peer) => relayedHostOf(peer.address) === null && this.#view.admitsBoth(peer.host, host))
      .toSorted((left, right) => (left.rttUs ?? 0) - (right.rttUs ?? 0))
      .map((peer) => peer.host);
  }

  /** Asks `between` for a stream to `host`; it is closed when that is refused. PEER_UNREACHABLE, LIMIT_EXCEEDED. */
  open(between: HostId, host: HostId, handlers: (stream: PeerStream) => StreamHandlers): PeerStream {
    return this.#view.openStream(between, `${TO}${textOf(host)}`, handlers);
  }

  #isDirect(host: HostId): boolean {
    return this.#view.peers().some((peer) => peer.host === host && relayedHostOf(peer.address) === null);
  }

  #join(asking: PeerStream, host: HostId): StreamHandlers | null {
    const { host: from } = asking;
    if (this.#relayed >= MAX_RELAYED || host === from) return null;
    if (!this.#isDirect(host) || !this.#view.admitsBoth(from, host)) return null;
    try {
      const onward = this.#view.openStream(host, `${FROM}${textOf(from)}`, (stream) => couple(stream, asking));
      this.#relayed += 1;
      return couple(asking, onward, () => {
        this.#relayed -= 1;
      });
    } catch (error) {
      if (error instanceof DiskswarmError) return null;
      throw error;
    }
  }
}

/** Puts what arrives on `source` into `sink`, no faster than that takes it; the end of one is the other's. */
function couple(source: PeerStream, sink: PeerStream, onClose: () => void = () => undefined): StreamHandlers {
  return {
    onData: (bytes) => {
      if (!sink.write(bytes)) source.pause();
    },
    onDrain: () => sink.resume(),
    onEnd: () => sink.end(),
    onClose: () => {
      onClose();
      sink.destroy();
    },
  };
}

function textOf(host: HostId): string {
  return Buffer.from(hostToBytes(host)).toString('base64url');
}

function hostIn(text: string): HostId | null {
  try {
    return hostFromBytes(Buffer.from(text, 'base64url'));
  } catch (error) {
    if (error instanceof DiskswarmError) return null;
    throw error;
  }
}
