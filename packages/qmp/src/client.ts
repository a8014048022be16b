/**
 * One conversation with one QEMU: commands matched with their answers by id, events told as they come.
 *
 * The connection is injected and is this client's alone (QMP serves one client at a time). After it ended, for whatever reason, every command that waits
 * and every later one rejects with QMP_CLOSED. A command that timed out may still be carried out by QEMU; its late answer is dropped.
 */
import { type Clock, DiskswarmError, type Timer } from '@diskswarm/core';
import type { CommandArguments, CommandName, CommandResult } from './commands.ts';
import { type QmpEvent, type QmpGreeting, type QmpMessage, QmpParser } from './messages.ts';

/** Commands of one client that wait for their answer. */
const MAX_PENDING = 256;
/** QEMU answers at once, or when a device has drained. */
const DEFAULT_TIMEOUT_MS = 30_000;

export interface QmpConnection {
  write(bytes: Uint8Array): void;
  close(): void;
}

export interface QmpConnectionHandlers {
  onData(bytes: Uint8Array): void;
  /** The last call. */
  onClose(error?: Error): void;
}

/** Connects to a monitor socket. */
export type QmpConnect = (handlers: QmpConnectionHandlers) => QmpConnection;

interface Pending {
  readonly command: string;
  resolve(value: unknown): void;
  reject(error: DiskswarmError): void;
}

export class QmpClient {
  readonly #clock: Clock;
  readonly #parser = new QmpParser();
  readonly #pending = new Map<number, Pending>();
  readonly #listeners = new Set<(event: QmpEvent) => void>();
  readonly #greeted = Promise.withResolvers<QmpGreeting>();
  readonly #closed = Promise.withResolvers<void>();
  #connection: QmpConnection | null = null;
  #ended: DiskswarmError | null = null;
  #nextId = 1;
  #version: QmpGreeting['version'] = { major: 0, minor: 0, micro: 0 };

  private constructor(clock: Clock) {
    this.#clock = clock;
    this.#greeted.promise.catch(() => {});
  }

  /** Connects, waits for the greeting and negotiates. QMP_CLOSED, TIMEOUT (10 s), PROTOCOL_ERROR. */
  static async open(connect: QmpConnect, { clock }: { clock: Clock }): Promise<QmpClient> {
    const client = new QmpClient(clock);
    client.#connection = connect({
      onData: (bytes) => client.#receive(bytes),
      onClose: (error) => client.#end(closedError(error)),
    });
    const timer = clock.setTimer(10_000, () =>
      client.#end(
        new DiskswarmError('TIMEOUT', "QEMU's monitor did not greet within 10 s; another client may hold it"),
      ),
    );
    try {
      client.#version = (await client.#greeted.promise).version;
      await client.execute('qmp_capabilities', {});
      return client;
    } finally {
      timer.cancel();
    }
  }

  /** Version of this QEMU. */
  get version(): QmpGreeting['version'] {
    return this.#version;
  }

  /** Resolves when the conversation is over. */
  get closed(): Promise<void> {
    return this.#closed.promise;
  }

  /** Runs a command. QMP_ERROR with QEMU's words, QMP_CLOSED, TIMEOUT, ABORTED, LIMIT_EXCEEDED. */
  execute<Name extends CommandName>(
    command: Name,
    args: CommandArguments<Name>,
    { timeoutMs = DEFAULT_TIMEOUT_MS, signal }: { timeoutMs?: number; signal?: AbortSignal } = {},
  ): Promise<CommandResult<Name>> {
    if (this.#ended !== null) return Promise.reject(this.#ended);
    if (this.#pending.size >= MAX_PENDING)
      return Promise.reject(new DiskswarmError('LIMIT_EXCEEDED', `${MAX_PENDING} commands wait for QEMU already`));
    const id = this.#nextId++;
    return new Promise<unknown>((resolve, reject) => {
      let timer: Timer | null = null;
      const aborted = (): void => finish(new DiskswarmError('ABORTED', `${command} was given up`));
      const finish = (error: DiskswarmError | null, value?: unknown): void => {
        timer?.cancel();
        signal?.removeEventListener('abort', aborted);
        this.#pending.delete(id);
        if (error === null) resolve(value);
        else reject(error);
      };
      timer = this.#clock.setTimer(timeoutMs, () =>
        finish(
          new DiskswarmError('TIMEOUT', `QEMU did not answer ${command} within ${timeoutMs} ms`, { data: { command } }),
        ),
      );
      this.#pending.set(id, { command, resolve: (value) => finish(null, value), reject: (error) => finish(error) });
      if (signal?.aborted) {
        aborted();
        return;
      }
      signal?.addEventListener('abort', aborted, { once: true });
      this.#connection?.write(Buffer.from(`${JSON.stringify({ execute: command, arguments: args, id })}\n`));
    }) as Promise<CommandResult<Name>>;
  }

  /** Has events told to `listener` until the function returned is called. */
  onEvent(listener: (event: QmpEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Ends the conversation; QEMU goes on. Idempotent. */
  close(): void {
    this.#end(new DiskswarmError('QMP_CLOSED', "the conversation with QEMU's monitor was ended here"));
  }

  #receive(bytes: Uint8Array): void {
    if (this.#ended !== null) return;
    let messages: QmpMessage[];
    try {
      messages = this.#parser.push(bytes);
    } catch (error) {
      this.#end(error as DiskswarmError);
      return;
    }
    for (const message of messages) this.#take(message);
  }

  #take(message: QmpMessage): void {
    switch (message.kind) {
      case 'greeting':
        this.#greeted.resolve(message);
        return;
      case 'event':
        for (const listener of [...this.#listeners]) listener(message);
        return;
      case 'return':
        this.#pending.get(message.id)?.resolve(message.value);
        return;
      case 'error': {
        const pending = message.id === null ? undefined : this.#pending.get(message.id);
        pending?.reject(
          new DiskswarmError('QMP_ERROR', `QEMU refused ${pending.command}: ${message.description}`, {
            data: { command: pending.command, class: message.class },
          }),
        );
      }
    }
  }

  #end(error: DiskswarmError): void {
    if (this.#ended !== null) return;
    this.#ended = error;
    this.#connection?.close();
    this.#greeted.reject(error);
    for (const pending of [...this.#pending.values()]) pending.reject(error);
    this.#listeners.clear();
    this.#closed.resolve();
  }
}

function closedError(cause: Error | undefined): DiskswarmError {
  return new DiskswarmError('QMP_CLOSED', "the connection to QEMU's monitor ended", { cause });
}
