/**
 * What this host has of one generation: which leaves of its manifest are here, and which of their pieces.
 *
 * One bit per piece and per leaf, so a disk of a TiB takes 2 MiB. A new generation starts from the view of the one before it and changes where the
 * manifests differ. Presence means: the chunk is in the store and admitted to this disk. Zero pieces are neither present nor missing.
 */

import { RangeSet } from '@diskswarm/bitfield';
import type { Geometry } from '@diskswarm/chunk';
import {
  type ChunkId,
  type ChunkStore,
  type DiskId,
  type GenerationId,
  hasCode,
  ID_BYTES,
  idFromBytes,
  PAGE_FANOUT,
  type PageId,
  type PieceIndex,
  ZERO_ID,
} from '@diskswarm/core';
import { levelsFor, ManifestReader, slotSpan, ZERO_PAGE } from '@diskswarm/manifest';
import { Bitmap } from './bitmap.ts';
import type { DiskPages } from './disk-pages.ts';

export interface ViewSubject {
  readonly disk: DiskId;
  readonly generation: GenerationId;
  readonly root: PageId;
  readonly geometry: Geometry;
}

/** What a view knows of one leaf that differs from its parent's: its page in both. */
export interface LeafDifference {
  readonly leaf: number;
  readonly before: Uint8Array;
  readonly after: Uint8Array;
}

export class GenerationView {
  readonly subject: ViewSubject;
  readonly reader: ManifestReader;
  readonly leaves: number;
  readonly #store: ChunkStore;
  readonly #pages: DiskPages;
  readonly #present: Bitmap;
  /** Present, and synced: what peers may be told. */
  readonly #durable: Bitmap;
  readonly #known: Bitmap;
  #zeros = 0;

  constructor(subject: ViewSubject, store: ChunkStore, pages: DiskPages) {
    this.subject = subject;
    this.#store = store;
    this.#pages = pages;
    this.leaves = Math.ceil(subject.geometry.pieces / PAGE_FANOUT);
    this.reader = new ManifestReader({ root: subject.root, pieces: subject.geometry.pieces, source: pages });
    this.#present = new Bitmap(subject.geometry.pieces);
    this.#durable = new Bitmap(subject.geometry.pieces);
    this.#known = new Bitmap(this.leaves);
  }

  get piecesTotal(): number {
    return this.subject.geometry.pieces;
  }

  /** Zero pieces of the leaves that are known. */
  get piecesZero(): number {
    return this.#zeros;
  }

  get piecesPresent(): number {
    return this.#present.count;
  }

  /** Every page and every chunk is here. */
  get complete(): boolean {
    return this.#known.count === this.leaves && this.#present.count + this.#zeros === this.piecesTotal;
  }

  get allLeavesKnown(): boolean {
    return this.#known.count === this.leaves;
  }

  leafKnown(leaf: number): boolean {
    return this.#known.has(leaf);
  }

  has(piece: PieceIndex): boolean {
    return this.#present.has(piece);
  }

  /** A chunk came; false when it was here. */
  addPiece(piece: PieceIndex): boolean {
    return this.#present.add(piece);
  }

