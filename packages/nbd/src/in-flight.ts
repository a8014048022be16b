/**
 * Requests that wait for the backing: how many, how many bytes they hold, and how to give them up.
 *
 * `wake` runs after every departure; the transmission coalesces it. Reads see `signal` fire when the client is gone;
 * writes never do: they finish.
 */
import type { SessionLimits } from './limits.ts';

export class InFlight {
  readonly signal: AbortSignal;
  readonly #abort = new AbortController();
  readonly #limits: SessionLimits;
  readonly #wake: () => void;
  #requests = 0;
  #bytes = 0;
  #idleWaiters: (() => void)[] = [];

  constructor(limits: SessionLimits, wake: () => void) {
    this.#limits = limits;
    this.#wake = wake;
    this.signal = this.#abort.signal;
  }

  get idle(): boolean {
    return this.#requests === 0;
  }

  /** True when no further request may begin. */
  get full(): boolean {
    return this.#requests >= this.#limits.maxRequests || this.#bytes >= this.#limits.maxBytes;
  }

  enter(bytes: number): void {
    this.#requests += 1;
    this.#bytes += bytes;
  }

  leave(bytes: number): void {
    this.#requests -= 1;
    this.#bytes -= bytes;
    this.#wake();
    if (this.#requests > 0) return;
    const waiters = this.#idleWaiters;
    this.#idleWaiters = [];
    for (const resolve of waiters) resolve();
  }

  /** Gives up the reads that wait. */
  abort(): void {
    this.#abort.abort();
  }

  whenIdle(): Promise<void> {
    if (this.idle) return Promise.resolve();
    return new Promise((resolve) => this.#idleWaiters.push(resolve));
  }
}
