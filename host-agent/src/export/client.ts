/**
 * One client of the NBD server: joins its socket to an NbdSession.
 *
 * Reads into one array that is replaced only when a write in flight borrowed it; pauses the socket when the session says so;
 * ends clients that do not finish the handshake in time. Which exports there are is the server's business.
 */
import type net from 'node:net';
import type { Clock, Timer } from '@diskswarm/core';
import { type ExportDirectory, type ExportHandle, NbdSession } from '@diskswarm/nbd';
import { adoptSocket } from './adopted-socket.ts';

/** More than a Unix socket holds by default, so that one read takes all there is. */
const INPUT_BYTES = 256 * 1024;
/** Time for a client to choose an export. */
const HANDSHAKE_MS = 30_000;

export interface ClientOptions {
  readonly accepted: net.Socket;
  readonly directory: ExportDirectory;
  readonly clock: Clock;
  onDefect(error: unknown): void;
  /** The socket is closed and nothing of the client is in flight. */
  onGone(): void;
}

export class Client {
  readonly #socket: net.Socket;
  readonly #session: NbdSession;
  readonly #deadline: Timer;
  readonly #gone: Promise<void>;
  #input: Uint8Array = Buffer.allocUnsafeSlow(INPUT_BYTES);
  #fresh = true;
  #reading = true;
  #inRead = false;
  #awaitingDrain = false;

  /** Takes the accepted socket over and greets the client at once: its handle has no owner in between. */
  constructor(options: ClientOptions) {
    this.#session = new NbdSession({
      directory: options.directory,
      output: {
        send: (bytes) => this.#send(bytes),
        setReading: (on) => this.#setReading(on),
        end: () => this.#socket.destroySoon(),
      },
      onDefect: (error) => options.onDefect(error),
    });
    this.#socket = adoptSocket(options.accepted, {
      buffer: () => this.#nextInput(),
      read: (lengthBytes, array) => this.#read(lengthBytes, array),
    });
    this.#deadline = options.clock.setTimer(HANDSHAKE_MS, () => this.#expire(), { background: true });
    this.#socket.on('drain', () => this.#drained());
    this.#socket.on('end', () => this.#session.finish());
    // A client that is gone is no error; `close` follows.
    this.#socket.on('error', () => {});
    this.#gone = new Promise<void>((resolve) => this.#socket.on('close', () => resolve())).then(async () => {
      this.#deadline.cancel();
      await this.#session.close();
      options.onGone();
    });
    this.#session.start();
  }

  /** The export in use, or null during the handshake. */
  get handle(): ExportHandle | null {
    return this.#session.handle;
  }

  /** Drops the connection; resolves when nothing of it is in flight. Idempotent. */
  close(): Promise<void> {
    this.#socket.destroy();
    return this.#gone;
  }

  #nextInput(): Uint8Array | undefined {
    if (!this.#fresh) return undefined;
    this.#fresh = false;
    return this.#input;
  }

  #read(lengthBytes: number, array: Uint8Array): boolean {
    this.#inRead = true;
    if (!this.#session.push(array.subarray(0, lengthBytes))) {
      this.#input = Buffer.allocUnsafeSlow(INPUT_BYTES);
      this.#fresh = true;
    }
    this.#inRead = false;
    return this.#reading;
  }

  #send(bytes: Uint8Array): boolean {
    if (this.#socket.destroyed) return true;
    this.#socket.write(bytes);
    if (this.#socket.writableLength === 0) return true;
    this.#awaitingDrain = true;
    return false;
  }

  #drained(): void {
    if (!this.#awaitingDrain || this.#socket.writableLength > 0) return;
    this.#awaitingDrain = false;
    this.#session.drained();
  }

  #setReading(on: boolean): void {
    this.#reading = on;
    // Inside a read its return value decides.
    if (this.#inRead) return;
    if (on) this.#socket.resume();
    else this.#socket.pause();
  }

  #expire(): void {
    if (this.#session.handle === null) this.#socket.destroy();
  }
}
