/** What a session lends its channels: its lanes, and a way to end or renew what they are part of. */
import type { Address, Clock, DiskswarmError, HostId } from '@diskswarm/core';
import type { ChunkBuffers, LaneClass } from '@diskswarm/wire';
import type { DiskChannel } from './disk-channel.ts';
import type { Lane } from './lane.ts';
import type { LinkShare } from './link-share.ts';
import type { UploadQueue } from './upload-queue.ts';

export interface ChannelLink {
  /** The peer. */
  readonly host: HostId;
  /** Where it listens when that is known, else where the connection comes from. */
  readonly address: Address;
  /** This host. */
  readonly self: HostId;
  /** True at the side that dialled the session. */
  readonly initiator: boolean;
  readonly clock: Clock;
  readonly uploads: UploadQueue;
  /** How the link to the peer is shared. */
  readonly share: LinkShare;
  /** Arrays for arriving chunks of this size. */
  buffers(chunkSizeBytes: number): ChunkBuffers;
  lane(kind: LaneClass): Lane | undefined;
  /** Ends the session; misbehaviour by its code. */
  fail(error: DiskswarmError): void;
  /** Closes the channel and opens it anew. */
  renew(channel: DiskChannel): void;
}
