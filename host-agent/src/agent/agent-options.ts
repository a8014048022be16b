/** What an agent is composed of, and what it makes a disk of. The real parts are put in by run.ts, simulated ones by tests. */
import type { Address, Clock, HostId, Random, Storage, Transport } from '@diskswarm/core';
import type { HostKeys } from '@diskswarm/identity';
import type { Dht, PeerStream, RelayView, Segment, StreamHandlers, TrackerClient } from '@diskswarm/swarm';
import type { AttachmentOpener } from '../attachment/attachment.ts';
import type { InitialRecords } from './disk-records.ts';
import type { Environment, Log } from './environment.ts';
import type { ImportSource } from './import-disk.ts';
import type { ManagedDisk } from './managed-disk.ts';

export interface AgentOptions {
  readonly storage: Storage;
  readonly clock: Clock;
  readonly random: Random;
  readonly transport: Transport;
  readonly trackerClient: TrackerClient;
  readonly keys: HostKeys;
  readonly opener: AttachmentOpener;
  readonly log: Log;
  readonly bootId: string;
  readonly socketFor: Environment['socketFor'];
  readonly listen: Address;
  /** Addresses under which other hosts may reach one that listens at `listen`: what an invitation names. */
  readonly addressesOf: (listen: Address) => readonly Address[];
  readonly trackers: readonly string[];
  /** Addresses to try for every disk. */
  readonly peers: readonly Address[];
  /** The network segments of a host that listens at `listen`, to find others there; null not to look. */
  readonly segmentOf: ((listen: Address) => Segment) | null;
  /** The DHT that the transport dials in, to be found there. @default null: stay out */
  readonly dht?: Dht | null;
  /** The way through other hosts, and for them through this one. @default null: none */
  readonly relay?: RelayPort | null;
  /** Chunk bytes per second; null for no limit. */
  readonly uploadBytesPerSecond: number | null;
  readonly downloadBytesPerSecond: number | null;
}

/** What goes through hosts that others are connected to; its addresses are the transport's to dial. */
interface RelayPort {
  /** Lends it the sessions; before, it refuses everything. */
  attach(view: RelayView): void;
  /** Whether a stream with this label is its to judge. */
  owns(label: string): boolean;
  /** Null refuses the stream. */
  onStream(stream: PeerStream): StreamHandlers | null;
}

/** A disk to make from an image. */
export interface NewDisk {
  readonly name: string;
  readonly sizeBytes: number;
  readonly source: ImportSource;
  readonly records: InitialRecords;
}

/** Takes what other hosts say about machines that move while they run. */
export interface MigrationPort {
  /** The disks are known, and no other host was heard yet. */
  beforePeers(): void;
  onMessage(disk: ManagedDisk, from: HostId, message: Uint8Array): void;
  /** Null refuses the stream. */
  onStream(stream: PeerStream): StreamHandlers | null;
}
