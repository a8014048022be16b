/** Connections in memory over links with a rate and a delay; each host's outgoing link is shared by all its connections. */
import {
  type Address,
  type Connection,
  type ConnectionHandlers,
  DiskswarmError,
  type Listener,
  type Transport,
} from '@diskswarm/core';
import type { TestClock, TestRandom } from './test-clock.ts';

const SEGMENT_BYTES = 16 * 1024;
const LOW_WATER_BYTES = 32 * 1024;

interface Link {
  /** Bytes per second; infinite when left out. */
  rate: number;
  delayMs: number;
  busyUntilUs: number;
}

class TestConnection implements Connection {
  readonly initiator: boolean;
  readonly remoteAddress: Address;
  readonly binding: Uint8Array;
  readonly #clock: TestClock;
  readonly #link: Link;
  peer: TestConnection | null = null;
  queuedBytes = 0;
  /** Nothing arrives any more, and nothing says so. */
  silenced = false;
  #handlers: ConnectionHandlers | null = null;
  #held: Uint8Array[] = [];
  #paused = false;
  #destroyed = false;

  constructor(
    clock: TestClock,
    link: Link,
    options: { initiator: boolean; remoteAddress: Address; binding: Uint8Array },
  ) {
    this.#clock = clock;
    this.#link = link;
    this.initiator = options.initiator;
    this.remoteAddress = options.remoteAddress;
    this.binding = options.binding;
  }

  get open(): boolean {
    return !this.#destroyed;
  }

  start(handlers: ConnectionHandlers): void {
    this.#handlers = handlers;
    this.#clock.setTimer(0, () => this.#deliverHeld());
  }

  write(views: readonly Uint8Array[]): boolean {
    const bytes = Buffer.concat(views);
    this.queuedBytes += bytes.length;
    for (let start = 0; start < bytes.length; start += SEGMENT_BYTES) {
      const segment = bytes.subarray(start, start + SEGMENT_BYTES);
      this.#onLink(
        segment.length,
        () => {
          this.queuedBytes -= segment.length;
          if (this.queuedBytes <= LOW_WATER_BYTES && !this.#destroyed) this.#handlers?.onDrain();
        },
        () => this.peer?.deliver(segment),
      );
    }
    return this.queuedBytes <= LOW_WATER_BYTES;
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#clock.setTimer(0, () => this.#deliverHeld());
  }

  close(): void {
    this.#onLink(
      0,
      () => this.#end(),
      () => this.peer?.ended(),
    );
  }

  destroy(error?: Error): void {
    if (this.#destroyed) return;
    this.#destroyed = true;
    this.#clock.setTimer(0, () => this.#told(error));
    this.#clock.setTimer(this.#link.delayMs, () => this.peer?.ended(new Error('reset')));
  }

  deliver(bytes: Uint8Array): void {
    if (this.silenced) return;
    this.#held.push(bytes);
    this.#deliverHeld();
  }

  ended(error?: Error): void {
    if (this.#destroyed || this.silenced) return;
    this.#destroyed = true;
    this.#told(error);
  }

  #end(): void {
    if (this.#destroyed) return;
    this.#destroyed = true;
    this.#told(undefined);
  }

  #told(error: Error | undefined): void {
    const handlers = this.#handlers;
    this.#handlers = null;
    handlers?.onClose(error);
  }

  #deliverHeld(): void {
    while (!this.#paused && this.#handlers !== null && !this.#destroyed && this.#held.length > 0) {
      this.#handlers.onData(this.#held.shift()!);
    }
  }

  #onLink(lengthBytes: number, left: () => void, arrived: () => void): void {
    const link = this.#link;
    const startUs = Math.max(this.#clock.nowUs(), link.busyUntilUs);
    const leftUs = startUs + (Number.isFinite(link.rate) ? (lengthBytes * 1e6) / link.rate : 0);
    link.busyUntilUs = leftUs;
    const inMs = (leftUs - this.#clock.nowUs()) / 1000;
    this.#clock.setTimer(inMs, left);
    this.#clock.setTimer(inMs + link.delayMs, arrived);
  }
}

export class TestNetwork {
  readonly #clock: TestClock;
  readonly #random: TestRandom;
  readonly #listeners = new Map<
    Address,
    { readonly name: string; readonly accept: (connection: Connection) => void }
  >();
  readonly #links = new Map<string, Link>();
  readonly connections: TestConnection[] = [];
  /** Another address of who listens at one, and how a host that dials it is seen there. */
  readonly detours = new Map<Address, { readonly listener: Address; readonly seenAs: Address }>();
  dials = 0;
  /** Connections that were made to `cutAddress` and cut. */
  cuts = 0;
  /** Where a connection ends at once when there is another one already. */
  cutAddress: Address | null = null;
  #cutDials = 0;

  constructor(clock: TestClock, random: TestRandom) {
    this.#clock = clock;
    this.#random = random;
  }

  /** The outgoing link of a host. */
  link(name: string): Link {
    const known = this.#links.get(name) ?? { rate: Number.POSITIVE_INFINITY, delayMs: 1, busyUntilUs: 0 };
    this.#links.set(name, known);
    return known;
  }

  /** Ends all connections without a word. */
  cutAll(): void {
    for (const connection of this.connections.splice(0)) connection.destroy(new Error('cut'));
  }

  /** All links go dead without a word. */
  silence(): void {
    for (const connection of this.connections) connection.silenced = true;
  }

  transport(name: string): Transport {
    return {
      listen: async (address, accept): Promise<Listener> => {
        this.#listeners.set(address, { name, accept });
        return {
          address,
          close: async () => {
            this.#listeners.delete(address);
          },
        };
      },
      dial: (address, { signal }) => {
        this.dials += 1;
        return new Promise((resolve, reject) => {
          const fail = (): void =>
            reject(new DiskswarmError(signal?.aborted ? 'ABORTED' : 'PEER_UNREACHABLE', 'no connection'));
          this.#clock.setTimer(this.link(name).delayMs, () => {
            const detour = this.detours.get(address);
            const listener = this.#listeners.get(detour?.listener ?? address);
            if (listener === undefined || signal?.aborted) {
              fail();
              return;
            }
            const [near, far] = this.pair(name, listener.name, detour === undefined ? null : [address, detour.seenAs]);
            listener.accept(far);
            resolve(near);
            if (address !== this.cutAddress) return;
            this.#cutDials += 1;
            if (this.#cutDials === 1) return;
            this.cuts += 1;
            near.destroy(new Error('cut'));
          });
        });
      },
    };
  }

  /** Two connected ends; the first one dialled. `addresses`: of the second and the first, where these are special. */
  pair(
    from: string,
    to: string,
    addresses: readonly [Address, Address] | null = null,
  ): [TestConnection, TestConnection] {
    const binding = this.#random.bytes(32);
    const port = 40_000 + this.connections.length;
    const near = new TestConnection(this.#clock, this.link(from), {
      initiator: true,
      remoteAddress: addresses?.[0] ?? `${to}:1`,
      binding,
    });
    const far = new TestConnection(this.#clock, this.link(to), {
      initiator: false,
      remoteAddress: addresses?.[1] ?? `${from}:${port}`,
      binding,
    });
    near.peer = far;
    far.peer = near;
    this.connections.push(near, far);
    return [near, far];
  }
}
