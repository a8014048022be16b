/**
 * The payload of WRITE requests, handed to the backing straight from the input buffer as it arrives.
 *
 * A request is cut only at multiples of 4 KiB of the disk, so that a backing never sees half a block that the client sent whole;
 * the part of a block that has not arrived waits in a carry buffer. Nothing is gathered beyond that block. A write that
 * the backing takes by promise borrows the input buffer: `borrowed` says so until `returned` clears it.
 */
import { BLOCK_BYTES } from '@diskswarm/core';
import type { Acknowledger, AcknowledgerContext } from './acknowledger.ts';
import { type Failure, failureOf } from './failure.ts';
import { replyFailure } from './replies.ts';

/** A request of which parts wait in the backing. */
interface WaitingWrite {
  parts: number;
  ended: boolean;
  failure: Failure | null;
}

export class WriteStream {
  /** Payload bytes of the current request that have not arrived. */
  missingBytes = 0;
  /** An input array is read by a write that has not settled: it must not be reused. */
  borrowed = false;
  readonly #context: AcknowledgerContext;
  readonly #acknowledger: Acknowledger;
  #high = 0;
  #low = 0;
  #lengthBytes = 0;
  #fua = false;
  /** Where the next byte goes that the backing has not seen. */
  #next = 0;
  #end = 0;
  #failure: Failure | null = null;
  #waiting: WaitingWrite | null = null;
  #carry = new Uint8Array(BLOCK_BYTES);
  #carried = 0;

  constructor(context: AcknowledgerContext, acknowledger: Acknowledger) {
    this.#context = context;
    this.#acknowledger = acknowledger;
  }

  /** Begins a request. With a failure the payload is skipped and the failure is the reply. */
  begin(
    high: number,
    low: number,
    offsetBytes: number,
    lengthBytes: number,
    fua: boolean,
    failure: Failure | null,
  ): void {
    this.#high = high;
    this.#low = low;
    this.#lengthBytes = lengthBytes;
    this.#fua = fua;
    this.#next = offsetBytes;
    this.#end = offsetBytes + lengthBytes;
    this.#failure = failure;
    this.#waiting = null;
    this.#carried = 0;
    this.missingBytes = lengthBytes;
    if (lengthBytes === 0) this.#finish();
  }

  /** Takes payload from `input` at `at`; returns where the rest begins. */
  push(input: Uint8Array, at: number): number {
    const taken = Math.min(this.missingBytes, input.length - at);
    const stop = at + taken;
    this.missingBytes -= taken;
    let position = at;
    while (this.#failure === null && position < stop) position = this.#unit(input, position, stop);
    if (this.missingBytes === 0) this.#finish();
    return stop;
  }

  /** The most that can go to the backing in one call, or into the carry buffer. */
  #unit(input: Uint8Array, at: number, stop: number): number {
    const room = stop - at;
    if (this.#carried === 0) {
      const reach = this.#next + room;
      const cut = reach === this.#end ? reach : reach - (reach % BLOCK_BYTES);
      if (cut > this.#next) {
        const part = at + cut - this.#next;
        this.#write(at === 0 && part === input.length ? input : input.subarray(at, part));
        return part;
      }
    }
    const unitEnd = Math.min(this.#end, this.#next - (this.#next % BLOCK_BYTES) + BLOCK_BYTES);
    const wanted = unitEnd - this.#next - this.#carried;
    const taken = Math.min(room, wanted);
    this.#carry.set(input.subarray(at, at + taken), this.#carried);
    this.#carried += taken;
    if (taken === wanted) {
      const borrowedBefore = this.borrowed;
      this.borrowed = false;
      this.#write(this.#carry.subarray(0, this.#carried));
      if (this.borrowed) this.#carry = new Uint8Array(BLOCK_BYTES);
      this.borrowed = borrowedBefore;
      this.#carried = 0;
    }
    return at + taken;
  }

  #write(data: Uint8Array): void {
    const offsetBytes = this.#next;
    this.#next += data.length;
    let settled: void | Promise<void>;
    this.#acknowledger.touched();
    try {
      settled = this.#context.backing.write(offsetBytes, data);
    } catch (error) {
      this.#context.report(error);
      this.#failure = failureOf(error);
      return;
    }
    if (settled === undefined) return;
    this.borrowed = true;
    this.#waiting ??= { parts: 0, ended: false, failure: null };
    this.#await(this.#waiting, settled, data.length);
  }

  #await(waiting: WaitingWrite, settled: Promise<void>, bytes: number): void {
    const { inFlight, report } = this.#context;
    const finishOf = this.#finisher(waiting);
    waiting.parts += 1;
    inFlight.enter(bytes);
    const leave = (): void => {
      waiting.parts -= 1;
      if (waiting.parts === 0 && waiting.ended) finishOf();
      inFlight.leave(bytes);
    };
    settled.then(
      () => {
        this.#acknowledger.touched();
        leave();
      },
      (error: unknown) => {
        report(error);
        waiting.failure ??= failureOf(error);
        leave();
      },
    );
  }

  /** The reply of a request that may end after other requests have begun. */
  #finisher(waiting: WaitingWrite): () => void {
    const high = this.#high;
    const low = this.#low;
    const lengthBytes = this.#lengthBytes;
    const fua = this.#fua;
    return () => this.#reply(high, low, lengthBytes, fua, waiting.failure);
  }

  #finish(): void {
    const waiting = this.#waiting;
    this.#waiting = null;
    this.#carried = 0;
    if (waiting === null) {
      this.#reply(this.#high, this.#low, this.#lengthBytes, this.#fua, this.#failure);
      return;
    }
    waiting.ended = true;
    waiting.failure ??= this.#failure;
    if (waiting.parts === 0) this.#reply(this.#high, this.#low, this.#lengthBytes, this.#fua, waiting.failure);
  }

  #reply(high: number, low: number, lengthBytes: number, fua: boolean, failure: Failure | null): void {
    if (failure !== null) replyFailure(this.#context.outbox, this.#context.structured, high, low, failure);
    else if (fua) this.#acknowledger.durable(high, low, lengthBytes);
    else this.#acknowledger.written(high, low, lengthBytes);
  }
}
