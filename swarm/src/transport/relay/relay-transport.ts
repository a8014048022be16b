/**
 * Dials hosts through others, and is reached that way: TLS over streams that the relay joins (relay/relay.ts).
 *
 * The host between carries ciphertext; the binding of this TLS is the two ends' alone, so the proofs inside hold against it too. It
 * knows no sessions before `attach`, and refuses everything until then.
 */
import { type Address, type Connection, DiskswarmError, type HostId } from '@diskswarm/core';
import { Relay, type RelayView } from '../../relay/relay.ts';
import { relayAddressOf, relayedHostOf } from '../../relay/relay-address.ts';
import type { PeerStream, StreamHandlers } from '../../streams.ts';
import { createTlsOver, type TlsOver } from '../tls.ts';
import { StreamDuplex } from './stream-duplex.ts';

/** Hosts that one dial tries to go through. */
const MAX_WAYS = 3;
/** Handshakes of connections that others make through relays, under way at once; further ones are refused. */
const MAX_RELAY_HANDSHAKES = 32;
const HANDSHAKE_MS = 10_000;

export class RelayTransport {
  readonly #tls: TlsOver = createTlsOver();
  readonly #handshakes = new Set<StreamDuplex>();
  #relay: Relay | null = null;
  #accept: ((connection: Connection) => void) | null = null;

  /** Whether a stream with this label is to be judged by `onStream`. */
  owns(label: string): boolean {
    return Relay.owns(label);
  }

  /** Lends the sessions that streams go through. */
  attach(view: RelayView): void {
    this.#relay = new Relay(view, (stream, from) => this.#arrived(stream, from));
  }

  /** Is reached from now on. */
  start(onConnection: (connection: Connection) => void): void {
    this.#accept = onConnection;
  }

  /** Is reached no more. Idempotent. */
  stop(): void {
    this.#accept = null;
    for (const duplex of this.#handshakes) duplex.destroy();
  }

  /** Judges a stream that a connected host opened; null refuses it. */
  onStream(stream: PeerStream): StreamHandlers | null {
    return this.#relay?.onStream(stream) ?? null;
  }

  /** Reaches a host through one that both are connected to. PEER_UNREACHABLE, ABORTED. */
  async dial(
    address: Address,
    { signal, timeoutMs }: { signal?: AbortSignal; timeoutMs: number },
  ): Promise<Connection> {
    const host = relayedHostOf(address);
    const ways = host === null ? [] : (this.#relay?.waysTo(host) ?? []).slice(0, MAX_WAYS);
    let cause: unknown;
    for (const between of ways) {
      if (signal?.aborted) break;
      try {
        return await this.#dialThrough(between, host!, { signal, timeoutMs: timeoutMs / ways.length });
      } catch (error) {
        cause = error;
      }
    }
    if (signal?.aborted) throw new DiskswarmError('ABORTED', 'the dial was given up', { cause });
    const why = ways.length === 0 ? 'no host is connected that could lead to it' : 'no host led to it';
    throw new DiskswarmError('PEER_UNREACHABLE', `no connection to ${address}: ${why}`, { data: { address }, cause });
  }

  async #dialThrough(
    between: HostId,
    host: HostId,
    { signal, timeoutMs }: { signal: AbortSignal | undefined; timeoutMs: number },
  ): Promise<Connection> {
    let duplex: StreamDuplex | null = null;
    this.#relay!.open(between, host, (stream) => {
      duplex = new StreamDuplex(stream);
      return duplex.handlers;
    });
    return this.#within(duplex!, { initiator: true, host, signal, timeoutMs });
  }

  #arrived(stream: PeerStream, from: HostId): StreamHandlers | null {
    const accept = this.#accept;
    if (accept === null || this.#handshakes.size >= MAX_RELAY_HANDSHAKES) return null;
    const duplex = new StreamDuplex(stream);
    this.#handshakes.add(duplex);
    void this.#within(duplex, { initiator: false, host: from, signal: undefined, timeoutMs: HANDSHAKE_MS })
      .then(accept, () => undefined)
      .finally(() => this.#handshakes.delete(duplex));
    return duplex.handlers;
  }

  /** TLS on the stream; gives up, and cuts it, when time is up or the signal fires. */
  async #within(
    duplex: StreamDuplex,
    options: { initiator: boolean; host: HostId; signal: AbortSignal | undefined; timeoutMs: number },
  ): Promise<Connection> {
    const { initiator, host, signal, timeoutMs } = options;
    const cut = (): void => void duplex.destroy(new Error('the handshake through a relay was given up'));
    duplex.on('error', () => undefined);
    const timer = setTimeout(cut, timeoutMs);
    signal?.addEventListener('abort', cut, { once: true });
    try {
      return await this.#tls(duplex, initiator, relayAddressOf(host));
    } catch (error) {
      duplex.destroy();
      throw error;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', cut);
    }
  }
}
