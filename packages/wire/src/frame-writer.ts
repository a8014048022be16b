/**
 * Cuts the messages of a lane's channels into frames and lets the channels take turns.
 *
 * Order holds within a channel only. Channel 0 goes before all others; the rest get a frame each in turn. Only a few
 * frames are handed to the connection at a time: what waits here can still be overtaken or dropped, what is in the
 * connection cannot. Batches by microtask, so that messages of one event share a write.
 */
import { FRAME_HEADER_BYTES, MAX_FRAME_PAYLOAD_BYTES } from './limits.ts';

/** The part of a connection that is written to; it copies what it is given. */
export interface FrameSink {
  readonly queuedBytes: number;
  write(views: readonly Uint8Array[]): boolean;
}

interface Message {
  readonly views: Uint8Array[];
  readonly tag: number | null;
  readonly done: (() => void) | undefined;
  begun: boolean;
  remainingBytes: number;
}

interface Queue {
  readonly channel: number;
  readonly messages: Message[];
  backlogBytes: number;
}

export class FrameWriter {
  readonly #sink: FrameSink;
  readonly #maxInSinkBytes: number;
  readonly #queues = new Map<number, Queue>();
  /** Channels with something to send, in the order of their turns. */
  #turns: Queue[] = [];
  #backlogBytes = 0;
  #scheduled = false;
  #stopped = false;

  /** Holds at most `maxInSinkBytes` (and one frame) in the sink. */
  constructor(sink: FrameSink, { maxInSinkBytes }: { maxInSinkBytes: number }) {
    this.#sink = sink;
    this.#maxInSinkBytes = maxInSinkBytes;
  }

  /** Bytes of messages that are not in the sink yet. */
  get backlogBytes(): number {
    return this.#backlogBytes;
  }

  /** The same for one channel. */
  backlogBytesOf(channel: number): number {
    return this.#queues.get(channel)?.backlogBytes ?? 0;
  }

  /**
   * Queues one message. `tag` names it for `drop`. The views may not change until `done`, which is called when they have been
   * written or the message was dropped; after `stop` or `forget` it may stay out.
   */
  enqueue(channel: number, views: readonly Uint8Array[], tag: number | null = null, done?: () => void): void {
    if (this.#stopped) return;
    const lengthBytes = views.reduce((sum, view) => sum + view.length, 0);
    if (lengthBytes === 0) return;
    let queue = this.#queues.get(channel);
    if (queue === undefined) {
      queue = { channel, messages: [], backlogBytes: 0 };
      this.#queues.set(channel, queue);
    }
    if (queue.messages.length === 0) {
      if (channel === 0) this.#turns.unshift(queue);
      else this.#turns.push(queue);
    }
    queue.messages.push({ views: [...views], tag, done, begun: false, remainingBytes: lengthBytes });
    queue.backlogBytes += lengthBytes;
    this.#backlogBytes += lengthBytes;
    this.#schedule();
  }

  /** Takes a tagged message back; false when it has begun to leave or is not here. */
  drop(channel: number, tag: number): boolean {
    const queue = this.#queues.get(channel);
    const index = queue?.messages.findIndex((message) => message.tag === tag && !message.begun) ?? -1;
    if (queue === undefined || index < 0) return false;
    const [message] = queue.messages.splice(index, 1);
    queue.backlogBytes -= message!.remainingBytes;
    this.#backlogBytes -= message!.remainingBytes;
    if (queue.messages.length === 0) this.#turns = this.#turns.filter((other) => other !== queue);
    message!.done?.();
    return true;
  }

  /** Forgets a channel; a message that has begun to leave is finished first, because its channel's stream must stay whole. */
  forget(channel: number): void {
    const queue = this.#queues.get(channel);
    if (queue === undefined) return;
    const kept = queue.messages.filter((message) => message.begun);
    const keptBytes = kept.reduce((sum, message) => sum + message.remainingBytes, 0);
    this.#backlogBytes -= queue.backlogBytes - keptBytes;
    queue.backlogBytes = keptBytes;
    queue.messages.splice(0, queue.messages.length, ...kept);
    if (kept.length === 0) this.#turns = this.#turns.filter((other) => other !== queue);
    this.#queues.delete(channel);
  }

  /** Hands frames to the sink while it has room: after an enqueue, and when the connection drained. */
  pump(): void {
    if (this.#stopped) return;
    let room = this.#maxInSinkBytes - this.#sink.queuedBytes;
    const views: Uint8Array[] = [];
    const written: Message[] = [];
    while (room > 0 && this.#turns.length > 0) {
      const queue = this.#turns.shift()!;
      room -= this.#takeFrame(queue, views, written);
      if (queue.messages.length > 0) {
        if (queue.channel === 0) this.#turns.unshift(queue);
        else this.#turns.push(queue);
      }
    }
    if (views.length > 0) this.#sink.write(views);
    for (const { done } of written) done?.();
  }

  /** Nothing is written any more. */
  stop(): void {
    this.#stopped = true;
    this.#queues.clear();
    this.#turns = [];
    this.#backlogBytes = 0;
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      this.pump();
    });
  }

  #takeFrame(queue: Queue, into: Uint8Array[], written: Message[]): number {
    const header = new Uint8Array(FRAME_HEADER_BYTES);
    into.push(header);
    let payloadBytes = 0;
    while (payloadBytes < MAX_FRAME_PAYLOAD_BYTES && queue.messages.length > 0) {
      const message = queue.messages[0]!;
      message.begun = true;
      const view = message.views[0]!;
      const count = Math.min(view.length, MAX_FRAME_PAYLOAD_BYTES - payloadBytes);
      if (count > 0) into.push(count === view.length ? view : view.subarray(0, count));
      if (count === view.length) message.views.shift();
      else message.views[0] = view.subarray(count);
      payloadBytes += count;
      message.remainingBytes -= count;
      if (message.views.length === 0) written.push(queue.messages.shift()!);
    }
    queue.backlogBytes -= payloadBytes;
    this.#backlogBytes -= payloadBytes;
    header[0] = queue.channel >> 8;
    header[1] = queue.channel & 0xff;
    header[2] = (payloadBytes - 1) >> 8;
    header[3] = (payloadBytes - 1) & 0xff;
    return payloadBytes + FRAME_HEADER_BYTES;
  }
}
