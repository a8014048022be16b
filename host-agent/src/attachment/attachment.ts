/**
 * One export of a disk on this host, as the agent drives it: what it needs to open, and what it can be told.
 *
 * Two implementations share one body (local-attachment.ts): in a thread of its own behind the NBD server
 * (worker-attachment.ts), and in the caller's thread, for the simulation. Only faults and bookkeeping cross this line.
 */
import type { ChunkId, DiskId, GenerationId } from '@diskswarm/core';
import type { BaseResolver, FrozenLayerName } from '@diskswarm/disk';
import type { RequestCounts } from '@diskswarm/nbd';

/**
 * `held` is a writable one that refuses writes from its first moment on: a hand-over is in doubt. `incoming` is shown as writable, and refuses writes
 * until `activate`: a guest is on its way here.
 */
type AttachmentMode = 'read-only' | 'incoming' | 'writable' | 'held';
export type AttachmentState = AttachmentMode | 'fenced';

/** The sealed generation that lies under the overlay. */
export interface BaseGeneration {
  readonly generation: GenerationId;
  readonly root: ChunkId;
}

export interface AttachmentSpec {
  readonly disk: DiskId;
  readonly exportName: string;
  readonly sizeBytes: number;
  readonly chunkSizeBytes: number;
  readonly base: BaseGeneration;
  readonly epoch: number;
  readonly mode: AttachmentMode;
  /** Folder of the overlay's layers in the host's storage. */
  readonly overlayFolder: string;
  /** Absolute path of the Unix socket. */
  readonly socketPath: string;
  /** Names the run of the machine; writes of another run count only if they were flushed. */
  readonly bootId: string;
}

/** What an attachment asks of, and tells, the agent. */
export interface AttachmentOwner extends BaseResolver {
  /** The overlay failed (a write or sync to the state folder): the export is fenced and must be opened again. */
  failed(error: Error): void;
}

export interface AttachmentStatus {
  readonly state: AttachmentState;
  readonly clients: number;
  /** Clients that may write: a hand-over waits until there are none. */
  readonly writableClients: number;
  readonly dirtyBytes: number;
  /** Since it was opened: what guests wrote, discarded and zeroed. */
  readonly writes: number;
  readonly writtenBytes: number;
  /** The same over the last minute. */
  readonly writeBytesPerSecond: number;
  /** What NBD clients asked for since it was opened. */
  readonly requests: RequestCounts;
}

/** What a migration looks at to see whether it keeps up. */
export interface WriteLoad {
  /** Writes, discards and zeroings so far, a large write counting once for each 64 KiB. */
  readonly writes: number;
  readonly dirtyBytes: number;
}

export interface Attachment {
  readonly spec: AttachmentSpec;
  status(): Promise<AttachmentStatus>;
  /** Syncs the overlay and begins a new top layer; the layers below it, which come back bottom first, never change again. */
  freeze(): Promise<readonly FrozenLayerName[]>;
  /** Puts a durable generation under the overlay that holds the frozen layers through `layer`, and drops these layers. */
  rebase(base: BaseGeneration, layer: number, changedLeaves: readonly number[]): Promise<void>;
  /** Refuses new writes, or has them `wait` for what is decided, and resolves when those in flight are done and durable. */
  hold(options: { readonly wait: boolean }): Promise<void>;
  /**
   * Answers each write only `delayUs` after the one before, until told otherwise; 0 ends it at once. It ends by itself with `hold`, and where it is not set
   * again within LEASE_MS (write-pace.ts). Tells what was written so far.
   */
  slowWrites(delayUs: number): Promise<WriteLoad>;
  /** The acceptance is durable: an incoming attachment shows `base` and takes writes in the epoch of its spec from now on. */
  activate(base: BaseGeneration): Promise<void>;
  /** The store failed: chunks that were verified before are verified again at every read from now on. */
  distrust(): void;
  /** Back to writable after `hold`, when a hand-over was given up before its relinquish. */
  resume(): Promise<void>;
  /** Final: every client is disconnected, and no later epoch revives this export. */
  fence(): Promise<void>;
  /** Disconnects clients, closes the overlay, removes the socket. Idempotent. */
  close(): Promise<void>;
}

/** Opens attachments: threads in the agent, in place in the simulation. */
export interface AttachmentOpener {
  open(spec: AttachmentSpec, owner: AttachmentOwner): Promise<Attachment>;
}
