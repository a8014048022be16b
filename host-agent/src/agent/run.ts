/**
 * The composition root: one agent on the real file system, network, clock and threads, behind its control socket.
 *
 * Holds the state folder's lock from before anything is read until everything is closed.
 */
import { lstat, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { type Address, formatAddress, parseAddress, type Transport } from '@diskswarm/core';
import { FolderStorage, readBootId, systemClock, systemRandom } from '@diskswarm/core/system';
import type { DhtNode } from '@diskswarm/swarm/dht';
import {
  createTlsTransport,
  httpTracker,
  MulticastSegment,
  RelayTransport,
  RoutedTransport,
} from '@diskswarm/swarm/transport';
import { workerOpener } from '../attachment/worker-attachment.ts';
import { serveControl } from '../control/server.ts';
import { Dashboard } from '../dashboard/dashboard.ts';
import { isSocketPath } from '../export/socket-path.ts';
import { agentMetrics } from '../metrics/agent-metrics.ts';
import { serveMetrics } from '../metrics/metrics-server.ts';
import { Migrations } from '../migration/migrations.ts';
import { loadHostKeys } from '../state/host-keys-file.ts';
import { CONTROL_SOCKET, MACHINES_FOLDER, SCRATCH_FOLDER, SOCKETS_FOLDER, TORRENTS_FOLDER } from '../state/layout.ts';
import { openStateFolder } from '../state/state-folder.ts';
import { torrentHandlers } from '../torrent/torrent-handlers.ts';
import { TorrentSeeds } from '../torrent/torrent-seeds.ts';
import { systemMachinery } from '../vm/machinery.ts';
import { vmHandlers } from '../vm/vm-handlers.ts';
import { VmManager } from '../vm/vm-manager.ts';
import { Agent } from './agent.ts';
import { controlHandlers } from './control-handlers.ts';
import type { Log } from './environment.ts';

export interface RunOptions {
  readonly stateDir: string;
  readonly listen: Address;
  readonly trackers: readonly string[];
  readonly peers: readonly Address[];
  /** Whether to look for hosts on the LAN. @default false */
  readonly lan?: boolean;
  /** Nodes through which to enter a DHT, [] for those of the public one; left out to stay out of it. */
  readonly dht?: readonly Address[];
  /** Bytes per second; null for no limit. */
  readonly uploadLimit: number | null;
  readonly downloadLimit: number | null;
  /** Where Prometheus may read metrics; left out to tell nobody. */
  readonly metrics?: Address;
  /** How hosts reach each other; benchmarks put another one in. @default TLS on TCP */
  readonly transport?: Transport;
  readonly log: Log;
}

export interface RunningAgent {
  /** Where peers connect. */
  readonly listen: Address;
  /** Where metrics are read; null where they are not served. */
  readonly metrics: Address | null;
  stop(): Promise<void>;
}

/** Starts an agent on a state folder. AGENT_ALREADY_RUNNING, STATE_VERSION, JOURNAL_CORRUPT, INVALID_ARGUMENT. */
export async function runAgent(options: RunOptions): Promise<RunningAgent> {
  const state = await openStateFolder(options.stateDir);
  /** What others can ask of this agent. */
  const ends: (() => Promise<void>)[] = [];
  try {
    const storage = new FolderStorage(state.dir);
    const direct = options.transport ?? createTlsTransport();
    const dht = options.dht === undefined ? null : await dhtNodeOf(options.dht, options.listen);
    const relay = new RelayTransport();
    const agent = new Agent({
      storage,
      clock: systemClock,
      random: systemRandom,
      transport: dht === null ? direct : new RoutedTransport(direct, dht, relay),
      trackerClient: httpTracker,
      keys: await loadHostKeys(storage, systemRandom),
      opener: workerOpener(state.dir, (message) => options.log.error({}, message)),
      log: options.log,
      bootId: await readBootId(),
      socketFor: (name) => nbdSocketPath(state.dir, name),
      listen: options.listen,
      addressesOf,
      trackers: options.trackers,
      peers: options.peers,
      segmentOf: options.lan === true ? (listen) => new MulticastSegment(listen) : null,
      dht,
      relay: dht === null ? null : relay,
      uploadBytesPerSecond: options.uploadLimit,
      downloadBytesPerSecond: options.downloadLimit,
    });
    try {
      const vms = new VmManager(agent, path.join(state.dir, MACHINES_FOLDER), systemMachinery);
      const migrations = new Migrations(agent, vms, state.dir);
      agent.migrations = migrations;
      const listen = await agent.start();
      await migrations.start();
      const { log } = options;
      const seeds = new TorrentSeeds(agent, path.join(state.dir, TORRENTS_FOLDER), options.uploadLimit !== null);
      ends.push(() => seeds.stop());
      // Hashing what a crash left unhashed takes its time; guests and hosts are served meanwhile.
      void seeds.start().catch((error: unknown) => log.error({ err: error }, 'a defect in torrents'));
      const disks = controlHandlers(agent, path.join(state.dir, SCRATCH_FOLDER));
      const handlers = {
        ...disks,
        ...torrentHandlers(agent, seeds, disks['disk.rm']),
        ...vmHandlers(agent, vms, migrations),
      };
      const dashboard = new Dashboard(agent, handlers);
      ends.push(() => dashboard.stop());
      const control = await serveControl({
        path: path.join(state.dir, CONTROL_SOCKET),
        handlers: { ...handlers, ...dashboard.handlers },
        onDefect: (error, method) => log.error({ method, err: error }, `a defect in ${method}`),
      });
      ends.push(() => control.stop());
      const source = { agent, moves: migrations.counts, machineStates: () => vms.list().map((vm) => vm.record.state) };
      const metrics =
        options.metrics === undefined
          ? null
          : await serveMetrics({
              listen: options.metrics,
              page: () => agentMetrics(source),
              onDefect: (error) => log.error({ err: error }, 'a defect in the metrics'),
            });
      if (metrics !== null) ends.push(() => metrics.stop());
      return {
        listen,
        metrics: metrics?.listen ?? null,
        stop: async () => {
          try {
            await Promise.all(ends.map((end) => end()));
            migrations.stop();
            vms.stop();
            await agent.stop();
          } finally {
            state.release();
          }
        },
      };
    } catch (error) {
      await Promise.all(ends.map((end) => end()));
      await agent.stop();
      throw error;
    }
  } catch (error) {
    state.release();
    throw error;
  }
}

/**
 * In the state folder, or, where that path is too long for a socket, in a private folder under the system's temporary one. A pointer file keeps that
 * folder's name, so that a socket has the same path after a restart.
 */
async function nbdSocketPath(stateDir: string, name: string): Promise<string> {
  const place = path.join(stateDir, SOCKETS_FOLDER, `${name}.sock`);
  if (isSocketPath(place)) return place;
  const pointer = path.join(stateDir, SOCKETS_FOLDER, 'elsewhere');
  const known = await readFile(pointer, 'utf8').catch(() => '');
  if (known !== '' && (await isPrivateFolder(known))) return path.join(known, `${name}.sock`);
  const folder = await mkdtemp(path.join(Buffer.byteLength(os.tmpdir()) > 16 ? '/tmp' : os.tmpdir(), 'diskswarm-'));
  await writeFile(pointer, folder, { mode: 0o600 });
  return path.join(folder, `${name}.sock`);
}

/** A folder of this user that nobody else can enter. */
async function isPrivateFolder(folder: string): Promise<boolean> {
  const stat = await lstat(folder).catch(() => null);
  return stat?.isDirectory() === true && stat.uid === process.getuid?.() && (stat.mode & 0o077) === 0;
}

/** A DHT node that uses the addresses that the agent listens on. Its library is loaded by agents that take part alone. */
async function dhtNodeOf(bootstrap: readonly Address[], listen: Address): Promise<DhtNode> {
  const { DhtNode } = await import('@diskswarm/swarm/dht');
  const { host } = parseAddress(listen);
  const own = host === '0.0.0.0' || host === '::' ? null : host;
  return new DhtNode(bootstrap.length === 0 ? { host: own } : { host: own, bootstrap });
}

/** A wildcard address stands for every address of this machine. */
function addressesOf(listen: Address): Address[] {
  const { host, port } = parseAddress(listen);
  if (host !== '0.0.0.0' && host !== '::') return [listen];
  const addresses = Object.values(os.networkInterfaces()).flatMap((entries) => entries ?? []);
  return addresses
    .filter((entry) => !entry.internal && !entry.address.startsWith('fe80:'))
    .map((entry) => formatAddress(entry.address, port));
}
