/**
 * The transmission phase: requests in, replies out, one batch per `push`.
 *
 * A batch is parsed in order; what needs no waiting is answered while parsing, then one commit acknowledges its writes and one
 * send takes all replies away (no promise on that path). The session stops reading, and keeps a copy of what it has not
 * parsed, while too much is in flight or the client does not take its replies. How reads, payloads, acknowledgements
 * and block status work is left to their own files.
 */
import type { Backing, StatusContext } from '@diskswarm/core';
import { Acknowledger, type AcknowledgerContext } from './acknowledger.ts';
import { replyBlockStatus } from './block-status.ts';
import { COMMAND, COMMAND_FLAG, MAGIC, REQUEST_BYTES } from './constants.ts';
import { failureOf, isDefect } from './failure.ts';
import { InFlight } from './in-flight.ts';
import type { SessionLimits } from './limits.ts';
import type { Outbox } from './outbox.ts';
import type { SessionOutput, WriteGate } from './ports.ts';
import { Reads } from './reads.ts';
import { replyFailure, replyOk } from './replies.ts';
import { checkRequest } from './request.ts';
import type { RequestCounter } from './request-counter.ts';
import { WriteStream } from './write-stream.ts';
import { zero } from './zeroing.ts';

const TWO_32 = 2 ** 32;

/** What was negotiated, and where replies go. */
export interface TransmissionOptions {
  readonly backing: Backing;
  readonly structured: boolean;
  readonly contexts: readonly StatusContext[];
  readonly outbox: Outbox;
  readonly output: SessionOutput;
  readonly limits: SessionLimits;
  readonly gate: WriteGate | null;
  readonly counter: RequestCounter | null;
  /** Told of errors that are no DiskswarmError: defects of a backing. */
  onDefect(error: unknown): void;
}

export class Transmission {
  readonly #options: TransmissionOptions;
  readonly #context: AcknowledgerContext;
  readonly #inFlight: InFlight;
  readonly #acknowledger: Acknowledger;
  readonly #writes: WriteStream;
  readonly #reads: Reads;
  /** A request header that has not arrived whole. */
  readonly #header = new Uint8Array(REQUEST_BYTES);
  readonly #headerView = new DataView(this.#header.buffer);
  #headerBytes = 0;
  #input: DataView | null = null;
  #rest: Uint8Array | null = null;
  #reading = true;
  #waking = false;
  /** No further request is parsed: DISC, a broken stream, or a client that went away. */
  #ended = false;
  /** The output was told to end. */
  #gone = false;

