/**
 * What the swarm needs from whoever holds disks, and what it tells them (the host agent wires both).
 *
 * The swarm moves bytes and proves hosts; whether a record, a claim or a chunk is true is judged behind these ports.
 */
import type { RangeSet } from '@diskswarm/bitfield';
import type { ChunkId, DiskId, DiskswarmError, GenerationId, HostId, PieceIndex } from '@diskswarm/core';
import type { SwarmSecret } from '@diskswarm/identity';
import type { DiskChannel } from './disk-channel.ts';

/** Names a request on its channel; never used twice there. */
export type RequestToken = number;

/** A disk as this host is a member of it. */
export interface DiskMembership {
  readonly disk: DiskId;
  readonly chunkSizeBytes: number;
  /** The current swarm secret first, then earlier ones that members who were away may still hold. */
  secrets(): readonly SwarmSecret[];
  /** True when the roster lists the host and did not revoke it. */
  admits(host: HostId): boolean;
  /** The highest signed roster seen: the first thing said on a channel. */
  rosterBundle(): Uint8Array;
  /**
   * A host showed its roster: on a channel first of all, and again when it changes, or before it was let in. Resolves when a newer
   * one is durable: nothing that is said under it counts before. A rejection is misbehaviour of that host.
   */
  takeRoster(bundle: Uint8Array): Promise<void>;
  readonly server: DiskServer;
  /** A host that shares this disk is connected; the handlers are called until `onClose`. */
  onChannel(channel: DiskChannel): ChannelHandlers;
}

/** Serves peers. Null means "not from here" and costs the peer nothing but the round trip. */
export interface DiskServer {
  /**
   * A whole chunk, verified, that may go to this host (design D4); the bytes pass to the swarm. `room` is as long as a chunk of
   * the disk, and the server may read into it and give it back as its answer; it may not touch it afterwards.
   */
  readPiece(generation: GenerationId, piece: PieceIndex, host: HostId, room: Uint8Array): Promise<Uint8Array | null>;
  /**
   * Fetches a piece that is not here for this host, where the server does that; resolves when `readPiece` is worth its while, and
   * never rejects. Null where what is not here is refused. `urgent`: a guest waits for it there.
   */
  bring?(generation: GenerationId, piece: PieceIndex, host: HostId, urgent: boolean): Promise<void> | null;
  /**
   * A whole chunk of the disk by its id, verified, in `room`, which is as long; null when it is not here through this disk. Peers are told only
   * what differs from it.
   */
  readChunk(id: ChunkId, room: Uint8Array): Promise<Uint8Array | null>;
  /** Pages of the piece's path from `fromLevel` down to the leaf (level 0), without the all-zero ones below the first. */
  readPath(root: ChunkId, piece: PieceIndex, fromLevel: number, host: HostId): Promise<readonly Uint8Array[] | null>;
}

/** A generation as a peer opened it: unverified. */
export interface OfferedGeneration {
  readonly generation: GenerationId;
  readonly pieces: number;
  /** Signed record, canonical bytes. */
  readonly record: Uint8Array;
  /** Signed epoch records, oldest first. */
  readonly epochs: readonly Uint8Array[];
}

/**
 * What happens on a channel. Calls are synchronous with the arrival of bytes; none comes after `onClose`.
 * A DiskswarmError that a handler throws ends the session, as misbehaviour when its code is one that only a peer can cause.
 */
export interface ChannelHandlers {
  /** Rosters are exchanged, both lanes work: requests, generations and claims may be sent. Once. */
  onReady(): void;
  onGeneration(offered: OfferedGeneration): void;
  /** Added to what the peer said before of this generation. */
  onClaims(generation: GenerationId, has: RangeSet, lacks: RangeSet): void;
  /**
   * A whole chunk, not verified, that travelled in `wireBytes`; the bytes are the receiver's, who may give them back with
   * `channel.release`.
   */
  onPiece(token: RequestToken, bytes: Uint8Array, wireBytes: number): void;
  /** The peer does not serve this piece. */
  onRejected(token: RequestToken): void;
  onTrace(generation: GenerationId, trace: Uint8Array): void;
  onOwnership(message: Uint8Array): void;
  onMigration(message: Uint8Array): void;
  /** The last call. Requests without an answer are gone; path requests were rejected. */
  onClose(reason: ChannelClose): void;
}

/** Why a channel ended. */
export interface ChannelClose {
  /** `shut`: this disk only. `session`: the host is gone. `renewed`: index space used up, opened again at once. */
  readonly kind: 'shut' | 'session' | 'renewed';
  readonly error?: DiskswarmError | undefined;
}
