/**
 * Calls across a MessagePort, in both directions, with results, errors and cancellation.
 *
 * Both ends are threads of one process running the same code, so messages are trusted and not validated. Errors keep their
 * code and data. When the port closes, every call that waits is rejected with ABORTED.
 */
import { DiskswarmError, type ErrorCode, type ErrorData, messageOf } from '@diskswarm/core';

/** What both MessagePort and a worker's parent port offer. */
export interface Port {
  postMessage(value: unknown): void;
  on(event: 'message', listener: (value: unknown) => void): unknown;
  on(event: 'close', listener: () => void): unknown;
}

/** Handlers of one side: name → function. The signal fires when the caller gave up. */
export type Handlers = Record<string, (args: never, options: { signal: AbortSignal }) => unknown>;

type Arguments<H extends Handlers, Name extends keyof H> = Parameters<H[Name]>[0];
type Result<H extends Handlers, Name extends keyof H> = Awaited<ReturnType<H[Name]>>;

interface SentError {
  readonly code: ErrorCode | null;
  readonly message: string;
  readonly data: ErrorData;
}

type Message =
  | { readonly kind: 'call'; readonly id: number; readonly name: string; readonly args: unknown }
  | { readonly kind: 'tell'; readonly name: string; readonly args: unknown }
  | { readonly kind: 'cancel'; readonly id: number }
  | { readonly kind: 'done'; readonly id: number; readonly result: unknown }
  | { readonly kind: 'failed'; readonly id: number; readonly error: SentError };

interface Waiting {
  resolve(result: never): void;
  reject(error: Error): void;
}

/** One end of the port: answers with `local`, calls what the other end answers as `Remote`. */
export class PortCalls<Remote extends Handlers> {
  readonly #port: Port;
  readonly #local: Handlers;
  readonly #waiting = new Map<number, Waiting>();
  readonly #running = new Map<number, AbortController>();
  #nextId = 1;
  #closed = false;

  constructor(port: Port, local: Handlers) {
    this.#port = port;
    this.#local = local;
    port.on('message', (value) => this.#receive(value as Message));
    port.on('close', () => this.close());
  }

  /** Calls the other end; `signal` cancels it there and rejects here with ABORTED. */
  call<Name extends keyof Remote & string>(
    name: Name,
    args: Arguments<Remote, Name>,
    { signal }: { signal?: AbortSignal } = {},
  ): Promise<Result<Remote, Name>> {
    return new Promise((resolve, reject) => {
      if (this.#closed || signal?.aborted) {
        reject(new DiskswarmError('ABORTED', `${name}: the call was given up`));
        return;
      }
      const id = this.#nextId++;
      const onAbort = (): void => {
        if (!this.#waiting.delete(id)) return;
        this.#port.postMessage({ kind: 'cancel', id } satisfies Message);
        reject(new DiskswarmError('ABORTED', `${name}: the call was given up`));
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      const settle = (): void => signal?.removeEventListener('abort', onAbort);
      this.#waiting.set(id, {
        resolve: (result) => {
          settle();
          resolve(result);
        },
        reject: (error) => {
          settle();
          reject(error);
        },
      });
      this.#port.postMessage({ kind: 'call', id, name, args } satisfies Message);
    });
  }

  /** Tells the other end without waiting for an answer. */
  tell<Name extends keyof Remote & string>(name: Name, args: Arguments<Remote, Name>): void {
    if (!this.#closed) this.#port.postMessage({ kind: 'tell', name, args } satisfies Message);
  }

  /** Rejects every call that waits and stops those that run. Idempotent. */
  close(): void {
    this.#closed = true;
    for (const waiting of this.#waiting.values())
      waiting.reject(new DiskswarmError('ABORTED', 'the other thread ended'));
    this.#waiting.clear();
    for (const controller of this.#running.values()) controller.abort();
    this.#running.clear();
  }

  #receive(message: Message): void {
    switch (message.kind) {
      case 'call':
        void this.#answer(message.id, message.name, message.args);
        return;
      case 'tell':
        void this.#handler(message.name)(message.args as never, { signal: new AbortController().signal });
        return;
      case 'cancel':
        this.#running.get(message.id)?.abort();
        return;
      case 'done':
        this.#take(message.id)?.resolve(message.result as never);
        return;
      case 'failed':
        this.#take(message.id)?.reject(receivedError(message.error));
    }
  }

  async #answer(id: number, name: string, args: unknown): Promise<void> {
    const controller = new AbortController();
    this.#running.set(id, controller);
    let answer: Message;
    try {
      answer = { kind: 'done', id, result: await this.#handler(name)(args as never, { signal: controller.signal }) };
    } catch (error) {
      answer = { kind: 'failed', id, error: sentError(error) };
    }
    this.#running.delete(id);
    if (!this.#closed) this.#port.postMessage(answer);
  }

  #handler(name: string): Handlers[string] {
    const handler = this.#local[name];
    if (handler === undefined) throw new RangeError(`no handler for ${name}`);
    return handler;
  }

  #take(id: number): Waiting | undefined {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    return waiting;
  }
}

function sentError(error: unknown): SentError {
  if (error instanceof DiskswarmError) return { code: error.code, message: error.message, data: error.data };
  return { code: null, message: error instanceof Error ? (error.stack ?? error.message) : messageOf(error), data: {} };
}

function receivedError(sent: SentError): Error {
  return new DiskswarmError(sent.code ?? 'INTERNAL', sent.message, { data: sent.data });
}
