/**
 * QEMU's migration connections, carried through the agents' authenticated session: never a bare TCP port.
 *
 * At the source QEMU connects to a private Unix socket of ours, once for each channel; each connection becomes a stream on the memory lane. At the
 * destination a stream becomes a connection to the socket on which the incoming QEMU listens. Both directions flow (post-copy asks backwards), and a
 * side that does not read is waited for.
 */
import { rm } from 'node:fs/promises';
import net from 'node:net';
import { DiskswarmError } from '@diskswarm/core';
import type { PeerStream, StreamHandlers } from '@diskswarm/swarm';
import { listenAt } from '../export/socket-path.ts';

/** Connections of one QEMU at once: the main channel, multifd's, and post-copy's. */
const MAX_MEMORY_CHANNELS = 32;

/** The source's end: accepts QEMU's connections. */
export class MemoryOutlet {
  readonly #path: string;
  readonly #open: (channel: number, handlers: StreamHandlers) => PeerStream;
  readonly #sockets = new Set<net.Socket>();
  #listening: Promise<net.Server> | null = null;
  #channels = 0;

  /** `open` opens the stream of a channel; it throws PEER_UNREACHABLE when the other host is not connected. */
  constructor(path: string, open: (channel: number, handlers: StreamHandlers) => PeerStream) {
    this.#path = path;
    this.#open = open;
  }

  /** Listens; resolves with the path for QEMU's `unix:` address. */
  async start(): Promise<string> {
    const server = net.createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => this.#accept(socket));
    this.#listening = listenAt(server, this.#path).then(() => server);
    await this.#listening;
    return this.#path;
  }

  /** Ends every channel and removes the socket, also while it is being made. Idempotent. */
  async stop(): Promise<void> {
    const listening = this.#listening;
    this.#listening = null;
    const server = await listening?.catch(() => null);
    for (const socket of this.#sockets) socket.destroy();
    if (server === null || server === undefined) return;
    await new Promise<void>((resolve) => server.close(() => resolve()));
    await rm(this.#path, { force: true });
  }

  #accept(socket: net.Socket): void {
    if (this.#channels >= MAX_MEMORY_CHANNELS) {
      socket.destroy();
      return;
    }
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
    const channel = this.#channels++;
    try {
      join(socket, (handlers) => this.#open(channel, handlers));
      socket.resume();
    } catch {
      socket.destroy(); // QEMU reports its migration failed, and why is known to whoever lost the peer.
    }
  }
}

/** The destination's end of one stream: a connection to the incoming QEMU. */
export function pipeToQemu(socketPath: string, stream: PeerStream): StreamHandlers {
  const socket = net.connect({ path: socketPath, allowHalfOpen: true });
  let handlers: StreamHandlers | null = null;
  join(socket, (given) => {
    handlers = given;
    return stream;
  });
  if (handlers === null) throw new Error('a stream without handlers');
  return handlers;
}

/** Couples a socket and a stream in both directions. */
function join(socket: net.Socket, open: (handlers: StreamHandlers) => PeerStream): void {
  let ended = 0;
  const oneEnded = (): void => {
    if (++ended === 2) socket.destroy();
  };
  const stream = open({
    onData: (bytes) => {
      // A copy: the view is used again before the socket has taken it.
      if (!socket.write(Uint8Array.from(bytes))) stream.pause();
    },
    onDrain: () => socket.resume(),
    onEnd: () => socket.end(oneEnded),
    onClose: (error) => {
      socket.destroy(error);
    },
  });
  socket.on('drain', () => stream.resume());
  socket.on('data', (bytes) => {
    if (!stream.write(bytes)) socket.pause();
  });
  socket.on('end', () => {
    stream.end();
    oneEnded();
  });
  socket.on('error', (error) => {
    stream.destroy(new DiskswarmError('ABORTED', `QEMU's migration connection broke: ${error.message}`));
  });
  socket.on('close', () => stream.destroy());
}
