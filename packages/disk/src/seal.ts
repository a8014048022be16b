/**
 * Turns frozen layers into chunks and the manifest of a new generation, while the guest writes on above them.
 *
 * Reads the layers' files, hashes each chunk once, puts what is new. The caller keeps the crash order: 1. `sync` the store, so
 * that chunks and pages are durable; 2. make the signed generation record durable; 3. `DiskView.rebase`, then
 * `Overlay.dropFrozen`. A crash before 2 leaves the old generation with all layers; between 2 and 3 the layers lie over a base
 * that contains them already, which reads the same. Memory: a few chunks, and one manifest page per level.
 */
import { chunkIdOf, type Geometry, isZero } from '@diskswarm/chunk';
import {
  type ChunkId,
  type Clock,
  DiskswarmError,
  hasCode,
  PAGE_FANOUT,
  type PageId,
  type PieceIndex,
  sleep,
  ZERO_ID,
} from '@diskswarm/core';
import {
  idAt,
  ManifestReader,
  type PageSink,
  type PageSource,
  type PieceChange,
  updateManifest,
} from '@diskswarm/manifest';
import type { FrozenLayer } from './frozen-layer.ts';
import { type Cover, coverPieces } from './piece-cover.ts';

/** Pieces worked on ahead of the one whose turn it is, which hides the round trips of remainders; and chunks that the store writes together. */
const PIECES_AHEAD = 32;
/** Bytes of chunks held at once. */
const MAX_BUFFER_BYTES = 8 * 1024 * 1024;
/** Missing pieces that the error names. */
const MAX_NAMED_PIECES = 256;
/** The event loop gets a turn at least this often. */
const TURN_US = 5_000;

export interface SealOptions {
  /** Bottom first, as `Overlay.freeze` gave them. */
  readonly layers: readonly FrozenLayer[];
  readonly geometry: Geometry;
  /** Manifest of the generation below. */
  readonly root: PageId;
  readonly source: PageSource;
  readonly sink: PageSink;
  /** Takes new chunks; the bytes may change once it settles. */
  readonly store: { put(id: ChunkId, bytes: Uint8Array): Promise<void> };
  /** The base's chunk of a piece that was written in part, verified; only read. CHUNK_NOT_FOUND where nobody has it. */
  readonly remainder: (piece: PieceIndex, options: { signal: AbortSignal }) => Promise<Uint8Array>;
  readonly clock: Clock;
  readonly signal?: AbortSignal;
  /** Told of every changed piece, in order, before the seal resolves. */
  readonly onChanged?: (piece: PieceIndex, id: ChunkId) => void;
}

export interface SealResult {
  /** Root of the new manifest; the old one when nothing changed. */
  readonly root: PageId;
  /** Pieces whose id differs from the generation below. */
  readonly changedPieces: number;
  /** Leaves of the manifest that hold them, rising: what `DiskView.rebase` takes. */
  readonly changedLeaves: readonly number[];
  /** Bytes of the chunks that were put. */
  readonly newChunkBytes: number;
}

/** Seals. Rejects with SEAL_NEEDS_CHUNKS (nothing is lost; `data.pieces` names them), ABORTED, and whatever store and source reject with. */
export async function sealOverlay(options: SealOptions): Promise<SealResult> {
  const seal = new Seal(options);
  return seal.run();
}

class Seal {
  readonly #options: SealOptions;
  readonly #reader: ManifestReader;
  readonly #buffers: Uint8Array[] = [];
  readonly #controller = new AbortController();
  readonly #changedLeaves: number[] = [];
  readonly #missing: number[] = [];
  readonly #puts = new Set<Promise<void>>();
  readonly #ahead: number;
  #missingCount = 0;
  #changedPieces = 0;
  #newChunkBytes = 0;
  #turnUs: number;

  constructor(options: SealOptions) {
    this.#options = options;
    const { root, source, geometry } = options;
    this.#reader = new ManifestReader({ root, pieces: geometry.pieces, source });
    this.#turnUs = options.clock.nowUs();
    // Half of the bytes is being read, the other half written.
    const chunks = Math.floor(MAX_BUFFER_BYTES / 2 / geometry.chunkSizeBytes);
    this.#ahead = Math.max(2, Math.min(PIECES_AHEAD, chunks));
  }