  constructor(options: TransmissionOptions) {
    this.#options = options;
    this.#inFlight = new InFlight(options.limits, () => this.#wake());
    this.#context = {
      backing: options.backing,
      structured: options.structured,
      outbox: options.outbox,
      inFlight: this.#inFlight,
      gate: options.gate,
      report: (error) => {
        options.counter?.failed();
        if (isDefect(error)) options.onDefect(error);
      },
    };
    this.#acknowledger = new Acknowledger(this.#context);
    this.#writes = new WriteStream(this.#context, this.#acknowledger);
    this.#reads = new Reads(this.#context, options.limits.maxUnsentBytes);
  }

  /** Takes bytes of the client; false when a write in flight still reads the array. */
  push(bytes: Uint8Array): boolean {
    this.#writes.borrowed = false;
    if (!this.#ended) this.#consume(bytes, false);
    this.#endBatch();
    return !this.#writes.borrowed;
  }

  /** The output handed over everything it had taken. */
  drained(): void {
    this.#continue();
  }

  /** The client sends no more: writes in flight are answered, waiting reads given up, then the connection ends. */
  finish(): void {
    this.#ended = true;
    this.#rest = null;
    this.#inFlight.abort();
    this.#endBatch();
  }

  /** The client is gone: waiting reads are given up, writes finish. Resolves when nothing is in flight. */
  async close(): Promise<void> {
    this.#ended = true;
    this.#gone = true;
    this.#rest = null;
    this.#reads.close();
    this.#acknowledger.close();
    this.#inFlight.abort();
    while (!this.#inFlight.idle) await this.#inFlight.whenIdle();
  }

  get #stalled(): boolean {
    return (
      this.#inFlight.full ||
      this.#reads.suspended ||
      this.#options.outbox.unsentBytes >= this.#options.limits.maxUnsentBytes
    );
  }

  /** Parses; `owned` bytes may be kept without a copy. */
  #consume(bytes: Uint8Array, owned: boolean): void {
    let at = 0;
    while (at < bytes.length && !this.#ended) {
      if (this.#writes.missingBytes > 0) at = this.#writes.push(bytes, at);
      else if (this.#stalled) {
        // Not slice: on a Buffer that would be a view.
        this.#rest = owned ? bytes.subarray(at) : new Uint8Array(bytes.subarray(at));
        return;
      } else if (this.#headerBytes === 0 && bytes.length - at >= REQUEST_BYTES) {
        this.#request(this.#viewOf(bytes), at);
        at += REQUEST_BYTES;
      } else {
        const taken = Math.min(REQUEST_BYTES - this.#headerBytes, bytes.length - at);
        this.#header.set(bytes.subarray(at, at + taken), this.#headerBytes);
        this.#headerBytes += taken;
        at += taken;
        if (this.#headerBytes === REQUEST_BYTES) {
          this.#headerBytes = 0;
          this.#request(this.#headerView, 0);
        }
      }
    }
  }

  /** The view of the input array; a runner that reuses its array gets the same one each time. */
  #viewOf(bytes: Uint8Array): DataView {
    const view = this.#input;
    if (view !== null && view.buffer === bytes.buffer && view.byteOffset === bytes.byteOffset) {
      if (view.byteLength >= bytes.length) return view;
    }
    this.#input = new DataView(bytes.buffer, bytes.byteOffset);
    return this.#input;
  }

  #request(view: DataView, at: number): void {
    if (view.getUint32(at) !== MAGIC.request) {
      this.#ended = true;
      this.#gone = true;
      this.#options.output.end();
      return;
    }
    const flags = view.getUint16(at + 4);
    const command = view.getUint16(at + 6);
    const high = view.getUint32(at + 8);
    const low = view.getUint32(at + 12);
    const offsetBytes = view.getUint32(at + 16) * TWO_32 + view.getUint32(at + 20);
    const lengthBytes = view.getUint32(at + 24);
    if (command === COMMAND.disconnect) {
      this.#ended = true;
      return;
    }
    const { backing, structured, contexts, outbox, counter } = this.#options;
    const failure = checkRequest(backing, structured, contexts.length, command, flags, offsetBytes, lengthBytes);
    if (failure === null) counter?.accepted(command, lengthBytes);
    else counter?.refused();
    const fua = (flags & COMMAND_FLAG.fua) !== 0;
    if (command === COMMAND.write) this.#writes.begin(high, low, offsetBytes, lengthBytes, fua, failure);
    else if (failure !== null) replyFailure(outbox, structured, high, low, failure);
    else if (command === COMMAND.read) {
      this.#reads.start(high, low, offsetBytes, lengthBytes, (flags & COMMAND_FLAG.df) !== 0);
    } else this.#other(command, flags, high, low, offsetBytes, lengthBytes);
  }

  #other(command: number, flags: number, high: number, low: number, offsetBytes: number, lengthBytes: number): void {
    const { backing, contexts, outbox, structured } = this.#options;
    switch (command) {
      case COMMAND.flush:
        this.#acknowledger.durable(high, low, 0);
        return;
      case COMMAND.blockStatus: {
        const one = (flags & COMMAND_FLAG.reqOne) !== 0;
        replyBlockStatus(this.#context, contexts, high, low, offsetBytes, lengthBytes, one);
        return;
      }
      case COMMAND.cache:
        try {
          if (lengthBytes > 0) backing.prefetch(offsetBytes, lengthBytes);
          replyOk(outbox, high, low);
        } catch (error) {
          this.#context.report(error);
          replyFailure(outbox, structured, high, low, failureOf(error));
        }
        return;
      default:
        zero(this.#context, this.#acknowledger, command, flags, high, low, offsetBytes, lengthBytes);
    }
  }

  /** After something settled or was handed over: goes on where the session stopped. */
  #continue(): void {
    this.#reads.resume();
    const rest = this.#rest;
    if (rest !== null && !this.#stalled) {
      this.#rest = null;
      this.#consume(rest, true);
    }
    this.#endBatch();
  }

  /** Acknowledges, sends, and decides whether to read on. */
  #endBatch(): void {
    const { outbox, output } = this.#options;
    this.#acknowledger.end();
    outbox.flush();
    if (!this.#ended) this.#setReading(this.#rest === null && !this.#stalled);
    else if (!this.#gone && this.#inFlight.idle && !this.#reads.suspended) {
      this.#gone = true;
      output.end();
    }
  }

  #setReading(on: boolean): void {
    if (this.#reading === on) return;
    this.#reading = on;
    this.#options.output.setReading(on);
  }

  #wake(): void {
    if (this.#waking) return;
    this.#waking = true;
    queueMicrotask(() => {
      this.#waking = false;
      this.#continue();
    });
  }
}
