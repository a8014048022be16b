/**
 * The composition root: one agent on the real file system, network, clock and threads, behind its control socket.
 *
 * Holds the state folder's lock from before anything is read until everything is closed.
 */
import { mkdtemp, readFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { type Address, formatAddress, parseAddress } from '@diskswarm/core';
import { FolderStorage, systemClock, systemRandom } from '@diskswarm/core/system';
import { createTlsTransport, httpTracker } from '@diskswarm/swarm/transport';
import { workerOpener } from '../attachment/worker-attachment.ts';
import { serveControl } from '../control/server.ts';
import { loadHostKeys } from '../state/host-keys-file.ts';
import { CONTROL_SOCKET, SCRATCH_FOLDER, SOCKETS_FOLDER } from '../state/layout.ts';
import { MAX_SOCKET_PATH_BYTES } from '../state/socket-place.ts';
import { openStateFolder } from '../state/state-folder.ts';
import { Agent } from './agent.ts';
import { controlHandlers } from './control-handlers.ts';
import type { Log } from './environment.ts';

export interface RunOptions {
  readonly stateDir: string;
  readonly listen: Address;
  readonly trackers: readonly string[];
  readonly peers: readonly Address[];
  /** Bytes per second; null for no limit. */
  readonly uploadLimit: number | null;
  readonly downloadLimit: number | null;
  readonly log: Log;
}

export interface RunningAgent {
  /** Where peers connect. */
  readonly listen: Address;
  stop(): Promise<void>;
}

/** Starts an agent on a state folder. AGENT_ALREADY_RUNNING, STATE_VERSION, JOURNAL_CORRUPT, INVALID_ARGUMENT. */
export async function runAgent(options: RunOptions): Promise<RunningAgent> {
  const state = await openStateFolder(options.stateDir);
  try {
    const storage = new FolderStorage(state.dir);
    const agent = new Agent({
      storage,
      clock: systemClock,
      random: systemRandom,
      transport: createTlsTransport(),
      trackerClient: httpTracker,
      keys: await loadHostKeys(storage, systemRandom),
      opener: workerOpener(state.dir, (message) => options.log.warn({}, message)),
      log: options.log,
      bootId: (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim(),
      socketFor: (name) => nbdSocketPath(state.dir, name),
      listen: options.listen,
      addressesOf,
      trackers: options.trackers,
      peers: options.peers,
      uploadBytesPerSecond: options.uploadLimit,
      downloadBytesPerSecond: options.downloadLimit,
    });
    try {
      const listen = await agent.start();
      const control = await serveControl({ path: path.join(state.dir, CONTROL_SOCKET), handlers: controlHandlers(agent, path.join(state.dir, SCRATCH_FOLDER)) });
      return {
        listen,
        stop: async () => {
          await control.stop();
          await agent.stop();
          state.release();
        },
      };
    } catch (error) {
      await agent.stop();
      throw error;
    }
  } catch (error) {
    state.release();
    throw error;
  }
}

/** In the state folder, or, where that path is too long for a socket, in a private folder under the system's temporary one. */
async function nbdSocketPath(stateDir: string, name: string): Promise<string> {
  const place = path.join(stateDir, SOCKETS_FOLDER, `${name}.sock`);
  if (Buffer.byteLength(place) <= MAX_SOCKET_PATH_BYTES) return place;
  return path.join(await mkdtemp(path.join(os.tmpdir(), 'diskswarm-')), 'nbd.sock');
}

/** A wildcard address stands for every address of this machine. */
function addressesOf(listen: Address): Address[] {
  const { host, port } = parseAddress(listen);
  if (host !== '0.0.0.0' && host !== '::') return [listen];
  const addresses = Object.values(os.networkInterfaces()).flatMap((entries) => entries ?? []);
  return addresses.filter((entry) => !entry.internal && !entry.address.startsWith('fe80:')).map((entry) => formatAddress(entry.address, port));
}
