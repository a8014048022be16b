/**
 * Byte streams between two agents on the memory lane: what carries QEMU's migration connections.
 *
 * Either side opens; both directions flow and end on their own. Each direction is bounded by credit that the receiver grants (stream-window.ts),
 * because whatever waits between two QEMUs is added to the guest's pause. A side that pauses gives no more credit. The session's end resets every
 * stream.
 */
import { type Clock, DiskswarmError, type HostId, type Timer } from '@diskswarm/core';
import {
  encodeStreamMessage,
  MAX_STREAM_CREDIT_BYTES,
  MAX_STREAM_DATA_BYTES,
  type StreamMessage,
  StreamMessageReader,
} from '@diskswarm/wire';
import { FIRST_STREAM_WINDOW_BYTES, MAX_STREAMS } from './limits.ts';
import type { Gate } from './link-share.ts';
import { StreamWindow } from './stream-window.ts';

/** What the user of a stream is told. */
export interface StreamHandlers {
  /** The view is valid during the call. */
  onData(bytes: Uint8Array): void;
  /** `write` takes more, after it returned false. */
  onDrain(): void;
  /** Nothing more comes from the other side. */
  onEnd(): void;
  /** Over in both directions; the last call. `error` where it was cut. */
  onClose(error?: DiskswarmError): void;
}

/** One stream as its user sees it. */
export interface PeerStream {
  readonly host: HostId;
  readonly label: string;
  /** Takes a copy of `bytes`; false: wait for `onDrain`. */
  write(bytes: Uint8Array): boolean;
  /** Nothing more is written here. */
  end(): void;
  /** Cuts both directions. Idempotent. */
  destroy(error?: DiskswarmError): void;
  /** Gives the other side no more credit; what was granted still arrives. */
  pause(): void;
  resume(): void;
  readonly sentBytes: number;
  readonly receivedBytes: number;
}

/** Decides about a stream that another host opens; null refuses it. */
export type StreamAcceptor = (stream: PeerStream) => StreamHandlers | null;

/** What the memory lane of a session lends its streams. */
export interface StreamLane {
  readonly host: HostId;
  readonly initiator: boolean;
  readonly clock: Clock;
  readonly limit: Gate;
  send(channel: number, views: readonly Uint8Array[]): void;
}

export class Streams {
  readonly #lane: StreamLane;
  readonly #accept: StreamAcceptor;
  readonly #streams = new Map<number, LaneStream>();
  readonly #window: StreamWindow;
  /** Odd at the side that dialled. */
  #next: number;
  /** Highest number of the other side. */
  #highest = 0;
  #timer: Timer | null = null;

  constructor(lane: StreamLane, accept: StreamAcceptor) {
    this.#lane = lane;
    this.#window = new StreamWindow(lane.clock);
    this.#accept = accept;
    this.#next = lane.initiator ? 1 : 2;
  }

