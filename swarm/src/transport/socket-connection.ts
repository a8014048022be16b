/**
 * A core Connection over a Node stream socket, TLS or plain.
 *
 * `queuedBytes` counts what was written and not yet taken by the kernel, so that the lane above can keep it small. What is
 * written in one turn of the event loop is gathered and leaves together: many small writes would each cost a TLS record and
 * a call. The arrays it is gathered in are used again, because fresh ones cost more in garbage collection than the copy.
 */
import type { Socket } from 'node:net';
import { type Address, type Connection, type ConnectionHandlers, formatAddress } from '@diskswarm/core';
import type { ReadHook } from './read-hook.ts';

/** Below this many queued bytes, `onDrain` asks for more. */
const LOW_WATER_BYTES = 64 * 1024;
/** One write to the socket. */
const BATCH_BYTES = 64 * 1024;
/** Arrays kept for the next batches, for each connection. */
const SPARE_BATCHES = 3;

export class SocketConnection implements Connection {
  readonly initiator: boolean;
  readonly remoteAddress: Address;
  readonly binding: Uint8Array;
  readonly #socket: Socket;
  readonly #reads: ReadHook | undefined;
  #handlers: ConnectionHandlers | null = null;
  /** Being filled; what is in it leaves at the end of this turn of the event loop, or when it is full. */
  #batch: Uint8Array | null = null;
  #batchBytes = 0;
  /** Full or flushed, while another is being written: two at once the socket would join in an array of its own. */
  readonly #ready: Uint8Array[] = [];
  #writing = false;
  readonly #spare: Uint8Array[] = [];
  #scheduled = false;
  #queuedBytes = 0;
  #wantsDrain = false;
  #error: Error | undefined;
  #ended = false;

  /**
   * Takes over a connected socket on which nothing was read yet; `reads` is the hook it was opened with, if any.
   * `remoteAddress` where the socket itself does not know it. @default the socket's
   */
  constructor(
    socket: Socket,
    options: { initiator: boolean; binding: Uint8Array; reads?: ReadHook; remoteAddress?: Address },
  ) {
    this.#socket = socket;
    this.initiator = options.initiator;
    this.binding = options.binding;
    this.#reads = options.reads;
    this.remoteAddress = options.remoteAddress ?? formatAddress(socket.remoteAddress ?? '?', socket.remotePort ?? 0);
    socket.on('error', (error) => {
      this.#error ??= error;
    });
    socket.on('close', () => this.#close());
  }

  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  start(handlers: ConnectionHandlers): void {
    this.#handlers = handlers;
    if (this.#socket.destroyed) {
      queueMicrotask(() => this.#close());
      return;
    }
    const receive = (bytes: Uint8Array): void => {
      if (!this.#ended) handlers.onData(bytes);
    };
    if (this.#reads === undefined) this.#socket.on('data', receive);
    else this.#reads.begin(this.#socket, receive);
    this.#socket.on('end', () => this.#socket.end());
  }

  write(views: readonly Uint8Array[]): boolean {
    if (this.#socket.destroyed || this.#socket.writableEnded) return false;
    for (const view of views) this.#gather(view);
    this.#wantsDrain = true;
    if (!this.#scheduled) {
      this.#scheduled = true;
      setImmediate(() => this.#flush());
    }
    return this.#queuedBytes <= LOW_WATER_BYTES;
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  close(): void {
    this.#flush();
    for (const batch of this.#ready.splice(0)) this.#socket.write(batch);
    this.#socket.end();
  }

  destroy(error?: Error): void {
    this.#error ??= error;
    this.#ended = true;
    this.#socket.destroy();
  }

  #gather(view: Uint8Array): void {
    this.#queuedBytes += view.length;
    for (let position = 0; position < view.length; ) {
      this.#batch ??= this.#spare.pop() ?? Buffer.allocUnsafeSlow(BATCH_BYTES);
      const count = Math.min(view.length - position, BATCH_BYTES - this.#batchBytes);
      this.#batch.set(view.subarray(position, position + count), this.#batchBytes);
      this.#batchBytes += count;
      position += count;
      if (this.#batchBytes === BATCH_BYTES) this.#endBatch();
    }
  }

  #flush(): void {
    this.#scheduled = false;
    this.#endBatch();
  }

  #endBatch(): void {
    if (this.#batch !== null) this.#ready.push(this.#batch.subarray(0, this.#batchBytes));
    this.#batch = null;
    this.#batchBytes = 0;
    this.#writeNext();
  }

  #writeNext(): void {
    if (this.#writing || this.#socket.destroyed || this.#socket.writableEnded) return;
    const batch = this.#ready.shift();
    if (batch === undefined) return;
    this.#writing = true;
    this.#socket.write(batch, () => this.#written(batch));
  }

  #written(batch: Uint8Array): void {
    this.#writing = false;
    if (this.#spare.length < SPARE_BATCHES) this.#spare.push(new Uint8Array(batch.buffer));
    this.#queuedBytes -= batch.length;
    this.#writeNext();
    if (!this.#wantsDrain || this.#queuedBytes > LOW_WATER_BYTES || this.#socket.destroyed) return;
    this.#wantsDrain = false;
    this.#handlers?.onDrain();
  }

  #close(): void {
    const handlers = this.#handlers;
    if (handlers === null) return;
    this.#handlers = null;
    this.#ended = true;
    handlers.onClose(this.#error);
  }
}
