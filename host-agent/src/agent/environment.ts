/** What every disk of a host shares: its parts and the world as it was injected. */
import type { ChunkSource, Clock, HostId, Random, Storage } from '@diskswarm/core';
import type { HostKeys } from '@diskswarm/identity';
import type { PackStore } from '@diskswarm/store';
import type { RequestToken, Swarm } from '@diskswarm/swarm';
import type { AttachmentOpener } from '../attachment/attachment.ts';
import type { MetaTable } from './meta-table.ts';
import type { FaultStatistics } from './fault-statistics.ts';
import type { DiskPeers, PeerLink } from './disk-peers.ts';

/** For people; never carries secrets. */
export interface Log {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

/** Fetches chunks for every disk of the host. */
export interface HostFetch extends ChunkSource {
  /** A disk's peers may be asked from now on; what comes is counted in `statistics`. */
  addDisk(peers: DiskPeers, statistics: FaultStatistics): void;
  removeDisk(disk: DiskPeers['disk']): void;
  /** A host came, or what it claims changed. */
  changed(link: PeerLink): void;
  closed(link: PeerLink): void;
  /** A request was answered; null when it was rejected. */
  answered(link: PeerLink, token: RequestToken, bytes: Uint8Array | null): void;
  /** True when nobody who is connected has, or might have, the piece. */
  unavailable(position: { disk: DiskPeers['disk']; root: string; piece: number }): boolean;
}

export interface Environment {
  readonly hostId: HostId;
  readonly keys: HostKeys;
  readonly storage: Storage;
  readonly meta: MetaTable;
  readonly store: PackStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly swarm: Swarm;
  readonly fetch: HostFetch;
  readonly opener: AttachmentOpener;
  readonly log: Log;
  /** Names this run of the machine. */
  readonly bootId: string;
  /** Absolute path of the NBD socket of a disk that names none itself. */
  socketFor(name: string): Promise<string>;
}
