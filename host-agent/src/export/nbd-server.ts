/**
 * The NBD server of one thread: a Unix socket, its clients, and the exports they may choose.
 *
 * Runs wherever the backings live (an export's worker); leaves the protocol to NbdSession and the disk to its Backing. Invariants:
 * a fenced export never serves again until an export of that name is added anew, and no connection outlives the export it chose.
 */

import fs from 'node:fs/promises';
import net from 'node:net';
import { type Clock, DiskswarmError } from '@diskswarm/core';
import type { ExportDirectory, ExportHandle } from '@diskswarm/nbd';
import { Client } from './client.ts';
import { checkSocketPath, listenAt } from './socket-path.ts';

/** Clients in transmission on one export. */
export const MAX_CLIENTS_PER_EXPORT = 16;
/** Clients that have not chosen an export. */
const MAX_HANDSHAKES = 64;
/** Exports of one server. */
const MAX_EXPORTS = 1024;

interface NbdServerOptions {
  /** At most 107 bytes, its folder at most 97. */
  readonly socketPath: string;
  /** Served from the first connection on. */
  readonly exports: readonly ExportHandle[];
  readonly clock: Clock;
  /** Told of errors of a backing that are no DiskswarmError; the client saw EIO. */
  onDefect(error: unknown): void;
}

/** A client in transmission. */
interface ExportConnection {
  readonly exportName: string;
  /** The export was advertised as writable to it. */
  readonly writable: boolean;
}

export interface NbdServer {
  readonly socketPath: string;
  /** Adds an export; replaces a fenced one of that name. Throws NAME_EXISTS and LIMIT_EXCEEDED. */
  add(handle: ExportHandle): void;
  /** Takes an export away and drops its clients; resolves when nothing of theirs is in flight. */
  remove(name: string): Promise<void>;
  /** Drops the export's clients at once and refuses new ones; resolves when nothing is in flight. */
  fence(name: string): Promise<void>;
  connections(): readonly ExportConnection[];
  /** Stops listening, drops all clients, removes the socket file; resolves when nothing is in flight. Idempotent. */
  stop(): Promise<void>;
}

/** Listens; resolves when clients can connect. Errors: INVALID_ARGUMENT for the path, NAME_EXISTS. */
export async function startNbdServer(options: NbdServerOptions): Promise<NbdServer> {
  checkSocketPath(options.socketPath);
  const server = new Server(options);
  await server.start();
  return server;
}

class Server implements NbdServer {
  readonly socketPath: string;
  readonly #options: NbdServerOptions;
  readonly #server: net.Server;
  readonly #exports = new Map<string, ExportHandle>();
  readonly #fenced = new Set<ExportHandle>();
  readonly #clients = new Set<Client>();
  readonly #directory: ExportDirectory;
  #inode: number | null = null;
  #stopping: Promise<void> | null = null;

  constructor(options: NbdServerOptions) {
    this.socketPath = options.socketPath;
    this.#options = options;
    this.#server = net.createServer({ pauseOnConnect: true, allowHalfOpen: true }, (socket) => this.#accept(socket));
    this.#directory = {
      find: (name) => this.#find(name),
      list: () => [...this.#exports.values()],
      admit: (handle) => this.#admit(handle),
    };
    for (const handle of options.exports) this.add(handle);
  }

  async start(): Promise<void> {
    await listenAt(this.#server, this.socketPath);
    this.#inode = (await fs.lstat(this.socketPath)).ino;
    // After listening an error concerns one connection that could not be accepted, for want of descriptors.
    this.#server.on('error', () => {});
  }

  add(handle: ExportHandle): void {
    const present = this.#exports.get(handle.name);
    if (present !== undefined && !this.#fenced.has(present)) {
      throw new DiskswarmError('NAME_EXISTS', `an export named "${handle.name}" is served already`, {
        data: { name: handle.name },
      });
    }
    if (present === undefined && this.#exports.size >= MAX_EXPORTS) {
      throw new DiskswarmError('LIMIT_EXCEEDED', `at most ${MAX_EXPORTS} exports per server`, {
        data: { maxExports: MAX_EXPORTS },
      });
    }
    if (present !== undefined) this.#fenced.delete(present);
    this.#exports.set(handle.name, handle);
  }

  async remove(name: string): Promise<void> {
    const handle = this.#exports.get(name);
    if (handle === undefined) return;
    this.#exports.delete(name);
    this.#fenced.delete(handle);
    await this.#drop(handle);
  }

  async fence(name: string): Promise<void> {
    const handle = this.#exports.get(name);
    if (handle === undefined) return;
    this.#fenced.add(handle);
    await this.#drop(handle);
  }

  connections(): readonly ExportConnection[] {
    const connections: ExportConnection[] = [];
    for (const { handle } of this.#clients) {
      if (handle !== null) connections.push({ exportName: handle.name, writable: !handle.backing.readOnly });
    }
    return connections;
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    await Promise.all([...this.#clients].map((client) => client.close()));
    await closed;
    // The file may be another server's by now.
    const stat = await fs.lstat(this.socketPath).catch(() => null);
    if (stat !== null && stat.ino === this.#inode) await fs.rm(this.socketPath, { force: true });
  }

  #accept(accepted: net.Socket): void {
    let handshakes = 0;
    for (const client of this.#clients) if (client.handle === null) handshakes += 1;
    if (handshakes >= MAX_HANDSHAKES || this.#stopping !== null) {
      accepted.destroy();
      return;
    }
    const client = new Client({
      accepted,
      directory: this.#directory,
      clock: this.#options.clock,
      onDefect: (error) => this.#options.onDefect(error),
      onGone: () => this.#clients.delete(client),
    });
    this.#clients.add(client);
  }

  #find(name: string): ExportHandle | null {
    if (name === '' && this.#exports.size === 1) return [...this.#exports.values()][0]!;
    return this.#exports.get(name) ?? null;
  }

  #admit(handle: ExportHandle): string | null {
    if (this.#fenced.has(handle)) return 'the export is fenced: this host may not serve the disk any more';
    const clients = this.#clientsOf(handle).length;
    return clients < MAX_CLIENTS_PER_EXPORT ? null : `the export has ${clients} clients, which is the most it takes`;
  }

  async #drop(handle: ExportHandle): Promise<void> {
    await Promise.all(this.#clientsOf(handle).map((client) => client.close()));
  }

  #clientsOf(handle: ExportHandle): Client[] {
    return [...this.#clients].filter((client) => client.handle === handle);
  }
}
