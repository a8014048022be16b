/**
 * One machine's place in the network: its address, who listens there, and its up- and downlink.
 *
 * The uplink serves its connections in turn, one segment each; the downlink takes segments in the order they arrive.
 * Both cost time only where a rate is set.
 */
import type { Address, Connection } from '@diskswarm/core';
import type { SimProcess } from '../process.ts';
import type { Pipe, Segment } from './pipe.ts';

/** Rates of one machine in bytes per second. */
export interface RateProfile {
  /** @default unlimited */
  readonly upBytesPerSecond?: number;
  /** @default unlimited */
  readonly downBytesPerSecond?: number;
}

/** Who takes connections at a port; gone with its process. */
export interface PortListener {
  readonly process: SimProcess;
  readonly address: Address;
  accept(connection: Connection): void;
}

const FIRST_FREE_PORT = 49_152;
const LAST_PORT = 65_535;

export class NetworkPort {
  readonly host: string;
  readonly ip: string;
  readonly listeners = new Map<number, PortListener>();
  rates: RateProfile = {};
  readonly #network: SimProcess;
  readonly #waiting: Pipe[] = [];
  #sending = false;
  #downFreeAtUs = 0;
  #nextPort = LAST_PORT;

  constructor(host: string, ip: string, network: SimProcess) {
    this.host = host;
    this.ip = ip;
    this.#network = network;
  }

  /** A port nobody listens on. */
  freePort(): number {
    do this.#nextPort = this.#nextPort === LAST_PORT ? FIRST_FREE_PORT : this.#nextPort + 1;
    while (this.listeners.has(this.#nextPort));
    return this.#nextPort;
  }

  /** The pipe has something to send. */
  offer(pipe: Pipe): void {
    if (!this.#waiting.includes(pipe)) this.#waiting.push(pipe);
    if (!this.#sending) this.#sendNext();
  }

  /** When a segment that arrives now has come through the downlink, in microseconds from now. */
  receive(segment: Segment): number {
    const rate = this.rates.downBytesPerSecond;
    const nowUs = this.#network.clock.nowUs();
    if (rate === undefined) return 0;
    this.#downFreeAtUs = Math.max(nowUs, this.#downFreeAtUs) + (segment.bytes.length / rate) * 1e6;
    return Math.ceil(this.#downFreeAtUs - nowUs);
  }

  #sendNext(): void {
    for (let pipe = this.#waiting.shift(); pipe !== undefined; pipe = this.#waiting.shift()) {
      const segment = pipe.take();
      if (segment === null) continue;
      const sender = pipe;
      const rate = this.rates.upBytesPerSecond;
      const sent = (): void => {
        sender.depart(segment);
        if (sender.ready && !this.#waiting.includes(sender)) this.#waiting.push(sender);
      };
      if (rate === undefined) {
        sent();
        continue;
      }
      this.#sending = true;
      this.#network.later((segment.bytes.length / rate) * 1e6, `${this.host} uplink`, () => {
        this.#sending = false;
        sent();
        this.#sendNext();
      });
      return;
    }
  }
}
