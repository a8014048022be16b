/**
 * A core Connection over a Noise stream on UDX, as the DHT makes them.
 *
 * UDX takes a quarter of a megabyte before it pushes back, which a fault would have to wait behind: so `queuedBytes` counts what
 * was written, less what the other end has acknowledged and what is on its way. UDX does not say when bytes leave; while
 * somebody waits for room, that is looked at every few milliseconds. Nor does it hold a sender up: what arrives while the reader
 * pauses is held here, and who sends without end is cut off.
 */
import { type Address, blake3, type Connection, type ConnectionHandlers } from '@diskswarm/core';
import type NoiseSecretStream from '@hyperswarm/secret-stream';
import { dhtAddressOf } from '../../discovery/dht-address.ts';

/** Below this many queued bytes, `onDrain` asks for more. */
const LOW_WATER_BYTES = 64 * 1024;
/** One message of the stream; smaller ones are acknowledged sooner. */
const MESSAGE_BYTES = 16 * 1024;
const LOOK_INTERVAL_MS = 4;
/** Held for a reader that pauses: more than anybody may have been asked for. */
const MAX_HELD_BYTES = 24 * 1024 * 1024;

export class NoiseConnection implements Connection {
  readonly initiator: boolean;
  readonly remoteAddress: Address;
  readonly binding: Uint8Array;
  readonly #stream: NoiseSecretStream;
  #handlers: ConnectionHandlers | null = null;
  /** Written, and not acknowledged. */
  #unacknowledgedBytes = 0;
  #gathered: Uint8Array[] = [];
  #scheduled = false;
  #wantsDrain = false;
  #looking: NodeJS.Timeout | null = null;
  #paused = false;
  #held: Uint8Array[] = [];
  #heldBytes = 0;
  #error: Error | undefined;
  #ended = false;

  /** Takes over a stream whose handshake is done and on which nothing was read. */
  constructor(stream: NoiseSecretStream, initiator: boolean) {
    this.#stream = stream;
    this.initiator = initiator;
    this.binding = blake3(Buffer.concat([Buffer.from('diskswarm noise binding v1\n'), stream.handshakeHash!]));
    this.remoteAddress = dhtAddressOf(stream.remotePublicKey!);
    stream.on('error', (error: Error) => {
      this.#error ??= error;
    });
    stream.on('close', () => this.#closed());
  }

  get queuedBytes(): number {
    return Math.max(0, this.#unacknowledgedBytes - (this.#stream.rawStream?.inflight ?? 0));
  }

  start(handlers: ConnectionHandlers): void {
    this.#handlers = handlers;
    if (this.#stream.destroyed) {
      queueMicrotask(() => this.#closed());
      return;
    }
    this.#stream.on('data', (bytes: Uint8Array) => {
      // An empty message says that the other end lives.
      if (this.#ended || bytes.length === 0) return;
      if (this.#paused || this.#heldBytes > 0) this.#hold(bytes);
      else handlers.onData(bytes);
    });
    this.#stream.on('end', () => this.#stream.end());
  }

  write(views: readonly Uint8Array[]): boolean {
    if (this.#ended || this.#stream.destroyed) return false;
    for (const view of views) {
      for (let at = 0; at < view.length; at += MESSAGE_BYTES)
        this.#gathered.push(Buffer.from(view.subarray(at, at + MESSAGE_BYTES)));
      this.#unacknowledgedBytes += view.length;
    }
    this.#wantsDrain = true;
    if (!this.#scheduled) {
      this.#scheduled = true;
      setImmediate(() => this.#flush());
    }
    return this.queuedBytes <= LOW_WATER_BYTES;
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    if (this.#heldBytes > 0) setImmediate(() => this.#release());
  }

  close(): void {
    this.#flush();
    this.#stream.end();
  }

  destroy(error?: Error): void {
    this.#error ??= error;
    this.#ended = true;
    this.#stream.destroy();
  }

  /** Sends what one turn of the event loop gathered, in few messages. */
  #flush(): void {
    this.#scheduled = false;
    const gathered = this.#gathered;
    this.#gathered = [];
    if (this.#stream.destroyed || this.#stream.writableEnded) return;
    let batch: Uint8Array[] = [];
    let batchBytes = 0;
    const send = (): void => {
      if (batchBytes === 0) return;
      this.#stream.write(batch.length === 1 ? batch[0]! : Buffer.concat(batch));
      this.#watch(batchBytes);
      batch = [];
      batchBytes = 0;
    };
    for (const view of gathered) {
      if (batchBytes + view.length > MESSAGE_BYTES) send();
      batch.push(view);
      batchBytes += view.length;
    }
    send();
    this.#look();
  }

  /** Counts a message as gone once it is acknowledged. */
  #watch(lengthBytes: number): void {
    void this.#stream.flush().then((done) => {
      if (!done) return;
      this.#unacknowledgedBytes -= lengthBytes;
      this.#look();
    });
  }

  #look(): void {
    if (this.#looking !== null || !this.#wantsDrain || this.#ended || this.#stream.destroyed) return;
    if (this.queuedBytes <= LOW_WATER_BYTES && this.#gathered.length === 0) {
      this.#wantsDrain = false;
      this.#handlers?.onDrain();
      return;
    }
    this.#looking = setTimeout(() => {
      this.#looking = null;
      this.#look();
    }, LOOK_INTERVAL_MS);
  }

  #hold(bytes: Uint8Array): void {
    this.#held.push(Buffer.from(bytes));
    this.#heldBytes += bytes.length;
    if (this.#heldBytes > MAX_HELD_BYTES) this.destroy(new Error('the other end sends more than was asked for'));
  }

  #release(): void {
    while (!this.#paused && !this.#ended) {
      const bytes = this.#held.shift();
      if (bytes === undefined) return;
      this.#heldBytes -= bytes.length;
      this.#handlers?.onData(bytes);
    }
  }

  #closed(): void {
    if (this.#looking !== null) clearTimeout(this.#looking);
    const handlers = this.#handlers;
    if (handlers === null) return;
    this.#handlers = null;
    this.#ended = true;
    handlers.onClose(this.#error);
  }
}
