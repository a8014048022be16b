/**
 * When a write may be acknowledged: after `commit` handed its map record to the kernel, and for FUA and FLUSH after the disk
 * is synced.
 *
 * Crash order (design D5): the backing writes data, `commit` writes the map record, only then leaves the reply; FUA and FLUSH
 * wait for `flush` on top. One commit serves a whole batch; flushes that arrive while one runs share the next.
 */
import type { Backing } from '@diskswarm/core';
import { type Failure, failureOf } from './failure.ts';
import type { InFlight } from './in-flight.ts';
import type { Outbox } from './outbox.ts';
import { replyFailure, replyOk } from './replies.ts';

/** What the acknowledger needs of its session. */
export interface AcknowledgerContext {
  readonly backing: Backing;
  readonly structured: boolean;
  readonly outbox: Outbox;
  readonly inFlight: InFlight;
  /** Told everything a backing threw. */
  report(error: unknown): void;
}

export class Acknowledger {
  readonly #context: AcknowledgerContext;
  /** Cookies as pairs of 32-bit halves: written, waiting for the commit. */
  #written: number[] = [];
  /** Pairs that want a commit and then a flush. */
  #durable: number[] = [];
  /** Pairs that wait for the next flush to start. */
  #waiting: number[] = [];
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
  written(high: number, low: number): void {
    this.#written.push(high, low);
  }

  /** The same with FUA, or a FLUSH. */
  durable(high: number, low: number): void {
    this.#durable.push(high, low);
    this.#context.inFlight.enter(0);
  }

  /** Ends the batch: commits and replies. The caller sends the outbox afterwards. */
  end(): void {
    if (this.#written.length === 0 && this.#durable.length === 0) return;
    const failure = this.#commit();
    const { outbox, structured } = this.#context;
    const written = this.#written;
    for (let at = 0; at < written.length; at += 2) {
      if (failure === null) replyOk(outbox, written[at]!, written[at + 1]!);
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
    for (let at = 0; at < cookies.length; at += 2) {
      if (failure === null) replyOk(outbox, cookies[at]!, cookies[at + 1]!);
      else replyFailure(outbox, structured, cookies[at]!, cookies[at + 1]!, failure);
      inFlight.leave(0);
    }
  }
}
