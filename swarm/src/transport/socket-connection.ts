/**
 * A core Connection over a Node stream socket, TLS or plain.
 *
 * `queuedBytes` counts what was written and not yet taken by the kernel, so that the lane above can keep it small. What is
 * written in one turn of the event loop leaves as one batch.
 */
import type { Socket } from 'node:net';
import { type Address, type Connection, type ConnectionHandlers, formatAddress } from '@diskswarm/core';
import type { ReadHook } from './read-hook.ts';

/** Below this many queued bytes, `onDrain` asks for more. */
const LOW_WATER_BYTES = 64 * 1024;

export class SocketConnection implements Connection {
  readonly initiator: boolean;
  readonly remoteAddress: Address;
  readonly binding: Uint8Array;
  readonly #socket: Socket;
  readonly #reads: ReadHook | undefined;
  #handlers: ConnectionHandlers | null = null;
  /** Written during this turn of the event loop: leaves as one batch at its end, because each write costs a record and a call. */
  #batch: Uint8Array[] = [];
  #batchBytes = 0;
  #scheduled = false;
  #queuedBytes = 0;
  #wantsDrain = false;
  #error: Error | undefined;
  #ended = false;

  /** Takes over a connected socket on which nothing was read yet; `reads` is the hook it was opened with, if any. */
  constructor(socket: Socket, options: { initiator: boolean; binding: Uint8Array; reads?: ReadHook }) {
    this.#socket = socket;
    this.initiator = options.initiator;
    this.binding = options.binding;
    this.#reads = options.reads;
    this.remoteAddress = formatAddress(socket.remoteAddress ?? '?', socket.remotePort ?? 0);
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
    for (const view of views) {
      this.#batch.push(view);
      this.#queuedBytes += view.length;
      this.#batchBytes += view.length;
    }
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
    this.#socket.end();
  }

  destroy(error?: Error): void {
    this.#error ??= error;
    this.#ended = true;
    this.#socket.destroy();
  }

  #flush(): void {
    this.#scheduled = false;
    const batch = this.#batch;
    const lengthBytes = this.#batchBytes;
    this.#batch = [];
    this.#batchBytes = 0;
    if (batch.length === 0 || this.#socket.destroyed || this.#socket.writableEnded) return;
    const last = batch.length - 1;
    if (last > 0) this.#socket.cork();
    batch.forEach((view, index) => {
      if (index === last) this.#socket.write(view, () => this.#written(lengthBytes));
      else this.#socket.write(view);
    });
    if (last > 0) this.#socket.uncork();
  }

  #written(lengthBytes: number): void {
    this.#queuedBytes -= lengthBytes;
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
