/** What sessions ask of their swarm: limits that all share, the disks of this host, and to be told of their ends. */
import type { Clock, DiskswarmError, HostId } from '@diskswarm/core';
import type { ChunkBuffers } from '@diskswarm/wire';
import type { DownloadLimiter } from './download-limiter.ts';
import type { DiskMembership } from './ports.ts';
import type { Session } from './session.ts';
import type { StreamAcceptor } from './streams.ts';
import type { TokenBucket } from './token-bucket.ts';
import type { UploadQueue } from './upload-queue.ts';

/** What the swarm lends its sessions. */
export interface SessionHost {
  readonly clock: Clock;
  readonly self: HostId;
  readonly uploads: UploadQueue;
  readonly downloads: DownloadLimiter;
  readonly uploadLimit: TokenBucket;
  readonly acceptStream: StreamAcceptor;
  buffers(chunkSizeBytes: number): ChunkBuffers;
  memberships(): Iterable<DiskMembership>;
  /** The session works: the peer has spoken behind its hello. Once. */
  onUp(session: Session): void;
  /** The last call. */
  onClosed(session: Session, error: DiskswarmError | undefined): void;
}
