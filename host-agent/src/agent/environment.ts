/** What every disk of a host shares: its parts and the world as it was injected. */
import type { Clock, DiskId, HostId, Random, Storage } from '@diskswarm/core';
import type { HostKeys } from '@diskswarm/identity';
import type { PackStore } from '@diskswarm/store';
import type { FetchEngine, Swarm } from '@diskswarm/swarm';
import type { AttachmentOpener } from '../attachment/attachment.ts';
import type { ManagedDisk } from './managed-disk.ts';
import type { MetaTable } from './meta-table.ts';

/** For people; never carries secrets. */
export interface Log {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  /** A defect of ours. */
  error(fields: object, message: string): void;
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
  readonly fetch: FetchEngine;
  readonly opener: AttachmentOpener;
  readonly log: Log;
  /** Names this run of the machine. */
  readonly bootId: string;
  /** Looks for the hosts of a disk at once: its roster changed. */
  announce(disk: DiskId): void;
  /** A message of a live migration came over a disk of the machine. */
  migrationMail(disk: ManagedDisk, from: HostId, message: Uint8Array): void;
  /** The disks on this host; they come and go. */
  readonly disks: ReadonlyMap<DiskId, ManagedDisk>;
  /** Absolute path of the NBD socket of a disk that names none itself. */
  socketFor(name: string): Promise<string>;
}
