/**
 * TCP, the DHT and the way through other hosts as one Transport: an address decides which of them dials, all are listened on.
 *
 * So the swarm above needs not know how a host is reached. The port and address it hears of are those of TCP; in the DHT a host
 * is found by its key, through others by its id.
 */
import type { Address, Connection, Listener, Transport } from '@diskswarm/core';
import { dhtKeyOf } from '../discovery/dht-address.ts';
import { relayedHostOf } from '../relay/relay-address.ts';
import type { DhtNode } from './dht/dht-node.ts';
import type { RelayTransport } from './relay/relay-transport.ts';

export class RoutedTransport implements Transport {
  readonly #direct: Transport;
  readonly #dht: DhtNode;
  readonly #relay: RelayTransport;

  /** `direct` for every address that is neither of the DHT nor a host's id. */
  constructor(direct: Transport, dht: DhtNode, relay: RelayTransport) {
    this.#direct = direct;
    this.#dht = dht;
    this.#relay = relay;
  }

  async listen(address: Address, onConnection: (connection: Connection) => void): Promise<Listener> {
    const direct = await this.#direct.listen(address, onConnection);
    const dht = this.#dht.start(onConnection);
    this.#relay.start(onConnection);
    return {
      address: direct.address,
      close: async () => {
        this.#relay.stop();
        await Promise.all([direct.close(), dht.close()]);
      },
    };
  }

  dial(address: Address, options: { signal?: AbortSignal; timeoutMs: number }): Promise<Connection> {
    if (dhtKeyOf(address) !== null) return this.#dht.dial(address, options);
    return relayedHostOf(address) === null ? this.#direct.dial(address, options) : this.#relay.dial(address, options);
  }
}
