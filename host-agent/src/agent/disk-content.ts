/**
 * What this host has of a disk's newest generation, and how a newer one takes its place.
 *
 * A sealed generation is derived from the one before it. A generation of another host is used at once, with whatever of it is here already; its manifest
 * then follows in the background, and with it the knowledge of what still matches (previous hosts seed by content, design D8).
 */

import { RangeSet } from '@diskswarm/bitfield';
import { Geometry } from '@diskswarm/chunk';
import type { ChunkStore, DiskId, GenerationId } from '@diskswarm/core';
import { DiskswarmError, hasCode, PAGE_BYTES, PAGE_FANOUT, type PageId, type PieceIndex } from '@diskswarm/core';
import type { Generation } from '@diskswarm/identity';
import { compareLeaves, type LeafChange, sameIdAt } from '@diskswarm/manifest';
import type { DiskPages } from './disk-pages.ts';
import { GenerationView } from './generation-view.ts';
import type { PageFetch } from './page-fetch.ts';
import { PieceHistory } from './piece-history.ts';
import { Turns } from './turns.ts';

/** Manifests up to this size are fetched whole as soon as their generation is known; larger ones when somebody needs them. */
const EAGER_MANIFEST_BYTES = 4 * 1024 * 1024;

export interface ContentListener {
  /** A newer generation took the place of the one before. */
  headChanged(view: GenerationView): void;
  /** More is known of the newest generation; `changed` are the pieces that differ from the one before it, where that could be told. */
  learned(view: GenerationView, changed: { readonly since: Generation['id']; readonly pieces: RangeSet } | null): void;
  /** Something went wrong that is nobody's request. */
  warn(message: string, error: unknown): void;
}

export class DiskContent {
  readonly history: PieceHistory;
  readonly #disk: DiskId;
  readonly #chunkSizeBytes: number;
  readonly #store: ChunkStore;
  readonly #pages: DiskPages;
  readonly #fetch: PageFetch;
  readonly #listener: ContentListener;
  #head: GenerationView | null = null;
  #learning = new AbortController();
  #manifest: Promise<void> | null = null;
  /** Looks that are due or under way because the store lost something. */
  #doubts = 0;
  #lost = false;
  #looking = false;
  /** The newest generation changes once at a time. */
  readonly #turns = new Turns();

  constructor(options: {
    disk: DiskId;
    chunkSizeBytes: number;
    store: ChunkStore;
    pages: DiskPages;
    fetch: PageFetch;
    listener: ContentListener;
    /** The generation is a round of a move, which another one follows. */
    isRound: (generation: GenerationId) => boolean;
  }) {
    this.history = new PieceHistory(options.isRound);
    this.#disk = options.disk;
    this.#chunkSizeBytes = options.chunkSizeBytes;
    this.#store = options.store;
    this.#pages = options.pages;
    this.#fetch = options.fetch;
    this.#listener = options.listener;
  }

  /** The newest generation; null before one is known. */
  get head(): GenerationView | null {
    return this.#head;
  }

  /** The store lost something since anybody looked: completeness is not to be relied on. */
  get doubted(): boolean {
    return this.#lost || this.#doubts > 0;
  }

  /** The store lost something that may be of this disk: looks again, as often as that happens. */
  lost(): void {
    this.#lost = true;
    if (this.#looking) return;
    this.#looking = true;
    const look = async (): Promise<void> => {
      while (this.#lost && !this.#learning.signal.aborted) await this.relearn();
    };
    look()
      .catch((error: unknown) => this.#listener.warn('what is here of the disk could not be looked at again', error))
      .finally(() => {
        this.#looking = false;
      });
  }

  /** Takes a generation as the newest one without looking at what is here of it: enough to serve it. `adopt` goes on from there. */
  begin(generation: Generation): void {
    this.#head ??= this.#newView(generation);
  }

  /** A view of any generation of the disk, with what is here of it. */
  async viewOf(generation: Generation): Promise<GenerationView> {
    if (this.#head?.subject.generation === generation.id) return this.#head;
    const view = this.#newView(generation);
    await view.learnFromStore({ signal: new AbortController().signal });
    return view;
  }

  /**
   * Makes `newest()` the newest generation, with what is here of it; its manifest follows in the background. Looked at when its turn comes, so that of two
   * that arrive together the older one is never left standing.
   */
  adopt(newest: () => Generation | null): Promise<void> {
    return this.#turns.run(async () => {
      const generation = newest();
      if (generation !== null) await this.#adopt(generation);
    });
  }

  /** Makes a generation that this host sealed the newest one. */
  adoptSealed(generation: Generation): Promise<void> {
    return this.#turns.run(() => this.#adoptSealed(generation));
  }

  /** Looks again at what of the newest generation is in the store, which has dropped something. */
  async relearn(): Promise<void> {
    this.#doubts++;
    try {
      await this.#turns.run(() => {
        this.#lost = false;
        return this.#relearn();
      });
    } finally {
      this.#doubts--;
    }
  }

