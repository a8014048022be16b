/**
 * One direction of a connection: what the sender queued, what is on its way, what the receiver has not taken yet.
 *
 * Bytes and the end of the stream arrive in order. At most a window of bytes is on the way or unread, as kernel buffers
 * bound it; the rest waits at the sender, which sees it as `queuedBytes`.
 */
import type { SimNetwork } from './network.ts';
import type { NetworkPort } from './port.ts';

/** Bytes, the end of the stream, or both. */
export interface Segment {
  readonly bytes: Uint8Array;
  readonly end: 'none' | 'orderly' | 'reset';
}

const SEGMENT_BYTES = 16 * 1024;
const NO_BYTES = new Uint8Array(0);

/** What the receiving end does with a pipe. */
export interface PipeReader {
  /** A segment can be taken with `next`. */
  readable(): void;
}

export class Pipe {
  readonly #network: SimNetwork;
  readonly #from: NetworkPort;
  readonly #to: NetworkPort;
  readonly #windowBytes: number;
  readonly #reader: PipeReader;
  /** Called when queued bytes became fewer. */
  readonly #onShrink: () => void;
  readonly #queue: Uint8Array[] = [];
  #end: Segment['end'] = 'none';
  #endSent = false;
  #queuedBytes = 0;
  #unreadBytes = 0;
  #lastArrivalUs = 0;
  readonly #arrived: Segment[] = [];

  constructor(options: {
    network: SimNetwork;
    from: NetworkPort;
    to: NetworkPort;
    windowBytes: number;
    reader: PipeReader;
    onShrink: () => void;
  }) {
    this.#network = options.network;
    this.#from = options.from;
    this.#to = options.to;
    this.#windowBytes = options.windowBytes;
    this.#reader = options.reader;
    this.#onShrink = options.onShrink;
  }

  /** Bytes that have not been given to the link. */
  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  /** True when the link may take a segment now. */
  get ready(): boolean {
    if (this.#queuedBytes > 0) return this.#unreadBytes < this.#windowBytes;
    return this.#end !== 'none' && !this.#endSent;
  }

  write(views: readonly Uint8Array[]): void {
    if (this.#end !== 'none') return;
    for (const view of views) {
      if (view.length > 0) this.#queue.push(view.slice());
      this.#queuedBytes += view.length;
    }
    if (this.ready) this.#from.offer(this);
  }

  /** Nothing follows; a reset drops what is still queued. */
  end(how: 'orderly' | 'reset'): void {
    if (this.#endSent) return;
    this.#end = how;
    if (how === 'reset') this.dropQueued();
    if (this.ready) this.#from.offer(this);
  }

  /** Forgets what the link was not given. */
  dropQueued(): void {
    this.#queue.length = 0;
    this.#queuedBytes = 0;
  }

  /** The next segment for the link, or null. */
  take(): Segment | null {
    if (!this.ready) return null;
    if (this.#queuedBytes === 0) {
      this.#endSent = true;
      return { bytes: NO_BYTES, end: this.#end };
    }
    const bytes = new Uint8Array(Math.min(this.#queuedBytes, SEGMENT_BYTES, this.#windowBytes - this.#unreadBytes));
    for (let filled = 0; filled < bytes.length; ) {
      const first = this.#queue[0]!;
      const part = first.subarray(0, bytes.length - filled);
      bytes.set(part, filled);
      filled += part.length;
      if (part.length === first.length) this.#queue.shift();
      else this.#queue[0] = first.subarray(part.length);
    }
    this.#queuedBytes -= bytes.length;
    this.#unreadBytes += bytes.length;
    this.#onShrink();
    return { bytes, end: 'none' };
  }

  /** The segment leaves the uplink. */
  depart(segment: Segment): void {
    this.#network.travel(this.#from, this.#to, (delayUs) => {
      const nowUs = this.#network.process.clock.nowUs();
      this.#lastArrivalUs = Math.max(this.#lastArrivalUs, nowUs + delayUs);
      this.#network.process.later(
        this.#lastArrivalUs - nowUs,
        `${this.#from.host} to ${this.#to.host} ${segment.bytes.length} ${segment.end}`,
        () => this.#arrive(segment),
      );
    });
  }

  /** The next segment in order, or undefined. */
  next(): Segment | undefined {
    const segment = this.#arrived.shift();
    if (segment !== undefined) this.#consumed(segment.bytes.length);
    return segment;
  }

  #arrive(segment: Segment): void {
    const waitUs = this.#to.receive(segment);
    const ready = (): void => {
      this.#arrived.push(segment);
      this.#reader.readable();
    };
    if (waitUs === 0) ready();
    else this.#network.process.later(waitUs, `${this.#to.host} downlink`, ready);
  }

  #consumed(count: number): void {
    const blocked = this.#queuedBytes > 0 && this.#unreadBytes >= this.#windowBytes;
    const opened = (): void => {
      this.#unreadBytes -= count;
      if (this.ready) this.#from.offer(this);
    };
    if (!blocked) opened();
    else
      this.#network.travel(this.#to, this.#from, (delayUs) =>
        this.#network.process.later(delayUs, `${this.#to.host} to ${this.#from.host} window`, opened),
      );
  }
}
