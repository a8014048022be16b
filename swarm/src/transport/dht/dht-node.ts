/**
 * This host in a DHT of the hyperdht network: found under topics, dialled by key, through NATs by hole punching.
 *
 * The key pair is thrown away with the process and names nobody: who the other side is gets proven inside the Noise channel
 * (design D9), over `binding`. The node keeps nothing for others. The single place that imports `hyperdht`; its own timers and
 * randomness stay behind this seam, its relays through strangers are refused, and addresses within the own network are not told.
 */
import { type Address, type Connection, DiskswarmError, type Listener, parseAddress, toHex } from '@diskswarm/core';
import type NoiseSecretStream from '@hyperswarm/secret-stream';
import HyperDHT from 'hyperdht';
import { dhtAddressOf, dhtKeyOf } from '../../discovery/dht-address.ts';
import type { Dht } from '../../discovery/dht-discovery.ts';
import { NoiseConnection } from './noise-connection.ts';
import { createNoiseStream } from './noise-stream.ts';

export interface DhtNodeOptions {
  /** `HOST:PORT` of nodes that know others. @default those of the public network */
  readonly bootstrap?: readonly Address[];
  /** Own address to use; null for all. */
  readonly host: string | null;
}

/** Connections that others make under way; further ones are refused. */
const MAX_DHT_HANDSHAKES = 128;
/** From a first word to a connection, or to nothing. */
const HANDSHAKE_MS = 10_000;
/** How long a hole is punched into a NAT that draws its ports: some hundred tries, where luck decides. */
const RANDOM_PUNCH_MS = 36_000;
/** How long a goodbye may take. */
const GOODBYE_MS = 2_000;
/** Hosts whose way in is remembered from the answer that named them; the oldest goes. */
const MAX_DHT_HINTS = 1_024;
/** Nodes that a hint names. */
const MAX_HINT_NODES = 3;

export class DhtNode implements Dht {
  readonly #options: DhtNodeOptions;
  readonly #keyPair = HyperDHT.keyPair();
  readonly #hints = new Map<string, readonly HyperDHT.NodeAddress[]>();
  readonly #handshakes = new Set<NodeJS.Timeout>();
  #dht: HyperDHT | null = null;
  #server: HyperDHT.Server | null = null;
  #listening: Promise<unknown> = Promise.resolve();
  #accept: ((connection: Connection) => void) | null = null;

  constructor(options: DhtNodeOptions) {
    this.#options = options;
  }

