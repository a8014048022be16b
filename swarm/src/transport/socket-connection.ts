/**
 * A core Connection over a Node stream socket, TLS or plain.
 *
 * `queuedBytes` counts what was written and not yet taken by the kernel, so that the lane above can keep it small. Views
 * of one write leave as one batch.
 */
import type { Socket } from 'node:net';
import { type Address, type Connection, type ConnectionHandlers, formatAddress } from '@diskswarm/core';

/** Below this many queued bytes, `onDrain` asks for more. */
const LOW_WATER_BYTES = 64 * 1024;

export class SocketConnection implements Connection {
  readonly initiator: boolean;
  readonly remoteAddress: Address;
  readonly binding: Uint8Array;
  readonly #socket: Socket;
  #handlers: ConnectionHandlers | null = null;
  #queuedBytes = 0;
  #wantsDrain = false;
  #error: Error | undefined;
  #ended = false;

  /** Takes over a connected socket on which nothing was read yet. */
  constructor(socket: Socket, options: { initiator: boolean; binding: Uint8Array }) {
    this.#socket = socket;
    this.initiator = options.initiator;
    this.binding = options.binding;
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
    this.#socket.on('data', (bytes: Uint8Array) => {
      if (!this.#ended) handlers.onData(bytes);
    });
    this.#socket.on('end', () => this.#socket.end());
  }

  write(views: readonly Uint8Array[]): boolean {
    if (this.#socket.destroyed || this.#socket.writableEnded) return false;
    const lengthBytes = views.reduce((sum, view) => sum + view.length, 0);
    this.#queuedBytes += lengthBytes;
    const last = views.length - 1;
    if (last > 0) this.#socket.cork();
    views.forEach((view, index) => {
      if (index === last) this.#socket.write(view, () => this.#written(lengthBytes));
      else this.#socket.write(view);
    });
    if (last > 0) this.#socket.uncork();
    this.#wantsDrain = true;
    return this.#queuedBytes <= LOW_WATER_BYTES;
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  close(): void {
    this.#socket.end();
  }

  destroy(error?: Error): void {
    this.#error ??= error;
    this.#ended = true;
    this.#socket.destroy();
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
