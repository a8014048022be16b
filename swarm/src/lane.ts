/**
 * One proven connection of a session: frames in, frames out, and whether it lives.
 *
 * Channel 0 (lane control) is read here; all other channels are handed to the session. A silent lane is pinged and then
 * given up. Back-pressure: little is kept in the connection, and a peer that makes us say more than it reads is dropped.
 */
import { type Clock, type Connection, type ConnectionHandlers, DiskswarmError } from '@diskswarm/core';
import {
  encodeLaneControl,
  FrameParser,
  FrameWriter,
  type LaneClass,
  type LaneControl,
  LaneControlReader,
} from '@diskswarm/wire';
import type { DownloadLimiter } from './download-limiter.ts';
import { LANE_DEAD_MS, MAX_IN_SINK_BYTES, MAX_LANE_BACKLOG_BYTES, PING_INTERVAL_MS } from './limits.ts';

/** What a lane tells its session. */
export interface LaneHandlers {
  /** The first bytes behind the hello: the other side took this host in. */
  onAlive(lane: Lane): void;
  /** Payload of a channel other than 0; the view is valid during the call. */
  onFrame(lane: Lane, channel: number, bytes: Uint8Array): void;
  /** Everything on channel 0 but pings. */
  onControl(lane: Lane, message: LaneControl): void;
  /** A ping was answered. */
  onRtt(lane: Lane, rttUs: number): void;
  /** There is room for more. */
  onDrain(): void;
  /** Once. `error` tells misbehaviour (PEER_MISBEHAVED, PROTOCOL_ERROR, FORMAT_INVALID) from a lost connection. */
  onClose(lane: Lane, error: DiskswarmError | undefined): void;
}

export class Lane {
  readonly kind: LaneClass;
  readonly connection: Connection;
  readonly #clock: Clock;
  readonly #writer: FrameWriter;
  readonly #parser: FrameParser;
  readonly #handlers: LaneHandlers;
  readonly #downloads: DownloadLimiter;
  #heardUs: number;
  #rttUs: number | null = null;
  #nonce = 0;
  #pingedUs = 0;
  #error: DiskswarmError | undefined;
  #alive = false;
  #closed = false;

  constructor(
    kind: LaneClass,
    connection: Connection,
    options: { clock: Clock; downloads: DownloadLimiter; handlers: LaneHandlers },
  ) {
    this.kind = kind;
    this.connection = connection;
    this.#clock = options.clock;
    this.#downloads = options.downloads;
    this.#handlers = options.handlers;
    this.#heardUs = options.clock.nowUs();
    this.#writer = new FrameWriter(connection, { maxInSinkBytes: MAX_IN_SINK_BYTES });
    const control = new LaneControlReader((message) => this.#receiveControl(message));
    this.#parser = new FrameParser((channel, bytes) => {
      if (this.#closed) return;
      if (channel === 0) control.push(bytes);
      else this.#handlers.onFrame(this, channel, bytes);
    });
  }

  /** What the connection's handshake hands over to. */
  get connectionHandlers(): ConnectionHandlers {
    return {
      onData: (bytes) => this.#receive(bytes),
      onDrain: () => {
        this.#writer.pump();
        if (!this.#closed) this.#handlers.onDrain();
      },
      onClose: (error) => this.#end(error),
    };
  }

  /** Round trip of the last ping, microseconds; null before the first. */
  get rttUs(): number | null {
    return this.#rttUs;
  }

  /** Bytes of a channel that wait for their turn. */
  backlogBytesOf(channel: number): number {
    return this.#writer.backlogBytesOf(channel);
  }

  /** Sends a message of a channel; `tag` names it for `drop`, `done` is as in FrameWriter. */
  send(channel: number, views: readonly Uint8Array[], tag: number | null = null, done?: () => void): void {
    this.#writer.enqueue(channel, views, tag, done);
    if (this.#writer.backlogBytes > MAX_LANE_BACKLOG_BYTES) {
      this.fail(new DiskswarmError('LIMIT_EXCEEDED', 'the peer reads too little', { data: { lane: this.kind } }));
    }
  }

  sendControl(message: LaneControl): void {
    this.send(0, [encodeLaneControl(message)]);
  }

  /** Takes a tagged message back that has not begun to leave. */
  drop(channel: number, tag: number): boolean {
    return this.#writer.drop(channel, tag);
  }

  /** Sends no more for a channel. */
  forget(channel: number): void {
    this.#writer.forget(channel);
  }

  /** Asks whether the other end lives, or gives it up. Called every PING_INTERVAL_MS. */
  tick(): void {
    const nowUs = this.#clock.nowUs();
    const held = this.#downloads.holds(this.connection);
    if (held) this.#heardUs = nowUs;
    const silentMs = (nowUs - this.#heardUs) / 1000;
    if (silentMs >= LANE_DEAD_MS) {
      this.fail(new DiskswarmError('PEER_UNREACHABLE', 'the peer fell silent', { data: { lane: this.kind } }));
    } else if (held || silentMs >= PING_INTERVAL_MS / 2 || this.kind === 'control') {
      this.ping();
    }
  }

  /** Measures the round trip. */
  ping(): void {
    this.#nonce += 1;
    this.#pingedUs = this.#clock.nowUs();
    this.sendControl({ kind: 'ping', nonce: this.#nonce });
  }

  /** Ends at once because of `error`; the session hears of it by `onClose`. */
  fail(error: DiskswarmError): void {
    this.#error ??= error;
    this.connection.destroy(error);
  }

  /** Stops sending and lets what is in the connection leave. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#writer.stop();
    this.#downloads.forget(this.connection);
    this.connection.close();
  }

  #receive(bytes: Uint8Array): void {
    if (this.#closed || this.#error !== undefined) return;
    this.#heardUs = this.#clock.nowUs();
    if (!this.#alive) {
      this.#alive = true;
      this.#handlers.onAlive(this);
    }
    this.#downloads.arrived(bytes.length, this.kind === 'bulk' ? this.connection : null);
    try {
      this.#parser.push(bytes);
    } catch (error) {
      if (!(error instanceof DiskswarmError)) throw error;
      this.fail(error);
    }
  }

  #receiveControl(message: LaneControl): void {
    if (message.kind === 'ping') this.sendControl({ kind: 'pong', nonce: message.nonce });
    else if (message.kind !== 'pong') this.#handlers.onControl(this, message);
    else if (message.nonce === this.#nonce) {
      this.#rttUs = this.#clock.nowUs() - this.#pingedUs;
      this.#handlers.onRtt(this, this.#rttUs);
    }
  }

  #end(error: Error | undefined): void {
    const wasClosed = this.#closed;
    this.#closed = true;
    this.#writer.stop();
    this.#downloads.forget(this.connection);
    if (wasClosed) return;
    const lost = error && new DiskswarmError('PEER_UNREACHABLE', 'the connection was lost', { cause: error });
    this.#handlers.onClose(this, this.#error ?? lost);
  }
}
