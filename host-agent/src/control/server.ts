/**
 * The agent's end of the control socket: accepts connections, checks requests, runs handlers, writes their answers.
 *
 * Whoever can open the socket (0600 in a 0700 folder) is the user. A client that goes away aborts its requests. Connections,
 * requests, line lengths and unread answers are bounded: a client that does not read loses progress events, never the result.
 * What methods do is left to the handlers.
 */
import fs from 'node:fs';
import net from 'node:net';
import { DiskswarmError, messageOf } from '@diskswarm/core';
import { placeSocket } from '../state/socket-place.ts';
import { errorBodyOf, lineSplitter, MAX_ANSWER_LINE_BYTES, MAX_REQUEST_LINE_BYTES } from './line-protocol.ts';
import type { ControlEvent, ControlMethod, ControlParams, ControlResult } from './methods.ts';
import { isMethod, parseParams } from './params.ts';

/** Connections at once; more are closed unheard. */
const MAX_CONTROL_CONNECTIONS = 64;
/** Requests at once on one connection. */
export const MAX_REQUESTS_PER_CONNECTION = 16;
/** Events are dropped while a client has this much unread. */
const MAX_UNREAD_BYTES = 1024 * 1024;

/** What a handler is given besides its parameters. */
interface ControlContext<M extends ControlMethod> {
  /** Fires when the client goes away or the server stops. */
  readonly signal: AbortSignal;
  /** Tells the client about progress. */
  emit(event: ControlEvent<M>): void;
}

/** One handler per method. */
export type ControlHandlers = {
  readonly [M in ControlMethod]: (params: ControlParams<M>, context: ControlContext<M>) => Promise<ControlResult<M>>;
};

export interface ControlServer {
  /** Where it really listens. */
  readonly path: string;
  /** Aborts what runs, waits for it, removes the socket. Idempotent. */
  stop(): Promise<void>;
}

export interface ControlServerOptions {
  /** Absolute path of the socket; a path too long for the kernel moves (see socket-place.ts). */
  readonly path: string;
  readonly handlers: ControlHandlers;
  /** Told about defects: errors of handlers that are none of ours. */
  readonly onDefect?: (error: unknown, method: string) => void;
}

/** Listens; the caller holds the state folder, so a socket that lies there is a dead one. */
export async function serveControl(options: ControlServerOptions): Promise<ControlServer> {
  const place = placeSocket(options.path);
  const connections = new Set<ClientConnection>();
  const server = net.createServer((socket) => {
    if (connections.size >= MAX_CONTROL_CONNECTIONS) {
      socket.destroy();
      return;
    }
    const connection = new ClientConnection(socket, options);
    connections.add(connection);
    socket.on('close', () => connections.delete(connection));
    connection.start();
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => {
      const why = `the control socket ${place.path} cannot be opened: ${messageOf(error)}`;
      reject(new DiskswarmError('WRITE_FAILED', why, { data: { path: place.path }, cause: error }));
    });
    server.listen(place.path, resolve);
  });
  fs.chmodSync(place.path, 0o600);
  let stopping: Promise<void> | null = null;
  const stop = async (): Promise<void> => {
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    await Promise.all([...connections].map((connection) => connection.stop()));
    await closed;
    place.remove();
  };
  return {
    path: place.path,
    stop: () => {
      stopping ??= stop();
      return stopping;
    },
  };
}

class ClientConnection {
  readonly #socket: net.Socket;
  readonly #options: ControlServerOptions;
  readonly #abort = new AbortController();
  readonly #running = new Set<Promise<void>>();

  constructor(socket: net.Socket, options: ControlServerOptions) {
    this.#socket = socket;
    this.#options = options;
  }

  start(): void {
    const split = lineSplitter(MAX_REQUEST_LINE_BYTES, (line) => this.#receive(line));
    this.#socket.on('data', (bytes) => {
      try {
        split(bytes);
      } catch (error) {
        // After a malformed line nothing that follows can be trusted to be a request.
        this.#write({ id: null, error: errorBodyOf(error) });
        this.#socket.destroySoon();
      }
    });
    this.#socket.on('error', () => this.#socket.destroy());
    this.#socket.on('close', () => this.#abort.abort());
  }

  /** Aborts the requests, waits until their handlers returned and their answers went out. */
  async stop(): Promise<void> {
    this.#abort.abort();
    await Promise.all(this.#running);
    this.#socket.destroySoon();
  }

  #receive(line: string): void {
    const request = parseRequest(line);
    const running = this.#run(request).finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  async #run({ id, method, params }: Request): Promise<void> {
    try {
      const result = await this.#handle(id, method, params);
      this.#write({ id, result });
    } catch (error) {
      if (!(error instanceof DiskswarmError)) this.#options.onDefect?.(error, String(method).slice(0, 80));
      this.#write({ id, error: errorBodyOf(error) });
    }
  }

  async #handle(id: number, method: unknown, params: unknown): Promise<unknown> {
    if (this.#running.size >= MAX_REQUESTS_PER_CONNECTION) {
      throw new DiskswarmError('LIMIT_EXCEEDED', `at most ${MAX_REQUESTS_PER_CONNECTION} requests at once`, {
        data: { limit: MAX_REQUESTS_PER_CONNECTION },
      });
    }
    if (!isMethod(method)) {
      throw new DiskswarmError('INVALID_ARGUMENT', 'the agent has no such method; is it older than the command?', {
        data: { field: 'method' },
      });
    }
    return await this.#call(id, method, params);
  }

  #call<M extends ControlMethod>(id: number, method: M, params: unknown): Promise<ControlResult<M>> {
    const checked = parseParams(method, params);
    const emit = (event: ControlEvent<M>): void => {
      if (this.#socket.writableLength < MAX_UNREAD_BYTES) this.#write({ id, event });
    };
    return this.#options.handlers[method](checked, { signal: this.#abort.signal, emit });
  }

  #write(message: { id: number | null; [key: string]: unknown }): void {
    if (!this.#socket.writable) return;
    let line = JSON.stringify(message);
    if (Buffer.byteLength(line) > MAX_ANSWER_LINE_BYTES) {
      const error = new DiskswarmError('LIMIT_EXCEEDED', 'the answer is too long for the control socket');
      line = JSON.stringify({ id: message.id, error: errorBodyOf(error) });
    }
    this.#socket.write(`${line}\n`);
  }
}

interface Request {
  readonly id: number;
  readonly method: unknown;
  readonly params: unknown;
}

function parseRequest(line: string): Request {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    value = null;
  }
  const request = value as Partial<Request> | null;
  if (typeof request !== 'object' || request === null || !Number.isSafeInteger(request.id)) {
    throw new DiskswarmError('PROTOCOL_ERROR', 'a line that is no request {id, method, params}');
  }
  return { id: request.id as number, method: request.method, params: request.params ?? {} };
}
