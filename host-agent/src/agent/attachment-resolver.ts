/**
 * The base of one attachment: answers its thread's questions about leaves and faults, and records the trace of what the guest touched.
 *
 * The view changes when a seal puts a new generation below the overlay. A place that is damaged is read again by the store, which drops
 * what does not verify; then the chunk comes anew.
 */
import { type ChunkId, type ChunkLocation, type ChunkStore, type Clock, ID_BYTES, idFromBytes, PAGE_FANOUT, type PieceIndex, PRIORITY, type Priority, ZERO_ID } from '@diskswarm/core';
import type { LeafView } from '@diskswarm/disk';
import { TraceRecorder } from '@diskswarm/trace';
import type { AttachmentOwner } from '../attachment/attachment.ts';
import type { GenerationView } from './generation-view.ts';
import type { PieceChunks } from './piece-chunks.ts';

/** Pieces that a trace records. */
export const MAX_TRACE_PIECES = 65_536;

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
  }

  async peek(leaf: number): Promise<LeafView | null> {
    const view = this.#view;
    return (await view.learnLeafFromStore(leaf)) ? this.#leafView(view, leaf) : null;
  }

  async resolve(piece: PieceIndex, priority: Priority, { signal }: { signal: AbortSignal }): Promise<LeafView> {
    const view = this.#view;
    const started = this.#options.clock.nowUs();
    const fetched = await this.#options.chunks.ensure(view, piece, priority, { signal });
    if (fetched && priority === PRIORITY.fault) this.#options.onFault(this.#options.clock.nowUs() - started);
    return this.#leafView(view, Math.floor(piece / PAGE_FANOUT));
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
    check().catch((error: unknown) => this.#options.warn(`piece ${piece} is damaged and cannot be checked`, error));
  }

  touched(piece: PieceIndex): void {
    this.trace.record(piece);
  }

  failed(error: Error): void {
    this.#options.onFailed(error);
  }

  async #leafView(view: GenerationView, leaf: number): Promise<LeafView> {
    const page = await view.reader.leaf(leaf);
    const locations: (ChunkLocation | null)[] = [];
    for (let slot = 0; slot < PAGE_FANOUT; slot++) {
      const id = idFromBytes<ChunkId>(page, slot * ID_BYTES);
      const here = id !== ZERO_ID && view.has((leaf * PAGE_FANOUT + slot) as PieceIndex);
      locations.push(here ? this.#options.store.locate(id) : null);
    }
    return { leaf, ids: new Uint8Array(page), locations };
  }
}
