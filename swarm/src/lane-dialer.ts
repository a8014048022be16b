/** Dials under way: a connection, then the proofs; bounded by who asks, given up all at once. */
import { type Address, type ConnectionHandlers, DiskswarmError, type Transport, toHex } from '@diskswarm/core';
import type { LaneHello } from '@diskswarm/wire';
import { type InitiatorOptions, type ProvenLane, proveAsInitiator } from './lane-handshake.ts';
import { DIAL_TIMEOUT_MS } from './limits.ts';

/** Which lane to make, and how to judge who answers. */
export type LaneDial = Omit<InitiatorOptions, 'onFailed' | 'onProven'> & {
  readonly hello: LaneHello & { readonly lane: NonNullable<LaneHello['lane']> };
  onProven(lane: ProvenLane): ConnectionHandlers;
};

export class LaneDialer {
  readonly #transport: Transport;
  readonly #dials = new Map<string, AbortController>();

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Dials under way. */
  get count(): number {
    return this.#dials.size;
  }

  /** Null once a lane began, else why not (ABORTED, PEER_UNREACHABLE, PEER_MISBEHAVED). */
  async dial(address: Address, options: LaneDial): Promise<DiskswarmError | null> {
    const abort = new AbortController();
    const { signal } = abort;
    const key = `${address} ${toHex(options.hello.lane.session)} ${options.hello.lane.kind}`;
    this.#dials.set(key, abort);
    try {
      const connection = await this.#transport.dial(address, { timeoutMs: DIAL_TIMEOUT_MS, signal });
      if (signal.aborted) {
        connection.destroy();
        return new DiskswarmError('ABORTED', 'the dial was given up');
      }
      signal.addEventListener('abort', () => connection.destroy(), { once: true });
      return await new Promise((resolve) => {
        proveAsInitiator(connection, {
          ...options,
          onFailed: resolve,
          onProven: (proven) => {
            resolve(null);
            return options.onProven(proven);
          },
        });
      });
    } catch (error) {
      if (error instanceof DiskswarmError) return error;
      throw error;
    } finally {
      this.#dials.delete(key);
    }
  }

  /** Gives all up. */
  stop(): void {
    for (const dial of this.#dials.values()) dial.abort();
  }
}
