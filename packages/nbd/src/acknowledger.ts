/**
 * When a write may be acknowledged: after `commit` handed its map record to the kernel, and for FUA and FLUSH after the disk
 * is synced.
 *
 * Crash order (design D5): the backing writes data, `commit` writes the map record, only then leaves the reply; FUA and FLUSH
 * wait for `flush` on top. One commit serves a whole batch; flushes that arrive while one runs share the next. An export's gate may then
 * put off the answer to a write, and to nothing else.
 */
import type { Backing } from '@diskswarm/core';
import { type Failure, failureOf } from './failure.ts';
import type { InFlight } from './in-flight.ts';
import type { Outbox } from './outbox.ts';
import type { WriteGate } from './ports.ts';
import { replyFailure, replyOk } from './replies.ts';

/** What the acknowledger needs of its session. */
export interface AcknowledgerContext {
  readonly backing: Backing;
  readonly structured: boolean;
  readonly outbox: Outbox;
  readonly inFlight: InFlight;
  readonly gate: WriteGate | null;
  /** Told everything a backing threw. */
  report(error: unknown): void;
}

export class Acknowledger {
  readonly #context: AcknowledgerContext;
  /** Triples: a cookie's 32-bit halves and the bytes of a payload, 0 for a FLUSH. Written, waiting for the commit. */
  #written: number[] = [];
  /** Triples that want a commit and then a flush. */
  #durable: number[] = [];
  /** Triples that wait for the next flush to start. */
  #waiting: number[] = [];
  /** What puts an end to each answer that the gate puts off. */
  readonly #putOff = new Set<() => void>();
  #closed = false;
  #uncommitted = false;
  #flushing = false;

  constructor(context: AcknowledgerContext) {
    this.#context = context;
  }

  /** The backing was changed: the next batch needs a commit. */
  touched(): void {
    this.#uncommitted = true;
  }

  /** A write, trim or zero request that the backing has taken. */
  written(high: number, low: number, payloadBytes: number): void {
    this.#written.push(high, low, payloadBytes);
  }

  /** The same with FUA, or, of no payload, a FLUSH. */
  durable(high: number, low: number, payloadBytes: number): void {
    this.#durable.push(high, low, payloadBytes);
    this.#context.inFlight.enter(0);
  }

  /** Ends the batch: commits and replies. The caller sends the outbox afterwards. */
  end(): void {
    if (this.#written.length === 0 && this.#durable.length === 0) return;
    const failure = this.#commit();
    const { outbox, structured } = this.#context;
    const written = this.#written;
    for (let at = 0; at < written.length; at += 3) {
      if (failure === null) this.#answer(written[at]!, written[at + 1]!, written[at + 2]!);
      else replyFailure(outbox, structured, written[at]!, written[at + 1]!, failure);
    }
    written.length = 0;
    const durable = this.#durable;
    if (durable.length === 0) return;
    this.#durable = [];
    if (failure !== null) this.#settle(durable, failure);
    else {
      for (const half of durable) this.#waiting.push(half);
      this.#startFlush();
    }
  }

  /** The client is gone: answers that were put off are not given any more. */
  close(): void {
    this.#closed = true;
    for (const drop of [...this.#putOff]) drop();
  }

  /** Now, or when the gate says so. */
  #answer(high: number, low: number, payloadBytes: number): void {
    const { outbox, inFlight, gate } = this.#context;
    const ticket = gate === null || payloadBytes === 0 || this.#closed ? 0 : gate.book(payloadBytes);
    if (gate === null || ticket === 0) {
      replyOk(outbox, high, low);
      return;
    }
    const drop = (): void => {
      if (this.#putOff.delete(drop)) inFlight.leave(0);
    };
    this.#putOff.add(drop);
    inFlight.enter(0);
    gate.wait(ticket, () => {
      if (this.#putOff.has(drop)) replyOk(outbox, high, low);
      drop();
    });
  }

  #commit(): Failure | null {
    if (!this.#uncommitted) return null;
    this.#uncommitted = false;
    try {
      this.#context.backing.commit();
      return null;
    } catch (error) {
      this.#context.report(error);
      return failureOf(error);
    }
  }

  #startFlush(): void {
    if (this.#flushing || this.#waiting.length === 0) return;
    const cookies = this.#waiting;
    this.#waiting = [];
    this.#flushing = true;
    const finish = (failure: Failure | null): void => {
      this.#flushing = false;
      this.#startFlush();
      this.#settle(cookies, failure);
    };
    const fail = (error: unknown): void => {
      this.#context.report(error);
      finish(failureOf(error));
    };
    try {
      this.#context.backing.flush().then(() => finish(null), fail);
    } catch (error) {
      fail(error);
    }
  }

  #settle(cookies: number[], failure: Failure | null): void {
    const { outbox, structured, inFlight } = this.#context;
    for (let at = 0; at < cookies.length; at += 3) {
      if (failure === null) this.#answer(cookies[at]!, cookies[at + 1]!, cookies[at + 2]!);
      else replyFailure(outbox, structured, cookies[at]!, cookies[at + 1]!, failure);
      inFlight.leave(0);
    }
  }
}
