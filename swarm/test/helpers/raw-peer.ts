/** A peer that speaks bytes of its own choice, and what comes back. */
import type { Connection, DiskId, HostId } from '@diskswarm/core';
import { type HostKeys, laneProof, type SwarmSecret, signHello } from '@diskswarm/identity';
import { encodeLaneHello, type LaneClass, type RosterLetter } from '@diskswarm/wire';
import { proveAsInitiator } from '../../src/lane-handshake.ts';
import type { World } from './world.ts';

export class RawPeer {
  readonly connection: Connection;
  readonly received: Uint8Array[] = [];
  readonly openedUs: number;
  closedUs: number | null = null;
  readonly #world: World;

  constructor(world: World, connection: Connection) {
    this.#world = world;
    this.connection = connection;
    this.openedUs = world.clock.nowUs();
  }

  static async dial(world: World, address: string): Promise<RawPeer> {
    const dialled = world.network.transport('stranger').dial(address, { timeoutMs: 1000 });
    await world.clock.advance(10);
    return new RawPeer(world, await dialled);
  }

  /** Begins to listen, without a handshake. */
  start(): this {
    this.connection.start({
      onData: (bytes) => this.received.push(bytes.slice()),
      onDrain: () => undefined,
      onClose: () => {
        this.closedUs = this.#world.clock.nowUs();
      },
    });
    return this;
  }

  get receivedBytes(): number {
    return this.received.reduce((sum, bytes) => sum + bytes.length, 0);
  }

  /** Milliseconds from the start to the end of the connection; null while it lives. */
  get livedMs(): number | null {
    return this.closedUs === null ? null : Math.round((this.closedUs - this.openedUs) / 1000);
  }

  proof(secret: SwarmSecret, side: 'initiator' | 'responder' = 'initiator'): Uint8Array {
    return laneProof(secret, this.connection.binding, side);
  }

  hello(
    keys: HostKeys,
    lane: LaneClass = 'control',
    binding = this.connection.binding,
    more: { letter?: RosterLetter } = {},
  ): Uint8Array {
    const fields = encodeLaneHello({
      instance: new Uint8Array(16).fill(1),
      listenPort: 0,
      lane: { kind: lane, session: new Uint8Array(16).fill(2) },
      ...more,
    });
    const body = signHello(keys, binding, 'initiator', fields);
    return Buffer.concat([Uint8Array.of(body.length >> 8, body.length & 255), body]);
  }

  /** Proves itself as an honest host would; afterwards bytes go onto the lane. */
  async prove(keys: HostKeys, disk: DiskId, secret: SwarmSecret): Promise<HostId | null> {
    let host: HostId | null = null;
    proveAsInitiator(this.connection, {
      clock: this.#world.clock,
      keys,
      candidate: { disk, secret },
      hello: {
        instance: new Uint8Array(16).fill(1),
        listenPort: 0,
        lane: { kind: 'control', session: new Uint8Array(16).fill(2) },
      },
      admits: () => true,
      wants: () => true,
      onFailed: () => undefined,
      onProven: (lane) => {
        host = lane.host;
        return {
          onData: (bytes) => this.received.push(bytes.slice()),
          onDrain: () => undefined,
          onClose: () => {
            this.closedUs = this.#world.clock.nowUs();
          },
        };
      },
    });
    await this.#world.clock.until(() => host !== null, 5000);
    return host;
  }
}
