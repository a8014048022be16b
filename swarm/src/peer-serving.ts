/**
 * One peer's requests for one disk on one lane, from their arrival to the bytes that leave: the serving half of a channel.
 *
 * What to read first is the upload queue's; whether it may be served at all is the disk's server's. Every request is
 * answered once, also when the read fails, is cancelled or finds nothing.
 */
import type { ChunkId, HostId, PieceIndex } from '@diskswarm/core';
import { DiskswarmError, PAGE_BYTES } from '@diskswarm/core';
import type { BittorrentChannel, ChannelLane, ChunkBuffers, PathMessage, PieceSpaces } from '@diskswarm/wire';
import { MAX_PEER_PATHS } from './limits.ts';
import type { Gate } from './link-share.ts';
import type { PackedServing } from './packed-serving.ts';
import type { DiskMembership } from './ports.ts';
import type { RateMeter } from './rate-meter.ts';
import type { UploadJob, UploadQueue, UploadSource } from './upload-queue.ts';

export interface PeerServingOptions {
  readonly lane: ChannelLane;
  readonly host: HostId;
  readonly membership: DiskMembership;
  readonly spaces: PieceSpaces;
  readonly uploads: UploadQueue;
  readonly gate: Gate;
  readonly buffers: ChunkBuffers;
  readonly sent: RateMeter;
  /** Null for a peer that knows whole chunks only. */
  packing(): PackedServing | null;
  wire(): BittorrentChannel;
  backlogBytes(): number;
  /** Takes a piece back that has not begun to leave. */
  drop(index: number): boolean;
}

export class PeerServing {
  readonly #options: PeerServingOptions;
  readonly #source: UploadSource;
  readonly #jobs = new Map<number, UploadJob>();
  /** Answers that were handed to the lane: counts one once it has left. */
  readonly #leaving = new Map<number, () => void>();
  #paths = 0;

  constructor(options: PeerServingOptions) {
    this.#options = options;
    this.#source = { lane: options.lane, gate: options.gate, backlogBytes: () => options.backlogBytes() };
  }

  /** The peer asks for a chunk; `base` is one that it holds. */
  requested(index: number, base: ChunkId | null): void {
    const { spaces, membership, host, buffers } = this.#options;
    const { chunkSizeBytes } = membership;
    const found = spaces.find(index);
    if (found === undefined) {
      this.#options.wire().answer(index, null);
      return;
    }
    const job: UploadJob = {
      lengthBytes: chunkSizeBytes,
      run: async () => {
        const room = buffers.chunk();
        const { generation } = found.space;
        const bytes = await this.#read(() => membership.server.readPiece(generation, found.piece, host, room));
        const whole = bytes?.length === chunkSizeBytes ? bytes : null;
        if (whole?.buffer !== room.buffer) buffers.give(room);
        const packing = this.#options.packing();
        const packed =
          whole !== null && packing?.mayPack(base) === true ? await this.#read(() => packing.pack(whole, base)) : null;
        const current = this.#jobs.get(index) === job;
        if (whole !== null && (packed !== null || !current)) buffers.give(whole);
        if (!current) return 0;
        this.#jobs.delete(index);
        const leavingBytes = (packed?.body ?? whole)?.length ?? 0;
        if (whole !== null) {
          this.#leaving.set(index, () => {
            this.#options.sent.add(leavingBytes);
            if (packed !== null) packing?.sent(packed, chunkSizeBytes);
          });
        }
        if (packed === null) this.#options.wire().answer(index, whole);
        else this.#options.wire().answerPacked(index, packed);
        return leavingBytes;
      },
    };
    this.#jobs.set(index, job);
    const urgent = this.#options.lane === 'control';
    const coming = membership.admits(host)
      ? (membership.server.bring?.(found.space.generation, found.piece, host, urgent) ?? null)
      : null;
    const begin = (): void => {
      if (this.#jobs.get(index) === job) this.#options.uploads.add(this.#source, job);
    };
    // What is on its way here takes no turn in the queue before it came.
    if (coming === null) begin();
    else void coming.then(begin);
  }

  /** The peer takes a request back; what has not begun to leave does not. */
  cancelled(index: number): void {
    const job = this.#jobs.get(index);
    if (job !== undefined) {
      this.#jobs.delete(index);
      this.#options.uploads.remove(this.#source, job);
      return;
    }
    const count = this.#leaving.get(index);
    this.#leaving.delete(index);
    if (this.#options.drop(index)) this.#options.wire().withdraw(index);
    else if (count !== undefined) this.#leaving.set(index, count);
  }

  /** The answer with bytes to a request has left, or was taken back; `bytes`, the last of it, may be used again. */
  left(index: number, bytes: Uint8Array): void {
    this.#leaving.get(index)?.();
    this.#leaving.delete(index);
    this.#options.buffers.give(bytes);
  }

  /** The peer asks for manifest pages; throws PROTOCOL_ERROR when it asks for too many at once. */
  pathRequested(message: PathMessage, answer: (pages: readonly Uint8Array[]) => void): void {
    if (this.#paths >= MAX_PEER_PATHS) throw new DiskswarmError('PROTOCOL_ERROR', 'too many page requests at once');
    this.#paths += 1;
    const { root, piece, fromLevel }: { root: ChunkId; piece: PieceIndex; fromLevel: number } = message;
    this.#options.uploads.add(this.#source, {
      lengthBytes: (fromLevel + 1) * PAGE_BYTES,
      run: async () => {
        const { membership, host } = this.#options;
        const pages = await this.#read(() => membership.server.readPath(root, piece, fromLevel, host));
        this.#paths -= 1;
        answer(pages ?? []);
        return (pages?.length ?? 0) * PAGE_BYTES;
      },
    });
  }

  /** Nothing is served any more. */
  close(): void {
    this.#jobs.clear();
    this.#leaving.clear();
    this.#options.uploads.forget(this.#source);
  }

  /**
   * A host that the roster no longer admits gets nothing. A read that fails for whatever operational reason is "not from
   * here" to the peer; the store reports it where it matters.
   */
  async #read<Value>(read: () => Promise<Value | null>): Promise<Value | null> {
    if (!this.#options.membership.admits(this.#options.host)) return null;
    try {
      return await read();
    } catch (error) {
      if (error instanceof DiskswarmError) return null;
      throw error;
    }
  }
}
