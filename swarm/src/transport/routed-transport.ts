/**
 * TCP and the DHT as one Transport: what is dialled decides by its address, and both are listened on together.
 *
 * So the swarm above needs not know how a host is reached. The port and address it hears of are those of TCP; in the DHT a host
 * is found by its key.
 */
import type { Address, Connection, Listener, Transport } from '@diskswarm/core';
import { dhtKeyOf } from '../discovery/dht-address.ts';
import type { DhtNode } from './dht/dht-node.ts';

export class RoutedTransport implements Transport {
  readonly #direct: Transport;
  readonly #dht: DhtNode;

  /** `direct` for every address that is not of the DHT. */
  constructor(direct: Transport, dht: DhtNode) {
    this.#direct = direct;
    this.#dht = dht;
  }

  async listen(address: Address, onConnection: (connection: Connection) => void): Promise<Listener> {
    const direct = await this.#direct.listen(address, onConnection);
    const dht = this.#dht.start(onConnection);
    return {
      address: direct.address,
      close: async () => {
        await Promise.all([direct.close(), dht.close()]);
      },
    };
  }

  dial(address: Address, options: { signal?: AbortSignal; timeoutMs: number }): Promise<Connection> {
    return dhtKeyOf(address) === null ? this.#direct.dial(address, options) : this.#dht.dial(address, options);
  }
}
