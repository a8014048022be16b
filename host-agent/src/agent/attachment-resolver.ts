/**
 * The base of one attachment: answers its thread's questions about leaves and faults, and records the trace of what the guest touched.
 *
 * The view changes when a seal puts a new generation below the overlay. A place that is damaged is read again by the store, which drops
 * what does not verify; then the chunk comes anew.
 */
import {
  type ChunkId,
  type ChunkLocation,
  type ChunkStore,
  type Clock,
  hasCode,
  ID_BYTES,
  idFromBytes,
  PAGE_FANOUT,
  type PieceIndex,
  PRIORITY,
  type Priority,
} from '@diskswarm/core';
import type { LeafView } from '@diskswarm/disk';
import { TraceRecorder } from '@diskswarm/trace';
import type { AttachmentOwner } from '../attachment/attachment.ts';
import type { GenerationView } from './generation-view.ts';
import type { PieceChunks } from './piece-chunks.ts';

/** Pieces that a trace records. */
export const MAX_TRACE_PIECES = 65_536;

/** Places told with a piece's own: a whole leaf costs a millisecond, and a cold disk is read piece by piece. */
const NEIGHBOURS = 8;

export interface ResolverOptions {
  readonly view: GenerationView;
  readonly store: ChunkStore;
  readonly chunks: PieceChunks;
  readonly clock: Clock;
  /** A guest waited this long for a chunk from elsewhere. */
  readonly onFault: (durationUs: number) => void;
  readonly onFailed: (error: Error) => void;
  readonly warn: (message: string, error: unknown) => void;
}

export class AttachmentResolver implements AttachmentOwner {
  readonly #options: ResolverOptions;
  readonly trace = new TraceRecorder({ maxEntries: MAX_TRACE_PIECES });
  /** Places that were reported and are being looked at, by piece. */
  readonly #checks = new Map<PieceIndex, Promise<void>>();
  /** Leaves of the view of which all was told: from then on the surroundings of a piece are enough. */
  readonly #told = new Set<number>();
  #view: GenerationView;

  constructor(options: ResolverOptions) {
    this.#options = options;
    this.#view = options.view;
  }

  get view(): GenerationView {
    return this.#view;
  }

  /** A new generation lies below from now on. */
  rebase(view: GenerationView): void {
    this.#view = view;
    this.#told.clear();
  }

  async peek(leaf: number): Promise<LeafView | null> {
    const view = this.#view;
    if (!(await view.learnLeafFromStore(leaf))) return null;
    try {
      return await this.#leafView(view, leaf, { from: 0, to: PAGE_FANOUT }, null);
    } catch (error) {
      if (hasCode(error, 'CHUNK_NOT_FOUND')) return null; // Its page is damaged: `resolve` fetches it.
      throw error;
    }
  }

  async resolve(piece: PieceIndex, priority: Priority, { signal }: { signal: AbortSignal }): Promise<LeafView> {
    // A place that was just reported is looked at first, or it would be given again.
    await this.#checks.get(piece);
    const view = this.#view;
    const started = this.#options.clock.nowUs();
    const { fetched, unstored } = await this.#options.chunks.bring(view, piece, priority, { signal });
    if (fetched && priority === PRIORITY.fault) this.#options.onFault(this.#options.clock.nowUs() - started);
    const leaf = Math.floor(piece / PAGE_FANOUT);
    const from = piece % PAGE_FANOUT;
    const slots = this.#told.has(leaf)
      ? { from, to: Math.min(PAGE_FANOUT, from + NEIGHBOURS) }
      : { from: 0, to: PAGE_FANOUT };
    return this.#leafView(view, leaf, slots, unstored?.bytes ?? null);
  }

  damaged(piece: PieceIndex, _location: ChunkLocation): void {
    const view = this.#view;
    const check = async (): Promise<void> => {
      const id = await view.reader.idOf(piece);
      try {
        await this.#options.store.get(id);
      } catch (error) {
        if (!this.#options.chunks.damaged(view, piece, id, error)) throw error;
      }
    };
    const checked = check()
      .catch((error: unknown) => this.#options.warn(`piece ${piece} is damaged and cannot be checked`, error))
      .finally(() => {
        if (this.#checks.get(piece) === checked) this.#checks.delete(piece);
      });
    this.#checks.set(piece, checked);
  }

  touched(piece: PieceIndex): void {
    this.trace.record(piece);
  }

  failed(error: Error): void {
    this.#options.onFailed(error);
  }

  async #leafView(
    view: GenerationView,
    leaf: number,
    { from, to }: { from: number; to: number },
    unstored: Uint8Array | null,
  ): Promise<LeafView> {
    const page = await view.reader.leaf(leaf);
    const locations: (ChunkLocation | null)[] = [];
    for (let slot = from; slot < to; slot++) {
      const here = view.has((leaf * PAGE_FANOUT + slot) as PieceIndex);
      locations.push(here ? this.#options.store.locate(idFromBytes<ChunkId>(page, slot * ID_BYTES)) : null);
    }
    if (to - from === PAGE_FANOUT && view === this.#view) this.#told.add(leaf);
    return { leaf, ids: new Uint8Array(page), first: from, locations, unstored };
  }
}