  /** These pieces were synced: notes it where it counts, and returns what may be claimed. A newer generation may have taken over since they came. */
  durable(view: GenerationView, pieces: readonly PieceIndex[]): [GenerationView, readonly PieceIndex[]][] {
    const head = this.#head;
    const views: [GenerationView, readonly PieceIndex[]][] = [[view, pieces]];
    if (head !== null && head !== view) views.push([head, pieces.filter((piece) => head.has(piece))]);
    for (const [each, here] of views) for (const piece of here) each.markDurable(piece);
    return views.filter(([, here]) => here.length > 0);
  }

  /** Resolves when every page of the newest generation is here; waits for peers as long as it must. */
  wholeManifest(before: GenerationView | null = null): Promise<void> {
    const view = this.#head;
    if (view === null || view.allLeavesKnown) return Promise.resolve();
    this.#manifest ??= this.#fetchManifest(view, before, this.#learning.signal);
    return this.#manifest;
  }

  stop(): void {
    this.#learning.abort(new DiskswarmError('ABORTED', 'the disk is closed'));
  }

  async #adopt(generation: Generation): Promise<void> {
    const before = this.#head;
    const again = before?.subject.generation === generation.id;
    if (again && before.allLeavesKnown) return;
    const view = again ? before : this.#newView(generation);
    await view.learnFromStore({ signal: new AbortController().signal });
    if (!again) this.#replace(view);
    if (view.allLeavesKnown) this.#listener.learned(view, again ? null : await this.#changedBetween(before, view));
    else if (before !== null || view.leaves * PAGE_BYTES <= EAGER_MANIFEST_BYTES)
      void this.wholeManifest(again ? null : before).catch(() => {}); // Reported there.
  }

  async #adoptSealed(generation: Generation): Promise<void> {
    const before = this.#head;
    if (before === null || !before.allLeavesKnown || before.piecesTotal !== this.#geometry(generation).pieces)
      return this.#adopt(generation);
    const differences: LeafChange[] = [];
    for await (const change of compareLeaves(
      this.#ref(before),
      { root: generation.root, pieces: before.piecesTotal },
      this.#pages,
    ))
      differences.push(change);
    const view = before.derive(this.#subject(generation), differences);
    this.#replace(view);
    this.#listener.learned(view, { since: before.subject.generation, pieces: changedPieces(differences) });
  }

  async #relearn(): Promise<void> {
    const before = this.#head;
    if (before === null) return;
    const view = new GenerationView(before.subject, this.#store, this.#pages);
    await view.learnFromStore({ signal: new AbortController().signal });
    if (this.#head === before) this.#replace(view);
  }

  async #fetchManifest(view: GenerationView, before: GenerationView | null, signal: AbortSignal): Promise<void> {
    try {
      await this.#fetch.fetchAll(view, { signal });
      if (this.#head === view) this.#listener.learned(view, await this.#changedBetween(before, view));
    } catch (error) {
      if (!signal.aborted) this.#listener.warn('the manifest could not be fetched', error);
      throw error;
    } finally {
      if (this.#head === view) this.#manifest = null;
    }
  }

  async #changedBetween(
    before: GenerationView | null,
    after: GenerationView,
  ): Promise<{ since: Generation['id']; pieces: RangeSet } | null> {
    if (before === null || before.piecesTotal !== after.piecesTotal) return null;
    const differences: LeafChange[] = [];
    try {
      for await (const change of compareLeaves(this.#ref(before), this.#ref(after), this.#pages))
        differences.push(change);
    } catch (error) {
      if (hasCode(error, 'CHUNK_NOT_FOUND')) return null;
      throw error;
    }
    this.history.moved(before, after, differences);
    return { since: before.subject.generation, pieces: changedPieces(differences) };
  }

  #replace(view: GenerationView): void {
    this.#learning.abort(new DiskswarmError('ABORTED', 'a newer generation took its place'));
    this.#learning = new AbortController();
    this.#manifest = null;
    this.#head = view;
    this.#listener.headChanged(view);
  }

  #newView(generation: Generation): GenerationView {
    return new GenerationView(this.#subject(generation), this.#store, this.#pages);
  }

  #subject(generation: Generation): GenerationView['subject'] {
    return { disk: this.#disk, generation: generation.id, root: generation.root, geometry: this.#geometry(generation) };
  }

  #geometry(generation: Generation): Geometry {
    return new Geometry(generation.sizeBytes, this.#chunkSizeBytes);
  }

  #ref(view: GenerationView): { root: PageId; pieces: number } {
    return { root: view.subject.root, pieces: view.piecesTotal };
  }
}

function changedPieces(differences: readonly LeafChange[]): RangeSet {
  const pieces = new RangeSet();
  for (const { leaf, before, after } of differences) {
    for (let slot = 0; slot < PAGE_FANOUT; slot++) {
      if (!sameIdAt(before, after, slot)) pieces.add((leaf * PAGE_FANOUT + slot) as PieceIndex);
    }
  }
  return pieces;
}
