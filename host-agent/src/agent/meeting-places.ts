/**
 * Where this host looks for the others of each disk: at trackers, on the LAN, in the DHT, at addresses that were named, and by way
 * of hosts that are connected.
 *
 * Whatever is found is a candidate address of the swarm, which dials it and lets it prove itself. A disk's trackers are the
 * agent's and those of its invitation. Which hosts then share what is left to the swarm and the disks.
 */
import { type Address, type DiskId, type DiskswarmError, parseAddress } from '@diskswarm/core';
import {
  type AddressSource,
  DhtDiscovery,
  DiskAnnouncer,
  LanDiscovery,
  type Swarm,
  type TrackerStatus,
} from '@diskswarm/swarm';
import type { AgentOptions } from './agent-options.ts';
import { diskKey } from './disk-records.ts';
import type { ManagedDisk } from './managed-disk.ts';
import type { MetaTable } from './meta-table.ts';
import { MissingHosts } from './missing-hosts.ts';

type Options = Pick<
  AgentOptions,
  'clock' | 'random' | 'trackerClient' | 'log' | 'trackers' | 'peers' | 'segmentOf' | 'dht' | 'relay' | 'keys'
>;

/** Trackers and addresses that a disk's invitation named. */
interface Places {
  readonly trackers: readonly string[];
  readonly addresses: readonly Address[];
}

export class MeetingPlaces {
  readonly #options: Options;
  readonly #swarm: Swarm;
  readonly #meta: MetaTable;
  readonly #announcers = new Map<DiskId, DiskAnnouncer>();
  readonly #disks = new Map<DiskId, ManagedDisk>();
  readonly #missing: MissingHosts;
  #listenPort = 0;
  readonly #dht: DhtDiscovery | null;
  #lan: LanDiscovery | null = null;

  constructor(options: Options, swarm: Swarm, meta: MetaTable) {
    this.#options = options;
    this.#swarm = swarm;
    this.#meta = meta;
    const { dht = null, clock, random, log, relay, keys } = options;
    this.#missing = new MissingHosts({
      clock,
      self: keys.hostId,
      disks: () => [...this.#disks.values()].map(({ disk, records }) => ({ disk, roster: records.roster })),
      connected: () => swarm.peers().map(({ host }) => host),
      onMissing: (disk, address) => this.#add(disk, address, 'relay'),
    });
    relay?.attach({
      peers: () => swarm.peers(),
      openStream: (host, label, handlers) => swarm.openStream(host, label, handlers),
      admitsBoth: (one, other) =>
        [...this.#disks.values()].some(({ peers }) => peers.admits(one) && peers.admits(other)),
    });
    const onPeers = (disk: DiskId, addresses: readonly Address[]): void => {
      for (const address of addresses) this.#add(disk, address, 'dht');
    };
    const onTrouble = (error: DiskswarmError | null): void =>
      error === null ? log.info({}, 'the DHT answers') : log.warn({ code: error.code }, error.message);
    this.#dht = dht === null ? null : new DhtDiscovery({ dht, clock, random, onPeers, onTrouble });
  }

  /** Begins; `listen` is where this host accepts connections. ADDRESS_UNAVAILABLE. */
  async start(listen: Address): Promise<void> {
    const { clock, random, segmentOf, relay = null } = this.#options;
    this.#listenPort = parseAddress(listen).port;
    if (relay !== null) this.#missing.start();
    if (segmentOf === null) return;
    this.#lan = new LanDiscovery({
      segment: segmentOf(listen),
      clock,
      random,
      listenPort: this.#listenPort,
      onPeer: (disk, address) => this.#add(disk, address, 'lan'),
    });
    await this.#lan.start();
  }

  /** Says goodbye everywhere and ends. Idempotent. */
  async stop(): Promise<void> {
    this.#missing.stop();
    await Promise.all([
      this.#lan?.stop(),
      this.#dht?.stop(),
      ...[...this.#announcers.values()].map((announcer) => announcer.stop()),
    ]);
  }

  /** Looks for hosts of the disk from now on. */
  meet(disk: ManagedDisk): void {
    const { clock, random, trackerClient, trackers, peers } = this.#options;
    this.#disks.set(disk.disk, disk);
    const places = placesOf(this.#meta.get(diskKey(disk.disk, 'places')));
    for (const address of [...peers, ...places.addresses]) this.#add(disk.disk, address, 'peer');
    const announcer = new DiskAnnouncer({
      membership: disk.peers,
      trackers: [...new Set([...trackers, ...places.trackers])],
      client: trackerClient,
      clock,
      random,
      listenPort: this.#listenPort,
      leftBytes: () => disk.leftBytes(),
      onPeers: (addresses) => {
        for (const address of addresses) this.#add(disk.disk, address, 'tracker');
      },
      blob: (secret) => disk.records.heard.blob(secret, random),
      onBlob: (blob, secret) => void this.#hear(disk, blob, secret),
    });
    this.#announcers.set(disk.disk, announcer);
    announcer.start();
    this.#lan?.addDisk(disk.peers);
    this.#dht?.addDisk(disk.peers);
  }

  /** Looks for them no more. */
  async leave(disk: DiskId): Promise<void> {
    this.#disks.delete(disk);
    this.#lan?.removeDisk(disk);
    await Promise.all([this.#announcers.get(disk)?.stop(), this.#dht?.removeDisk(disk)]);
    this.#announcers.delete(disk);
  }

  /** Looks at once: the secret under which they meet has changed. */
  announceNow(disk: DiskId): void {
    this.#announcers.get(disk)?.announceNow();
    this.#lan?.callNow();
    this.#dht?.askNow(disk);
  }

  /** How the disk's trackers answer. */
  trackersOf(disk: DiskId): readonly TrackerStatus[] {
    return this.#announcers.get(disk)?.status() ?? [];
  }

  async #hear(disk: ManagedDisk, blob: Uint8Array, secret: Uint8Array): Promise<void> {
    const { log } = this.#options;
    try {
      if (!(await disk.records.heard.hear(blob, secret))) return;
      const { epoch, sequence, host } = disk.records.heard.newer!;
      const here = disk.records.head?.sequence ?? 0;
      log.warn(
        { disk: disk.disk, host, epoch, sequence },
        `disk "${disk.name}" has a generation ${sequence} that is not here (newest here: ${here}): start a host that has it`,
      );
      disk.changed.fire();
    } catch (error) {
      log.warn({ disk: disk.disk }, `a tracker's news of disk "${disk.name}" was refused: ${String(error)}`);
    }
  }

  #add(disk: DiskId, address: Address, source: AddressSource): void {
    try {
      this.#swarm.addPeerAddress(disk, address, source);
    } catch (error) {
      this.#options.log.warn({ disk, error: String(error) }, `"${address}" is no address of a peer`);
    }
  }
}

function placesOf(bytes: Uint8Array | null): Places {
  if (bytes === null) return { trackers: [], addresses: [] };
  return JSON.parse(Buffer.from(bytes).toString('utf8')) as Places;
}