  /** Where others find this host while it runs. */
  get address(): Address {
    return dhtAddressOf(this.#keyPair.publicKey);
  }

  /** Takes part from now on; the network is reached in the background. */
  start(onConnection: (connection: Connection) => void): Listener {
    const { bootstrap, host } = this.#options;
    this.#accept = onConnection;
    this.#dht = new Node({
      ...(bootstrap === undefined ? {} : { bootstrap: bootstrap.map(parseAddress) }),
      ...(host === null ? {} : { host }),
      keyPair: this.#keyPair,
      ephemeral: true,
    });
    this.#server = this.#dht.createServer(
      {
        reusableSocket: true,
        shareLocalAddress: false,
        createSecretStream: createNoiseStream,
        firewall: (_key, { relayThrough }) => relayThrough !== null || !this.#mayBegin(),
      },
      (stream) => this.#accepted(stream),
    );
    this.#listening = this.#server.listen(this.#keyPair).catch(() => undefined);
    return { address: this.address, close: () => this.stop() };
  }

  /** Idempotent. */
  async stop(): Promise<void> {
    const dht = this.#dht;
    this.#dht = null;
    this.#accept = null;
    for (const timer of this.#handshakes) clearTimeout(timer);
    if (dht === null) return;
    // Nodes that still answer are told; nobody waits for the others.
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise((resolve) => {
      timer = setTimeout(resolve, GOODBYE_MS);
    });
    await Promise.race([this.#server?.close().catch(() => undefined), late]);
    clearTimeout(timer);
    await dht.destroy({ force: true });
  }

  async meet(topic: Uint8Array): Promise<readonly Address[]> {
    await this.#listening;
    const dht = this.#dht;
    if (dht === null) throw new DiskswarmError('ABORTED', 'the agent left the DHT');
    const found = new Set<Address>();
    let answered = false;
    let failure: unknown;
    try {
      const query = dht.announce(topic, this.#keyPair, this.#server?.relayAddresses ?? []);
      for await (const { peers } of query) {
        for (const { publicKey, relayAddresses } of peers) {
          if (publicKey.equals(this.#keyPair.publicKey)) continue;
          this.#hint(toHex(publicKey), relayAddresses);
          found.add(dhtAddressOf(publicKey));
        }
      }
      answered = query.successes > 0;
    } catch (error) {
      failure = error;
    }
    if (!answered) {
      const why = 'no node of the DHT answers: is the network there, and --bootstrap right?';
      throw new DiskswarmError('PEER_UNREACHABLE', why, { cause: failure });
    }
    return [...found];
  }

  async leave(topic: Uint8Array): Promise<void> {
    await this.#dht?.unannounce(topic, this.#keyPair).catch(() => undefined);
  }

  /**
   * Opens one more connection to a host; the way through NATs is found once and used again. `timeoutMs` is for the host to be found
   * and to answer; where a NAT draws its ports, punching may then take longer. PEER_UNREACHABLE, ABORTED.
   */
  dial(address: Address, { signal, timeoutMs }: { signal?: AbortSignal; timeoutMs: number }): Promise<Connection> {
    const key = dhtKeyOf(address);
    const dht = this.#dht;
    const unreachable = (cause?: Error): DiskswarmError =>
      new DiskswarmError('PEER_UNREACHABLE', `no connection to ${address}`, { data: { address }, cause });
    if (signal?.aborted) return Promise.reject(new DiskswarmError('ABORTED', 'the dial was given up'));
    if (key === null || dht === null) return Promise.reject(unreachable());
    let more = (): void => undefined;
    const stream = dht.connect(key, {
      keyPair: this.#keyPair,
      reusableSocket: true,
      localConnection: false,
      createSecretStream: createNoiseStream,
      relayAddresses: this.#hints.get(toHex(key)) ?? [],
      holepunch: (...nats) => {
        if (nats.includes(HyperDHT.FIREWALL.RANDOM)) more();
        return true;
      },
    });
    return new Promise((resolve, reject) => {
      let cause: Error | undefined;
      const end = (): void => void stream.destroy();
      let timer = setTimeout(end, timeoutMs);
      more = () => {
        clearTimeout(timer);
        timer = setTimeout(end, Math.max(timeoutMs, RANDOM_PUNCH_MS));
      };
      const closed = (): void => {
        settled();
        if (signal?.aborted) reject(new DiskswarmError('ABORTED', 'the dial was given up', { cause }));
        else reject(unreachable(cause));
      };
      const settled = (): void => {
        more = () => undefined;
        clearTimeout(timer);
        signal?.removeEventListener('abort', end);
        stream.off('close', closed);
      };
      stream.on('error', (error: Error) => {
        cause ??= error;
      });
      stream.once('close', closed);
      stream.once('open', () => {
        settled();
        resolve(new NoiseConnection(stream, true));
      });
      signal?.addEventListener('abort', end, { once: true });
    });
  }

  #accepted(stream: NoiseSecretStream): void {
    stream.on('error', () => undefined);
    if (this.#accept === null) stream.destroy();
    else this.#accept(new NoiseConnection(stream, false));
  }

  /** Whether there is room for one more connection that others make. */
  #mayBegin(): boolean {
    if (this.#handshakes.size >= MAX_DHT_HANDSHAKES) return false;
    const timer = setTimeout(() => this.#handshakes.delete(timer), HANDSHAKE_MS);
    this.#handshakes.add(timer);
    return true;
  }

  #hint(key: string, nodes: readonly HyperDHT.NodeAddress[]): void {
    this.#hints.delete(key);
    if (this.#hints.size >= MAX_DHT_HINTS) this.#hints.delete(this.#hints.keys().next().value!);
    this.#hints.set(key, nodes.slice(0, MAX_HINT_NODES));
  }
}

/**
 * Remembers no ways over its own socket, which need no punching. The library tries them outside of any catch: a host that was reached
 * so and went away would end this process when it is dialled again. It would also keep one for each key it ever met.
 */
class Node extends HyperDHT {
  constructor(options: HyperDHT.Options) {
    super(options);
    const { routes } = this._socketPool;
    const remember = routes._onconnect.bind(routes);
    routes._onconnect = (key, rawStream) => {
      if (rawStream.socket !== this.socket) remember(key, rawStream);
    };
  }
}