  /** Opens a stream; LIMIT_EXCEEDED. */
  open(label: string, handlers: (stream: PeerStream) => StreamHandlers): PeerStream {
    if (this.#streams.size >= MAX_STREAMS || this.#next > 0xffff)
      throw new DiskswarmError('LIMIT_EXCEEDED', `at most ${MAX_STREAMS} streams between two hosts`, {
        data: { limit: MAX_STREAMS },
      });
    const stream = this.#make(this.#next, label);
    this.#next += 2;
    stream.handlers = handlers(stream);
    this.#lane.send(stream.channel, encodeStreamMessage({ kind: 'open', label }));
    return stream;
  }

  /** Takes a frame of the memory lane; throws PROTOCOL_ERROR. */
  receive(channel: number, bytes: Uint8Array): void {
    let stream = this.#streams.get(channel);
    if (stream === undefined) {
      const theirs = channel % 2 === (this.#lane.initiator ? 0 : 1);
      // Frames of a stream that is over still arrive for a while.
      if (!theirs ? channel < this.#next : channel <= this.#highest) return;
      if (!theirs) throw new DiskswarmError('PROTOCOL_ERROR', 'a stream that nobody opened');
      this.#highest = channel;
      stream = this.#make(channel, '');
    }
    stream.receive(bytes);
  }

  /** A round trip to the other host was measured. */
  measured(rttUs: number): void {
    this.#window.measured(rttUs);
  }

  /** Streams that are open, of either side. */
  get size(): number {
    return this.#streams.size;
  }

  /** Something is there to be sent, and waits for credit or a limit. */
  get waiting(): boolean {
    for (const stream of this.#streams.values()) if (stream.waiting) return true;
    return false;
  }

  /** The lane took what waited. */
  drained(): void {
    if (!this.#lane.limit.open) {
      this.#timer ??= this.#lane.clock.setTimer(this.#lane.limit.waitMs, () => {
        this.#timer = null;
        this.drained();
      });
      return;
    }
    for (const stream of [...this.#streams.values()]) stream.flush();
  }

  /** The session is over. */
  close(): void {
    this.#timer?.cancel();
    for (const stream of [...this.#streams.values()])
      stream.closed(
        new DiskswarmError('PEER_UNREACHABLE', 'the session with the other host ended', {
          data: { host: this.#lane.host },
        }),
      );
  }

  #make(channel: number, label: string): LaneStream {
    const stream = new LaneStream(this.#lane, channel, label, this.#window, {
      opened: (opened) => (this.#streams.size > MAX_STREAMS ? null : this.#accept(opened)),
      over: () => this.#streams.delete(channel),
      limited: () => this.drained(),
    });
    this.#streams.set(channel, stream);
    return stream;
  }
}

interface StreamOwner {
  opened(stream: LaneStream): StreamHandlers | null;
  over(): unknown;
  /** The upload limit is reached: flush when it opens. */
  limited(): void;
}

class LaneStream implements PeerStream {
  readonly channel: number;
  handlers: StreamHandlers | null = null;
  label: string;
  readonly #lane: StreamLane;
  readonly #owner: StreamOwner;
  readonly #reader: StreamMessageReader;
  readonly #window: StreamWindow;
  /** Written here and not sent: for want of credit, or by the limit. */
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #creditBytes = FIRST_STREAM_WINDOW_BYTES;
  /** Granted to the other side and not used. */
  #grantedBytes = FIRST_STREAM_WINDOW_BYTES;
  #sentBytes = 0;
  #receivedBytes = 0;
  #paused = false;
  #blocked = false;
  #ending = false;
  #ended = false;
  #heardEnd = false;
  #over = false;

  constructor(lane: StreamLane, channel: number, label: string, window: StreamWindow, owner: StreamOwner) {
    this.#lane = lane;
    this.channel = channel;
    this.label = label;
    this.#owner = owner;
    this.#window = window;
    this.#reader = new StreamMessageReader((message) => this.#take(message));
  }

  get waiting(): boolean {
    return this.#waitingBytes > 0;
  }
  get host(): HostId {
    return this.#lane.host;
  }
  get sentBytes(): number {
    return this.#sentBytes;
  }
  get receivedBytes(): number {
    return this.#receivedBytes;
  }

  write(bytes: Uint8Array): boolean {
    if (this.#over || this.#ending) return true;
    const copy = new Uint8Array(bytes);
    this.#waiting.push(copy);
    this.#waitingBytes += copy.length;
    this.flush();
    this.#blocked = this.#waitingBytes > 0;
    return !this.#blocked;
  }

  end(): void {
    this.#ending = true;
    this.flush();
  }

  destroy(error?: DiskswarmError): void {
    if (this.#over) return;
    this.#say({ kind: 'reset' });
    this.closed(error);
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#grant();
  }

  receive(bytes: Uint8Array): void {
    this.#reader.push(bytes);
  }

  /** Sends what credit and limit allow. */
  flush(): void {
    if (this.#over) return;
    const { limit } = this.#lane;
    while (this.#waitingBytes > 0 && this.#creditBytes > 0) {
      if (!limit.open) {
        this.#owner.limited();
        return;
      }
      const first = this.#waiting[0]!;
      const part = first.subarray(0, Math.min(first.length, this.#creditBytes, MAX_STREAM_DATA_BYTES));
      if (part.length === first.length) this.#waiting.shift();
      else this.#waiting[0] = first.subarray(part.length);
      this.#waitingBytes -= part.length;
      this.#creditBytes -= part.length;
      this.#sentBytes += part.length;
      limit.take(part.length);
      this.#say({ kind: 'data', bytes: part });
    }
    if (this.#waitingBytes > 0) return;
    if (this.#ending && !this.#ended) {
      this.#ended = true;
      this.#say({ kind: 'end' });
      this.#endIfBothEnded();
    } else if (this.#blocked) {
      this.#blocked = false;
      this.handlers?.onDrain();
    }
  }

  /** Over, without a word to the other side. */
  closed(error?: DiskswarmError): void {
    if (this.#over) return;
    this.#over = true;
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#owner.over();
    this.handlers?.onClose(error);
    this.handlers = null;
  }

  #take(message: StreamMessage): void {
    if (this.#over) return;
    if (message.kind === 'open') {
      if (this.label !== '') throw new DiskswarmError('PROTOCOL_ERROR', 'a stream that was opened twice');
      this.label = message.label;
      this.handlers = this.#owner.opened(this);
      if (this.handlers === null) this.destroy();
      return;
    }
    if (this.label === '') throw new DiskswarmError('PROTOCOL_ERROR', 'a stream that was not opened');
    switch (message.kind) {
      case 'data':
        if (this.#heardEnd || message.bytes.length > this.#grantedBytes)
          throw new DiskswarmError('PROTOCOL_ERROR', 'more data on a stream than was allowed');
        this.#grantedBytes -= message.bytes.length;
        this.#receivedBytes += message.bytes.length;
        this.#window.received(this.channel, message.bytes.length);
        this.handlers?.onData(message.bytes);
        this.#grant();
        return;
      case 'credit':
        if (message.bytes > MAX_STREAM_CREDIT_BYTES)
          throw new DiskswarmError('PROTOCOL_ERROR', 'more credit than any stream needs');
        this.#creditBytes = Math.min(this.#creditBytes + message.bytes, MAX_STREAM_CREDIT_BYTES);
        this.flush();
        return;
      case 'end':
        this.#heardEnd = true;
        this.handlers?.onEnd();
        this.#endIfBothEnded();
        return;
      case 'reset':
        this.closed(new DiskswarmError('ABORTED', 'the other host cut the stream'));
    }
  }

  /** Tops the other side's credit up once a quarter of the window is used. */
  #grant(): void {
    if (this.#paused || this.#over || this.#heardEnd) return;
    const windowBytes = this.#window.bytes;
    const bytes = windowBytes - this.#grantedBytes;
    if (bytes < windowBytes / 4) return;
    this.#grantedBytes += bytes;
    this.#say({ kind: 'credit', bytes });
  }

  #endIfBothEnded(): void {
    if (this.#ended && this.#heardEnd) this.closed();
  }

  #say(message: StreamMessage): void {
    this.#lane.send(this.channel, encodeStreamMessage(message));
  }
}
