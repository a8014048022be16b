/**
 * Single chunks of a disk, wherever they are: in the store, or fetched from a peer and stored on the way.
 *
 * A fault whose manifest page is not here asks for the page and for the chunk in the same breath, so that both travel in one round trip. Background waits
 * for the page, which may name a chunk that is here. Either waits as long as it must.
 */
import {
  type ChunkId,
  type ChunkSource,
  type ChunkStore,
  hasCode,
  PAGE_FANOUT,
  type PieceIndex,
  PRIORITY,
  type Priority,
  ZERO_ID,
} from '@diskswarm/core';
import type { DiskBase } from './disk-base.ts';
import type { FaultStatistics } from './fault-statistics.ts';
import type { GenerationView } from './generation-view.ts';
import type { PageFetch } from './page-fetch.ts';
import type { PieceIntake } from './piece-intake.ts';

export interface PieceChunksOptions {
  readonly store: ChunkStore & { forget(id: ChunkId): void };
  readonly source: ChunkSource;
  readonly pages: PageFetch;
  readonly intake: PieceIntake;
  readonly statistics: FaultStatistics;
  /** Brings what a clone shares with its template. */
  readonly base: Pick<DiskBase, 'bring'>;
  /** True when a host that is connected says that it has the piece. */
  readonly claimedElsewhere: (view: GenerationView, piece: PieceIndex) => boolean;
}

/** How a piece came to be here. */
export interface Brought {
  /** It came from a peer. */
  readonly fetched: boolean;
  /** Its verified bytes, where the store did not take them, and why not. */
  readonly unstored: { readonly bytes: Uint8Array; readonly error: Error } | null;
}

const NOTHING_NEW: Brought = { fetched: false, unstored: null };

export class PieceChunks {
  readonly #store: PieceChunksOptions['store'];
  readonly #source: ChunkSource;
  readonly #pages: PageFetch;
  readonly #intake: PieceIntake;
  readonly #statistics: FaultStatistics;
  readonly #base: PieceChunksOptions['base'];
  readonly #claimedElsewhere: (view: GenerationView, piece: PieceIndex) => boolean;

  constructor(options: PieceChunksOptions) {
    this.#store = options.store;
    this.#source = options.source;
    this.#pages = options.pages;
    this.#intake = options.intake;
    this.#statistics = options.statistics;
    this.#base = options.base;
    this.#claimedElsewhere = options.claimedElsewhere;
  }

  /** Resolves when the piece's chunk is in the store, or the piece is zero. Rejects with DISK_FULL or WRITE_FAILED where the store does not take it. */
  async ensure(
    view: GenerationView,
    piece: PieceIndex,
    priority: Priority,
    options: { signal: AbortSignal },
  ): Promise<void> {
    const { unstored } = await this.bring(view, piece, priority, options);
    if (unstored !== null) throw unstored.error;
  }

  /**
   * As `ensure`, but what the store does not take is handed to the caller. Presence is looked up in the store itself: it may have dropped a damaged
   * chunk that the view still counts, because another piece or disk has the same one.
   */
  async bring(
    view: GenerationView,
    piece: PieceIndex,
    priority: Priority,
    { signal }: { signal: AbortSignal },
  ): Promise<Brought> {
    const named = await view.learnLeafFromStore(Math.floor(piece / PAGE_FANOUT));
    // Nobody stands still for background, and most of what a newer generation says anew is here: the id comes first.
    if (named || priority !== PRIORITY.fault) {
      const id = await this.#pages.idOf(view, piece, { signal });
      if (id === ZERO_ID) return NOTHING_NEW;
      if (this.#store.has(id, view.subject.disk)) {
        this.#intake.note(view, piece);
        return NOTHING_NEW;
      }
      view.dropPiece(piece);
    }
    return this.#base.bring(view, piece, priority, {
      signal,
      ours: (options) => this.#fetch(view, piece, priority, options),
    });
  }

  /** Brings a piece that is not here from the disk's own hosts. */
  async #fetch(
    view: GenerationView,
    piece: PieceIndex,
    priority: Priority,
    { signal }: { signal: AbortSignal },
  ): Promise<Brought> {
    const { disk } = view.subject;
    const naming = this.#pages.idOf(view, piece, { signal });
    naming.catch(() => {}); // Reported where it is awaited, which is not everywhere.
    const position = { disk, root: view.subject.root, piece };
    // A piece that proves to be zero comes as zeros at once.
    const bytes = await this.#source.get(naming, position, priority, { signal });
    const id = await naming;
    if (id === ZERO_ID) return NOTHING_NEW;
    try {
      const storeUs = await this.#intake.take(view, piece, id, bytes);
      this.#source.release(position, bytes);
      if (priority === PRIORITY.fault) this.#statistics.stored(storeUs);
      return { fetched: true, unstored: null };
    } catch (error) {
      if (!hasCode(error, 'DISK_FULL') && !hasCode(error, 'WRITE_FAILED')) throw error;
      return { fetched: true, unstored: { bytes, error } };
    }
  }

  /** The bytes of a piece, fetched if they are not here; null for a zero piece. */
  async read(
    view: GenerationView,
    piece: PieceIndex,
    priority: Priority,
    { signal }: { signal: AbortSignal },
  ): Promise<Uint8Array | null> {
    for (;;) {
      const { unstored } = await this.bring(view, piece, priority, { signal });
      if (unstored !== null) return unstored.bytes;
      const id = await this.#pages.idOf(view, piece, { signal });
      if (id === ZERO_ID) return null;
      try {
        return await this.#store.get(id);
      } catch (error) {
        // What could not be used is no longer here: the next round fetches it.
        if (!this.damaged(view, piece, id, error)) throw error;
      }
    }
  }

  /**
   * A chunk could not be read: true when it is gone from here, to be fetched again. One that the disk reports an error for stays where nobody
   * else has it: the error may pass, and this may be the only copy.
   */
  damaged(view: GenerationView, piece: PieceIndex, id: ChunkId, error: unknown): boolean {
    if (hasCode(error, 'READ_FAILED')) {
      if (!this.#claimedElsewhere(view, piece)) return false;
      this.#store.forget(id);
    } else if (!hasCode(error, 'CHUNK_CORRUPT') && !hasCode(error, 'CHUNK_NOT_FOUND')) return false;
    view.dropPiece(piece);
    return true;
  }
}
