/**
 * One end of a simulated connection, as core's Connection asks for it.
 *
 * Each callback runs in an event of its own. The bytes given to `onData` are overwritten when the call returns, so that
 * code which keeps the view is found out.
 */
import type { Address, Connection, ConnectionHandlers } from '@diskswarm/core';
import { DiskswarmError } from '@diskswarm/core';
import type { SimProcess } from '../process.ts';
import type { Pipe, PipeReader } from './pipe.ts';

const HIGH_WATER_BYTES = 64 * 1024;
const LOW_WATER_BYTES = 16 * 1024;
const OVERWRITTEN = 0xdd;

export class SimConnection implements Connection, PipeReader {
  readonly initiator: boolean;
  readonly remoteAddress: Address;
  readonly binding: Uint8Array;
  readonly process: SimProcess;
  #out!: Pipe;
  #in!: Pipe;
  #handlers: ConnectionHandlers | undefined;
  #paused = false;
  #delivering = false;
  #wantsDrain = false;
  #closing = false;
  #ended: { readonly error: Error | undefined } | undefined;

  constructor(options: { initiator: boolean; remoteAddress: Address; binding: Uint8Array; process: SimProcess }) {
    this.initiator = options.initiator;
    this.remoteAddress = options.remoteAddress;
    this.binding = options.binding;
    this.process = options.process;
  }

  /** Joins the end to its two directions; called once, before anything else. */
  attach(out: Pipe, incoming: Pipe): void {
    this.#out = out;
    this.#in = incoming;
  }

  /** False once `onClose` is due or done. */
  get open(): boolean {
    return this.#ended === undefined;
  }

  get queuedBytes(): number {
    return this.#out.queuedBytes;
  }

  start(handlers: ConnectionHandlers): void {
    if (this.#handlers !== undefined) throw new Error('a connection is started once');
    this.#handlers = handlers;
    if (this.#ended === undefined) this.readable();
    else this.#tellEnd();
  }

  write(views: readonly Uint8Array[]): boolean {
    this.process.assertAlive();
    if (this.#ended !== undefined || this.#closing) return true;
    this.#out.write(views);
    if (this.#out.queuedBytes <= HIGH_WATER_BYTES) return true;
    this.#wantsDrain = true;
    return false;
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.readable();
  }

  close(): void {
    if (this.#ended !== undefined || this.#closing) return;
    this.#closing = true;
    this.#out.end('orderly');
  }

  destroy(error?: Error): void {
    if (this.#ended !== undefined) return;
    this.#out.end('reset');
    this.#finish(error);
  }

  /** The network or the peer's kernel ends the connection. */
  reset(): void {
    if (this.#ended !== undefined) return;
    this.#out.dropQueued();
    this.#finish(new DiskswarmError('PEER_UNREACHABLE', `${this.remoteAddress}: connection reset (simulated)`));
  }

  /** What the kernel sends for a process that died; nothing when the machine lost power. */
  processDied(goodbye: 'orderly' | 'reset' | 'none'): void {
    this.#ended = { error: undefined };
    this.#out.dropQueued();
    if (goodbye !== 'none') this.#out.end(goodbye);
  }

  /** The outgoing queue shrank. */
  shrunk(): void {
    if (!this.#wantsDrain || this.#out.queuedBytes > LOW_WATER_BYTES) return;
    this.#wantsDrain = false;
    this.process.later(0, 'drain', () => {
      if (this.#ended === undefined) this.#handlers?.onDrain();
    });
  }

  /** Delivers what has arrived, one segment per event. */
  readable(): void {
    if (!this.process.alive) {
      if (this.#in.next() !== undefined) this.#out.end('reset');
      return;
    }
    if (this.#delivering || this.#paused || this.#ended !== undefined || this.#handlers === undefined) return;
    this.#delivering = true;
    this.process.later(0, `data from ${this.remoteAddress}`, () => {
      this.#delivering = false;
      this.#deliver();
    });
  }

  #deliver(): void {
    if (this.#paused || this.#ended !== undefined) return;
    const segment = this.#in.next();
    if (segment === undefined) return;
    if (segment.end === 'reset') {
      this.reset();
    } else if (segment.end === 'orderly') {
      this.#out.end('orderly'); // After what is still queued, as a kernel would.
      this.#finish(undefined);
    } else {
      this.readable();
      this.#handlers!.onData(segment.bytes);
      segment.bytes.fill(OVERWRITTEN);
    }
  }

  #finish(error: Error | undefined): void {
    this.#ended = { error };
    this.#tellEnd();
  }

  #tellEnd(): void {
    const handlers = this.#handlers;
    const error = this.#ended?.error;
    if (handlers === undefined) return;
    this.process.later(0, `closed ${this.remoteAddress}`, () =>
      error === undefined ? handlers.onClose() : handlers.onClose(error),
    );
  }
}
