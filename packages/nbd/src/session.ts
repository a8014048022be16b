/**
 * One NBD connection without its socket: bytes in by `push`, bytes out through a SessionOutput.
 *
 * Joins the two phases and owns the outbox. Leaves sockets, listening, deadlines and the choice of exports to its runner, and all
 * reading and writing to the export's Backing. Invariants: nothing is called on the output after `close`; a write that the
 * backing has begun is finished and committed even when the client is gone.
 */
import { Handshake } from './handshake.ts';
import { DEFAULT_SESSION_LIMITS, type SessionLimits } from './limits.ts';
import { greeting } from './option-replies.ts';
import { Outbox } from './outbox.ts';
import type { ExportDirectory, ExportHandle, SessionOutput } from './ports.ts';
import { Transmission } from './transmission.ts';

export interface NbdSessionOptions {
  readonly directory: ExportDirectory;
  readonly output: SessionOutput;
  /** Told of errors of a backing that are no DiskswarmError; the client sees EIO. */
  onDefect(error: unknown): void;
  /** @default DEFAULT_SESSION_LIMITS */
  readonly limits?: SessionLimits;
}

export class NbdSession {
  readonly #options: NbdSessionOptions;
  readonly #outbox: Outbox;
  readonly #handshake: Handshake;
  #transmission: Transmission | null = null;
  #handle: ExportHandle | null = null;
  #ended = false;
  #closed = false;

  constructor(options: NbdSessionOptions) {
    this.#options = options;
    this.#outbox = new Outbox(options.output);
    this.#handshake = new Handshake(options.directory, (bytes) => this.#outbox.sendOwned(bytes));
  }

  /** The export in use once the handshake is over. */
  get handle(): ExportHandle | null {
    return this.#handle;
  }

  /** Greets the client. Call once, before the first `push`. */
  start(): void {
    this.#outbox.sendOwned(greeting());
  }

  /**
   * Takes bytes of the client, which are only read during the call when it returns true.
   * False: a write in flight still reads the array; give the next push another one.
   */
  push(bytes: Uint8Array): boolean {
    if (this.#closed || this.#ended) return true;
    if (this.#transmission !== null) return this.#transmission.push(bytes);
    const taken = this.#handshake.push(bytes);
    const outcome = this.#handshake.outcome;
    if (outcome === null) return true;
    if (outcome.kind === 'end') {
      this.#ended = true;
      this.#options.output.end();
      return true;
    }
    this.#handle = outcome.handle;
    this.#transmission = new Transmission({
      backing: outcome.handle.backing,
      structured: outcome.structured,
      contexts: outcome.contexts,
      outbox: this.#outbox,
      output: this.#options.output,
      limits: this.#options.limits ?? DEFAULT_SESSION_LIMITS,
      gate: outcome.handle.gate ?? null,
      counter: outcome.handle.counter ?? null,
      onDefect: (error) => this.#options.onDefect(error),
    });
    return taken === bytes.length || this.#transmission.push(bytes.subarray(taken));
  }

  /** The output has handed over everything that `send` returned false for. */
  drained(): void {
    if (this.#closed) return;
    this.#outbox.drained();
    this.#transmission?.drained();
  }

  /**
   * The client sends no more. A client that died looks the same, so reads that wait are given up (ESHUTDOWN); writes in
   * flight are answered, then the output ends.
   */
  finish(): void {
    if (this.#closed || this.#ended) return;
    if (this.#transmission !== null) this.#transmission.finish();
    else {
      this.#ended = true;
      this.#options.output.end();
    }
  }

  /** The connection is gone: gives up waiting reads. Resolves when writes and flushes in flight have finished. Idempotent. */
  async close(): Promise<void> {
    if (!this.#closed) {
      this.#closed = true;
      this.#outbox.close();
    }
    await this.#transmission?.close();
  }
}
