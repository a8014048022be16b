/**
 * What TLS and plain TCP have in common: listening, dialling, bounded unfinished handshakes, socket options.
 *
 * A handshake is what turns a raw socket into a Connection. At most `maxHandshakes` are under way; when another arrives,
 * the oldest is given up, so that a flood of silent connections cannot keep an honest one out for long.
 */
import { createServer, type Server, type Socket, type TcpNetConnectOpts } from 'node:net';
import {
  type Address,
  type Connection,
  DiskswarmError,
  formatAddress,
  type Listener,
  parseAddress,
  type Transport,
} from '@diskswarm/core';
import { ReadHook } from './read-hook.ts';

/** How one kind of connection comes about. */
export interface SocketKind {
  /** Opens a socket to a host; `reads` of the handshake is the hook in the options. */
  open(options: TcpNetConnectOpts): Socket;
  /** Turns an opened or accepted socket into a connection, or fails; gives up when the socket is destroyed. */
  handshake(socket: Socket, reads: ReadHook | undefined): Promise<Connection>;
}

/** Handshakes of accepted connections under way at once. */
export const MAX_HANDSHAKES = 64;
/** How long one may take, milliseconds. */
const HANDSHAKE_TIMEOUT_MS = 10_000;
/** Idle time after which the kernel asks whether the other end lives, milliseconds. */
const KEEP_ALIVE_MS = 30_000;

export class SocketTransport implements Transport {
  readonly #kind: SocketKind;

  constructor(kind: SocketKind) {
    this.#kind = kind;
  }

  async listen(address: Address, onConnection: (connection: Connection) => void): Promise<Listener> {
    const { host, port } = parseAddress(address);
    const unfinished = new Set<Socket>();
    const server = createServer({ noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS }, (socket) => {
      const oldest = unfinished.values().next().value;
      if (unfinished.size >= MAX_HANDSHAKES && oldest !== undefined) oldest.destroy();
      unfinished.add(socket);
      socket.on('close', () => unfinished.delete(socket));
      this.#within(socket, HANDSHAKE_TIMEOUT_MS, undefined).then(
        (connection) => {
          unfinished.delete(socket);
          onConnection(connection);
        },
        () => socket.destroy(),
      );
    });
    await listening(server, host, port);
    const bound = server.address();
    const boundPort = typeof bound === 'object' && bound !== null ? bound.port : port;
    return {
      address: formatAddress(host, boundPort),
      close: () => {
        for (const socket of unfinished) socket.destroy();
        return new Promise((resolve) => {
          if (!server.listening) resolve();
          else {
            // Resolves at once: the server's own callback waits for connections that live on.
            server.close();
            resolve();
          }
        });
      },
    };
  }

  async dial(address: Address, options: { signal?: AbortSignal; timeoutMs: number }): Promise<Connection> {
    const { host, port } = parseAddress(address);
    const { signal, timeoutMs } = options;
    if (signal?.aborted) throw new DiskswarmError('ABORTED', 'the dial was given up');
    const reads = new ReadHook();
    const socketOptions = { noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS };
    const socket = this.#kind.open({ host, port, ...socketOptions, onread: reads.onread });
    const abort = (): void => {
      socket.destroy();
    };
    signal?.addEventListener('abort', abort, { once: true });
    try {
      return await this.#within(socket, timeoutMs, reads);
    } catch (error) {
      socket.destroy();
      if (signal?.aborted) throw new DiskswarmError('ABORTED', 'the dial was given up', { cause: error });
      throw new DiskswarmError('PEER_UNREACHABLE', `no connection to ${address}`, { data: { address }, cause: error });
    } finally {
      signal?.removeEventListener('abort', abort);
    }
  }

  /** The handshake on a socket that may still be connecting; rejects when it closes or time is up. */
  #within(socket: Socket, timeoutMs: number, reads: ReadHook | undefined): Promise<Connection> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => fail(new Error('the handshake took too long')), timeoutMs);
      const fail = (error: Error): void => {
        clearTimeout(timer);
        socket.destroy();
        reject(error);
      };
      let cause: Error | undefined;
      socket.on('error', (error) => {
        cause = error;
      });
      const onClose = (): void => fail(cause ?? new Error('the connection closed during the handshake'));
      socket.once('close', onClose);
      const begin = (): void => {
        this.#kind.handshake(socket, reads).then(
          (connection) => {
            clearTimeout(timer);
            socket.off('close', onClose);
            resolve(connection);
          },
          (error: Error) => fail(error),
        );
      };
      if (socket.connecting) socket.once('connect', begin);
      else begin();
    });
  }
}

function listening(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) =>
      reject(
        new DiskswarmError('ADDRESS_UNAVAILABLE', `cannot listen on ${formatAddress(host, port)}: ${error.message}`, {
          data: { address: formatAddress(host, port) },
          cause: error,
        }),
      ),
    );
    server.listen(port, host, () => {
      server.removeAllListeners('error');
      // A failed accept (no descriptors left) costs that connection, not the agent.
      server.on('error', () => undefined);
      resolve();
    });
  });
}
