/**
 * Two ways between the hosts of a move: one through a third host, there from the start, and a straight one that opens when `MoveWorld.straight` says so.
 *
 * The third host is not simulated: its way is a port of its own whose connections carry the addresses that relayed ones have.
 */
import type { Address, Connection, ConnectionHandlers, Transport } from '@diskswarm/core';
import { DiskswarmError } from '@diskswarm/core';
import { relayAddressOf } from '@diskswarm/swarm';
import type { MoveHost } from './move-host.ts';

const DETOUR_PORT = 7001;

/** The transport of a host's agent, with both ways. */
export function withDetour(host: MoveHost, transport: Transport): Transport {
  const { world } = host;
  const other = world.other(host);
  const through = relayAddressOf(other.hostId);
  return {
    listen: async (address, onConnection) => {
      const straight = await transport.listen(address, (connection) => {
        if (world.straight) onConnection(connection);
        else connection.destroy();
      });
      const detour = await transport.listen(`${host.name}:${DETOUR_PORT}`, (connection) =>
        onConnection(new RelayedConnection(connection, through)),
      );
      const close = async (): Promise<void> => {
        await Promise.all([straight.close(), detour.close()]);
      };
      return { address: straight.address, close };
    },
    dial: async (address, options) => {
      if (address === through)
        return new RelayedConnection(await transport.dial(`${other.name}:${DETOUR_PORT}`, options), through);
      if (world.straight) return transport.dial(address, options);
      throw new DiskswarmError('PEER_UNREACHABLE', `${address}: no way (simulated)`, { data: { address } });
    },
  };
}

/** A connection that is seen to lead through a third host. */
class RelayedConnection implements Connection {
  readonly remoteAddress: Address;
  readonly #inner: Connection;

  constructor(inner: Connection, remoteAddress: Address) {
    this.#inner = inner;
    this.remoteAddress = remoteAddress;
  }

  get initiator(): boolean {
    return this.#inner.initiator;
  }
  get binding(): Uint8Array {
    return this.#inner.binding;
  }
  get queuedBytes(): number {
    return this.#inner.queuedBytes;
  }
  start(handlers: ConnectionHandlers): void {
    this.#inner.start(handlers);
  }
  write(views: readonly Uint8Array[]): boolean {
    return this.#inner.write(views);
  }
  pause(): void {
    this.#inner.pause();
  }
  resume(): void {
    this.#inner.resume();
  }
  close(): void {
    this.#inner.close();
  }
  destroy(error?: Error): void {
    this.#inner.destroy(error);
  }
}