  async run(): Promise<SealResult> {
    const { signal, root, source, sink, geometry } = this.#options;
    const abort = (): void => this.#controller.abort();
    signal?.addEventListener('abort', abort, { once: true });
    if (signal?.aborted) abort();
    try {
      const changes = this.#changes();
      const newRoot = await updateManifest({ root, pieces: geometry.pieces, source, sink, changes });
      return {
        root: newRoot,
        changedPieces: this.#changedPieces,
        changedLeaves: this.#changedLeaves,
        newChunkBytes: this.#newChunkBytes,
      };
    } finally {
      signal?.removeEventListener('abort', abort);
      this.#controller.abort();
      await Promise.allSettled(this.#puts); // None outlives the seal.
    }
  }

  /** Pieces that differ from the base, in order; several are prepared ahead. */
  async *#changes(): AsyncGenerator<PieceChange> {
    const { layers, geometry } = this.#options;
    const queue: { cover: Extract<Cover, { kind: 'piece' }>; chunk: Promise<Uint8Array | null> }[] = [];
    const finish = async (): Promise<PieceChange | null> => {
      const { cover, chunk } = queue.shift()!;
      return this.#changeOf(cover.piece, await chunk);
    };
    for (const cover of coverPieces(layers, geometry)) {
      if (cover.kind === 'holes') {
        while (queue.length > 0) {
          const change = await finish();
          if (change !== null) yield change;
        }
        yield* this.#holes(cover.from, cover.to);
        continue;
      }
      const chunk = this.#assemble(cover);
      chunk.catch(() => {}); // Reported when its turn comes.
      queue.push({ cover, chunk });
      if (queue.length < this.#ahead) continue;
      const change = await finish();
      if (change !== null) yield change;
    }
    while (queue.length > 0) {
      const change = await finish();
      if (change !== null) yield change;
    }
    await Promise.all(this.#puts);
    if (this.#missingCount > 0) throw this.#needsChunks();
  }

  /** Whole pieces that became holes; leaves that are zero already are passed over at once. */
  async *#holes(from: number, to: number): AsyncGenerator<PieceChange> {
    for (let piece = from; piece < to; ) {
      await this.#turn();
      const leaf = Math.floor(piece / PAGE_FANOUT);
      const stop = Math.min(to, (leaf + 1) * PAGE_FANOUT);
      const page = await this.#reader.leaf(leaf);
      if (isZero(page)) piece = stop;
      for (; piece < stop; piece++) {
        if (idAt(page, piece % PAGE_FANOUT) !== ZERO_ID) yield this.#changed(piece as PieceIndex, ZERO_ID);
      }
    }
  }

  /** The piece's bytes in a buffer of ours, or null when its remainder is nowhere to be had. */
  async #assemble({ piece, parts, isWhole }: Extract<Cover, { kind: 'piece' }>): Promise<Uint8Array | null> {
    const { geometry, remainder } = this.#options;
    const buffer = this.#buffers.pop() ?? new Uint8Array(geometry.chunkSizeBytes);
    const startBytes = geometry.startOf(piece);
    const lengthBytes = geometry.lengthOf(piece);
    if (!isWhole) {
      if ((await this.#reader.idOf(piece)) === ZERO_ID) buffer.fill(0);
      else {
        try {
          const base = await remainder(piece, { signal: this.#controller.signal });
          if (base.length !== buffer.length) throw new RangeError(`a remainder of ${base.length} bytes`);
          buffer.set(base);
        } catch (error) {
          this.#buffers.push(buffer);
          if (!hasCode(error, 'CHUNK_NOT_FOUND')) throw error;
          if (this.#missing.length < MAX_NAMED_PIECES) this.#missing.push(piece);
          this.#missingCount++;
          return null;
        }
      }
    }
    for (const { layer, fromBytes, toBytes } of parts) {
      const part = buffer.subarray(fromBytes, toBytes);
      if (layer === null) part.fill(0);
      else if ((await layer.data.read(part, startBytes + fromBytes)) !== part.length) {
        throw new DiskswarmError('READ_FAILED', `${layer.data.path} ends before block data it should hold`, {
          data: { path: layer.data.path, piece },
        });
      }
    }
    buffer.fill(0, lengthBytes);
    return buffer;
  }

  /** Hashes and puts one piece; null when it is what it was. */
  async #changeOf(piece: PieceIndex, chunk: Uint8Array | null): Promise<PieceChange | null> {
    await this.#turn();
    if (chunk === null) return null;
    const id = chunkIdOf(chunk);
    const isNew = id !== (await this.#reader.idOf(piece));
    if (isNew && id !== ZERO_ID && this.#missingCount === 0) await this.#put(id, chunk);
    else this.#buffers.push(chunk);
    return isNew ? this.#changed(piece, id) : null;
  }

  /** Resolves when there is room for another one; what fails is thrown by then or at the end. */
  async #put(id: ChunkId, chunk: Uint8Array): Promise<void> {
    this.#newChunkBytes += chunk.length;
    const put = this.#options.store.put(id, chunk).then(() => {
      this.#puts.delete(put);
      this.#buffers.push(chunk);
    });
    put.catch(() => {}); // It stays among the puts, for whoever waits.
    this.#puts.add(put);
    if (this.#puts.size >= this.#ahead) await Promise.race(this.#puts);
  }

  #changed(piece: PieceIndex, id: ChunkId): PieceChange {
    this.#changedPieces++;
    const leaf = Math.floor(piece / PAGE_FANOUT);
    if (this.#changedLeaves[this.#changedLeaves.length - 1] !== leaf) this.#changedLeaves.push(leaf);
    this.#options.onChanged?.(piece, id);
    return [piece, id];
  }

  /** Lets the rest of the thread run now and then, and notices an abort. */
  async #turn(): Promise<void> {
    const { clock } = this.#options;
    if (this.#controller.signal.aborted) throw new DiskswarmError('ABORTED', 'the seal was given up');
    if (clock.nowUs() - this.#turnUs < TURN_US) return;
    await sleep(clock, 0, { signal: this.#controller.signal });
    this.#turnUs = clock.nowUs();
  }

  #needsChunks(): DiskswarmError {
    const count = this.#missingCount;
    const pieces = this.#missing.sort((a, b) => a - b);
    return new DiskswarmError(
      'SEAL_NEEDS_CHUNKS',
      `${count} partly written chunks need the rest of their content, which no reachable host has`,
      { data: { count, pieces } },
    );
  }
}
