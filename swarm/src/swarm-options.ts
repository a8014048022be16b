/** What a swarm is made of, and how it shows its peers. */
import type { Address, Clock, DiskswarmError, HostId, Random, Transport } from '@diskswarm/core';
import type { HostKeys } from '@diskswarm/identity';
import type { LaneClass } from '@diskswarm/wire';
import type { DiskChannel } from './disk-channel.ts';
import type { StreamAcceptor } from './streams.ts';
import type { TokenDoor } from './token-door.ts';

export interface SwarmOptions {
  readonly transport: Transport;
  readonly clock: Clock;
  readonly random: Random;
  readonly keys: HostKeys;
  /** Chunk bytes per second to all peers together; null for no limit. @default null */
  readonly uploadBytesPerSecond?: number | null;
  /** The same from all peers. @default null */
  readonly downloadBytesPerSecond?: number | null;
  /** Decides about byte streams that other hosts open here. @default all are refused */
  readonly onStream?: StreamAcceptor;
  /** Join tokens that are redeemed here. @default none */
  readonly doors?: () => readonly TokenDoor[];
  /** Told why hosts are sent away; for a log. */
  readonly onMisbehaviour?: (host: HostId, error: DiskswarmError) => void;
}

/** A connected host as it is shown. */
export interface PeerInfo {
  readonly host: HostId;
  readonly address: Address;
  /** True when this host dialled. */
  readonly initiator: boolean;
  readonly lanes: readonly LaneClass[];
  readonly rttUs: number | null;
  readonly channels: readonly DiskChannel[];
}
