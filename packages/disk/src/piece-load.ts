/**
 * One piece on its way to those who wait for it: readers that share the one load, and what ends it early.
 *
 * A load with nobody left to wait for it is aborted, so that the network is not asked for what nobody reads any more.
 * Leaves to piece-table.ts: where the bytes come from. Invariant: each waiter is settled exactly once.
 */
import { DiskswarmError, type PieceIndex, type Priority } from '@diskswarm/core';

interface Waiter {
  readonly withinBytes: number;
  readonly into: Uint8Array;
  readonly settle: (error: unknown, filled: boolean) => void;
}

export class PieceLoad {
  readonly piece: PieceIndex;
  /** Made only when somebody is asked: most loads are reads of a pack. */
  #controller: AbortController | null = null;
  readonly #waiters = new Set<Waiter>();
  readonly #onEnd: (load: PieceLoad) => void;
  #background = false;
  #ended = false;
  #priority: Priority;
  /** Asks for the piece again with another priority, while somebody is asked. */
  raise: ((priority: Priority) => void) | null = null;
  /** The guest's first touch was reported. */
  touched = false;

  constructor(piece: PieceIndex, priority: Priority, onEnd: (load: PieceLoad) => void) {
    this.piece = piece;
    this.#priority = priority;
    this.#onEnd = onEnd;
  }

  /** Fires when the load is over, whatever way. */
  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.#ended) this.#controller.abort();
    return this.#controller.signal;
  }

  get ended(): boolean {
    return this.#ended;
  }

  get priority(): Priority {
    return this.#priority;
  }

  /** Goes on although nobody waits. */
  keepAlive(): void {
    this.#background = true;
  }

  /** Waits for bytes of the piece: true once `into` is filled, false when a whole-piece write made the load pointless. */
  wait(withinBytes: number, into: Uint8Array, priority: Priority, signal: AbortSignal): Promise<boolean> {
    if (priority < this.#priority) {
      this.#priority = priority;
      this.raise?.(priority);
    }
    return new Promise<boolean>((resolve, reject) => {
      const onAbort = (): void => waiter.settle(new DiskswarmError('ABORTED', 'the read was given up'), false);
      const waiter: Waiter = {
        withinBytes,
        into,
        settle: (error, filled) => {
          signal.removeEventListener('abort', onAbort);
          this.#waiters.delete(waiter);
          if (error === null) resolve(filled);
          else reject(error);
          if (this.#waiters.size === 0 && !this.#background) this.#end();
        },
      };
      this.#waiters.add(waiter);
      if (signal.aborted) onAbort();
      else signal.addEventListener('abort', onAbort, { once: true });
    });
  }

  /** The piece is here: hands everybody their part (zeros when `chunk` is null). `chunk` is only read during the call. */
  deliver(chunk: Uint8Array | null): void {
    this.#end();
    for (const waiter of [...this.#waiters]) {
      if (chunk === null) waiter.into.fill(0);
      else waiter.into.set(chunk.subarray(waiter.withinBytes, waiter.withinBytes + waiter.into.length));
      waiter.settle(null, true);
    }
  }

  fail(error: unknown): void {
    this.#end();
    for (const waiter of [...this.#waiters]) waiter.settle(error, false);
  }

  /** A whole-piece write made the load pointless: its waiters look again. */
  supersede(): void {
    this.#end();
    for (const waiter of [...this.#waiters]) waiter.settle(null, false);
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#onEnd(this);
    this.#controller?.abort();
  }
}
