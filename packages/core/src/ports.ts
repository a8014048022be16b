/**
 * The ports between layers: what a disk needs from a store and from the swarm, without knowing either.
 *
 * Ownership of bytes: an array returned by a port belongs to the caller; an array passed in may not change until the call settles.
 */
import type { ChunkId, DiskId, PieceIndex } from './ids.ts';

/** Where a chunk's bytes lie: plain bytes in a pack file of the store. A location stays readable while its file is open. */
export interface ChunkLocation {
  /** Path of the pack in the state folder's storage. */
  readonly path: string;
  readonly positionBytes: number;
  readonly lengthBytes: number;
}

/**
 * Chunks by content. A chunk belongs to the disks it arrived through or was written in ("admitted to"):
 * only those may claim or serve it, whatever other manifests list (design D4).
 */
export interface ChunkStore {
  /** True when the chunk is here and admitted to `disk`. The zero id is never here. */
  has(id: ChunkId, disk: DiskId): boolean;
  /** Verified bytes; rejects with CHUNK_NOT_FOUND or CHUNK_CORRUPT. */
  get(id: ChunkId): Promise<Uint8Array>;
  /** Stores bytes the caller has verified against `id`; durable after the next `sync`. Known chunks are only admitted. */
  put(id: ChunkId, bytes: Uint8Array, disk: DiskId): Promise<void>;
  /** Makes every `put` that settled before this call durable. */
  sync(): Promise<void>;
  locate(id: ChunkId): ChunkLocation | null;
}

/** What waits for a chunk, most urgent first; smaller is sooner. */
export const PRIORITY = { fault: 0, seal: 1, workingSet: 2, bulk: 3 } as const;
export type Priority = (typeof PRIORITY)[keyof typeof PRIORITY];

/** A piece of one generation of a disk. */
export interface PiecePosition {
  readonly disk: DiskId;
  /** Root of the generation's manifest. */
  readonly root: ChunkId;
  readonly piece: PieceIndex;
}

/** Anything a chunk can come from when it is not here. */
export interface ChunkSource {
  /**
   * Resolves with verified bytes; waits as long as it must unless `signal` fires (ABORTED).
   * `id` is a promise when the page that names it is fetched in the same round trip.
   */
  get(
    id: ChunkId | Promise<ChunkId>,
    position: PiecePosition,
    priority: Priority,
    options: { signal: AbortSignal },
  ): Promise<Uint8Array>;
  /** Gives the bytes of a `get` back, to be used for the next, when nobody looks at them any more. Optional. */
  release(position: PiecePosition, bytes: Uint8Array): void;
}

/** A run of bytes with the same state, as block status reports it. */
export interface StatusExtent {
  readonly lengthBytes: number;
  /** Bits of the context: base:allocation HOLE=1, ZERO=2; diskswarm:presence ABSENT=1. */
  readonly flags: number;
}

/** The metadata contexts of an export. */
export type StatusContext = 'base:allocation' | 'diskswarm:presence';

/**
 * A disk as an NBD session uses it. Offsets and lengths are within the disk, checked by the session.
 *
 * Calls that return a promise had to wait (for the network or a cold disk); the others are done when they return.
 * Writes, trims and zeroes of one batch become acknowledgeable with `commit`, which hands their map records to the kernel.
 * Errors: DiskswarmError with DISK_FULL, ATTACHMENT_STATE, READ_FAILED, WRITE_FAILED or CHUNK_NOT_FOUND.
 */
export interface Backing {
  readonly sizeBytes: number;
  /** What the handshake advertises. */
  readonly readOnly: boolean;
  /** Fills `into` when that needs no waiting; false means nothing was promised: use `read`. */
  readSync(offsetBytes: number, into: Uint8Array): boolean;
  read(offsetBytes: number, into: Uint8Array, options: { signal: AbortSignal }): Promise<void>;
  /** `data` is only read during the call unless a promise comes back: then it may not change until that settles. */
  write(offsetBytes: number, data: Uint8Array): void | Promise<void>;
  trim(offsetBytes: number, lengthBytes: number): void | Promise<void>;
  /** The range reads as zeros afterwards; with `keepAllocated` the space stays reserved (NBD NO_HOLE). */
  writeZeroes(offsetBytes: number, lengthBytes: number, options: { keepAllocated: boolean }): void | Promise<void>;
  commit(): void;
  /** Everything acknowledged before is durable when this resolves. */
  flush(): Promise<void>;
  /** Begins to fetch the range; returns at once. */
  prefetch(offsetBytes: number, lengthBytes: number): void;
  /** Extents from `offsetBytes` on, at least one, at most `maxExtents`, together at most `lengthBytes` long. */
  status(offsetBytes: number, lengthBytes: number, context: StatusContext, maxExtents: number): Promise<StatusExtent[]>;
}
