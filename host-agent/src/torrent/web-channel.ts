/**
 * A browser's connection: WebRTC, answered and never offered, and its data channel as a stream. The single place that imports `node-datachannel`.
 *
 * That package is native and works in one thread of a process only: in a second one it ends the process. So it is for a process of its own.
 */
import { Duplex } from 'node:stream';
import { type DataChannel, PeerConnection } from 'node-datachannel';

/** What a browser sent and nobody read yet; beyond it the connection ends, for a data channel cannot be paused. */
const MAX_WEB_UNREAD_BYTES = 1024 * 1024;
/** More than that waits before it is sent. */
const SENDING_BYTES = 256 * 1024;
const MESSAGE_BYTES = 64 * 1024;
/** An answer is sent with the addresses that are known by then. */
const GATHER_MS = 3_000;
const CONNECT_MS = 30_000;

export interface ChannelOptions {
  /** The address to be reached at; null for all. */
  readonly bindAddress: string | null;
  /** `stun:HOST:PORT`: who tells this host its address behind a NAT. */
  readonly stunServers: readonly string[];
}

export interface AcceptedOffer {
  /** What to tell the browser. Rejects when the offer cannot be answered. */
  readonly answer: Promise<string>;
  /** Rejects when the browser does not connect in time. */
  readonly channel: Promise<Duplex>;
}

/** Answers the offer of a browser, which connects and opens a data channel then. */
export function acceptOffer(sdp: string, { bindAddress, stunServers }: ChannelOptions): AcceptedOffer {
  const answer = Promise.withResolvers<string>();
  const channel = Promise.withResolvers<Duplex>();
  for (const { promise } of [answer, channel]) promise.catch(() => {}); // Whoever needs one hears of it.
  const connection = new PeerConnection('browser', {
    iceServers: [...stunServers],
    ...(bindAddress === null ? {} : { bindAddress }),
  });
  const describe = (): void => {
    clearTimeout(gathered);
    const description = connection.localDescription();
    if (description?.type === 'answer') answer.resolve(description.sdp);
    else giveUp('it cannot be answered');
  };
  const gathered = setTimeout(describe, GATHER_MS);
  const late = setTimeout(() => giveUp('it did not connect'), CONNECT_MS);
  let stream: WebChannel | null = null;
  const giveUp = (why: string): void => {
    clearTimeout(gathered);
    clearTimeout(late);
    const error = new Error(`a browser's connection ended: ${why}`);
    answer.reject(error);
    channel.reject(error);
    if (stream === null) connection.close();
    else stream.destroy();
  };
  connection.onGatheringStateChange((state) => {
    if (state === 'complete') describe();
  });
  connection.onStateChange((state) => {
    if (state === 'failed' || state === 'closed') giveUp(state);
  });
  connection.onDataChannel((opened) => {
    if (stream !== null) return opened.close();
    stream = new WebChannel(connection, opened);
    clearTimeout(late);
    channel.resolve(stream);
  });
  try {
    connection.setRemoteDescription(sdp, 'offer');
  } catch (error) {
    giveUp(String(error));
  }
  return { answer: answer.promise, channel: channel.promise };
}

class WebChannel extends Duplex {
  readonly #connection: PeerConnection;
  readonly #channel: DataChannel;
  #sent: (() => void) | null = null;

  constructor(connection: PeerConnection, channel: DataChannel) {
    super({ allowHalfOpen: false });
    this.#connection = connection;
    this.#channel = channel;
    channel.setBufferedAmountLowThreshold(SENDING_BYTES);
    channel.onBufferedAmountLow(() => this.#goOn());
    channel.onClosed(() => this.destroy());
    channel.onError(() => this.destroy());
    channel.onMessage((message) => this.#receive(message));
  }

  override _read(): void {} // What comes, comes.

  override _write(bytes: Uint8Array, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    try {
      for (let from = 0; from < bytes.length; from += MESSAGE_BYTES)
        this.#channel.sendMessageBinary(bytes.subarray(from, from + MESSAGE_BYTES));
      if (this.#channel.bufferedAmount() > SENDING_BYTES) this.#sent = done;
      else done();
    } catch (error) {
      done(error as Error);
    }
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#channel.close();
    this.#connection.close();
    done(error);
  }

  #goOn(): void {
    const sent = this.#sent;
    this.#sent = null;
    sent?.();
  }

  #receive(message: string | Buffer | ArrayBuffer): void {
    if (this.destroyed) return;
    if (typeof message === 'string' || this.readableLength > MAX_WEB_UNREAD_BYTES) this.destroy();
    else this.push(message instanceof ArrayBuffer ? new Uint8Array(message) : message);
  }
}