  /** A chunk that came was synced. */
  markDurable(piece: PieceIndex): void {
    if (this.#present.has(piece)) this.#durable.add(piece);
  }

  /** A chunk was found damaged and dropped. */
  dropPiece(piece: PieceIndex): void {
    this.#present.remove(piece);
    this.#durable.remove(piece);
  }

  /** Takes a leaf's page into account; `page` is verified, and chunks of it that are in the store are durable. */
  learnLeaf(leaf: number, page: Uint8Array): void {
    if (!this.#known.add(leaf)) return;
    const first = leaf * PAGE_FANOUT;
    const count = Math.min(PAGE_FANOUT, this.piecesTotal - first);
    if (page === ZERO_PAGE) {
      this.#zeros += count;
      return;
    }
    for (let slot = 0; slot < count; slot++) {
      const id = idFromBytes<ChunkId>(page, slot * ID_BYTES);
      if (id === ZERO_ID) this.#zeros++;
      else if (this.#store.has(id, this.subject.disk)) {
        this.#present.add(first + slot);
        this.#durable.add(first + slot);
      }
    }
  }

  /** Forgets a leaf, to learn its new page. */
  #forgetLeaf(leaf: number, oldPage: Uint8Array): void {
    if (!this.#known.remove(leaf)) return;
    const first = leaf * PAGE_FANOUT;
    const count = Math.min(PAGE_FANOUT, this.piecesTotal - first);
    for (let slot = 0; slot < count; slot++) {
      this.dropPiece((first + slot) as PieceIndex);
      if (idFromBytes<ChunkId>(oldPage, slot * ID_BYTES) === ZERO_ID) this.#zeros--;
    }
  }

  /** Learns one leaf, if its pages are in the store; false when they are not at hand. */
  async learnLeafFromStore(leaf: number): Promise<boolean> {
    if (this.#known.has(leaf)) return true;
    if ((await this.reader.missingOnPath((leaf * PAGE_FANOUT) as PieceIndex)) !== null) return false;
    const page = await this.reader.leaf(leaf);
    if (this.#pages.allStored) this.learnLeaf(leaf, page);
    return true;
  }

  /** Learns every leaf whose pages are in the store; the others stay unknown. */
  async learnFromStore({ signal }: { signal: AbortSignal }): Promise<void> {
    await this.#learnSubtree(this.subject.root, levelsFor(this.piecesTotal) - 1, 0, signal);
  }

  async #learnSubtree(id: PageId, level: number, index: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (id === ZERO_ID) {
      const from = index * slotSpan(level);
      const to = Math.min(this.leaves, from + slotSpan(level));
      for (let leaf = from; leaf < to; leaf++) this.learnLeaf(leaf, ZERO_PAGE);
      return;
    }
    if (!this.#pages.has(id) || (level === 0 && this.#known.has(index))) return;
    const page = await unlessGone(this.#pages.get(id));
    if (page === null) return;
    if (level === 0) {
      this.learnLeaf(index, page);
      return;
    }
    for (let slot = 0; slot < PAGE_FANOUT; slot++) {
      const child = index * PAGE_FANOUT + slot;
      if (child * slotSpan(level - 1) >= this.leaves) return;
      await this.#learnSubtree(idFromBytes<PageId>(page, slot * ID_BYTES), level - 1, child, signal);
    }
  }

  /** The view of the next generation of the same size, which differs from this one in `differences` and nowhere else. */
  derive(subject: ViewSubject, differences: readonly LeafDifference[]): GenerationView {
    const next = new GenerationView(subject, this.#store, this.#pages);
    next.#present.copyFrom(this.#present);
    next.#durable.copyFrom(this.#durable);
    next.#known.copyFrom(this.#known);
    next.#zeros = this.#zeros;
    for (const { leaf, before, after } of differences) {
      next.#forgetLeaf(leaf, before);
      next.learnLeaf(leaf, after);
    }
    return next;
  }

  /** The pieces that are durable here, as runs: what a peer is told. */
  durablePieces(): RangeSet {
    const set = new RangeSet();
    for (const [from, to] of this.#durable.runs()) set.add(from, to);
    return set;
  }

  /** Pieces of a known leaf that are missing here. */
  async missingIn(leaf: number): Promise<{ piece: PieceIndex; id: ChunkId }[]> {
    const page = await this.reader.leaf(leaf);
    const missing: { piece: PieceIndex; id: ChunkId }[] = [];
    const first = leaf * PAGE_FANOUT;
    const count = Math.min(PAGE_FANOUT, this.piecesTotal - first);
    for (let slot = 0; slot < count; slot++) {
      const piece = (first + slot) as PieceIndex;
      if (this.#present.has(piece)) continue;
      const id = idFromBytes<ChunkId>(page, slot * ID_BYTES);
      if (id !== ZERO_ID) missing.push({ piece, id });
    }
    return missing;
  }
}

/** Null for a page that proves to be damaged, or cannot be read now: nothing below it is known, then. */
async function unlessGone(reading: Promise<Uint8Array>): Promise<Uint8Array | null> {
  try {
    return await reading;
  } catch (error) {
    if (hasCode(error, 'CHUNK_NOT_FOUND') || hasCode(error, 'READ_FAILED')) return null;
    throw error;
  }
}
