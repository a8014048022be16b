/**
 * New manifests from old ones: changed pieces, and a larger disk. Only the pages on changed paths are read and put;
 * everything else is shared with the old manifest. Children are put before their parents.
 */
import { type ChunkId, PAGE_BYTES, PAGE_FANOUT, type PageId, type PieceIndex, ZERO_ID } from '@diskswarm/core';
import { checkPageShape, levelsFor, slotSpan } from './layout.ts';
import { idAt, pageIdOf, setIdAt } from './page.ts';
import type { PageSink, PageSource } from './page-ports.ts';

/** A piece and the id it gets. */
export type PieceChange = readonly [piece: PieceIndex, id: ChunkId];

/** What `updateManifest` works on. */
export interface UpdateOptions {
  readonly root: PageId;
  readonly pieces: number;
  readonly source: PageSource;
  readonly sink: PageSink;
  /** In strictly rising order of pieces. */
  readonly changes: Iterable<PieceChange> | AsyncIterable<PieceChange>;
}

/** The root after `changes`; equal to the old one when nothing differs. Holds one page per level in memory. */
export async function updateManifest(options: UpdateOptions): Promise<PageId> {
  const update = new Update(options);
  let last = -1;
  for await (const [piece, id] of options.changes) {
    if (piece <= last || piece >= options.pieces)
      throw new RangeError(`piece ${piece} after ${last}, of ${options.pieces}`);
    last = piece;
    await update.set(piece, id);
  }
  return update.finish();
}

/**
 * The root of the same content on a larger disk: where that needs more levels, the old root becomes child 0 of the new ones.
 * The new pieces are zero.
 */
export async function growRoot(root: PageId, fromPieces: number, toPieces: number, sink: PageSink): Promise<PageId> {
  if (toPieces < fromPieces) throw new RangeError(`a disk of ${fromPieces} pieces cannot shrink to ${toPieces}`);
  let grown = root;
  for (let level = levelsFor(fromPieces); level < levelsFor(toPieces) && grown !== ZERO_ID; level++) {
    const page = new Uint8Array(PAGE_BYTES);
    setIdAt(page, 0, grown);
    grown = pageIdOf(page);
    await sink.put(grown, page);
  }
  return grown;
}

interface OpenPage {
  readonly index: number;
  readonly id: PageId;
  readonly page: Uint8Array;
  changed: boolean;
}

/** The open path from the root down to the last changed leaf. */
class Update {
  readonly #options: UpdateOptions;
  readonly #levels: number;
  /** By level; pages below the lowest open one are absent. */
  readonly #open: (OpenPage | undefined)[] = [];
  #root: PageId;

  constructor(options: UpdateOptions) {
    this.#options = options;
    this.#levels = levelsFor(options.pieces);
    this.#root = options.root;
  }

  async set(piece: PieceIndex, id: ChunkId): Promise<void> {
    const leafIndex = Math.floor(piece / PAGE_FANOUT);
    if (this.#open[0]?.index !== leafIndex) await this.#moveTo(piece);
    const leaf = this.#open[0]!;
    const slot = piece % PAGE_FANOUT;
    if (idAt(leaf.page, slot) === id) return;
    setIdAt(leaf.page, slot, id);
    leaf.changed = true;
  }

  async finish(): Promise<PageId> {
    for (let level = 0; level < this.#levels; level++) await this.#close(level);
    return this.#root;
  }

  /** Closes what does not lead to `piece`, then opens down to its leaf. */
  async #moveTo(piece: PieceIndex): Promise<void> {
    const indexAt = (level: number): number => Math.floor(piece / slotSpan(level + 1));
    for (let level = 0; level < this.#levels && this.#open[level]?.index !== indexAt(level); level++)
      await this.#close(level);
    for (let level = this.#levels - 1; level >= 0; level--) {
      if (this.#open[level] === undefined) this.#open[level] = await this.#load(level, indexAt(level));
    }
  }

  async #load(level: number, index: number): Promise<OpenPage> {
    const parent = this.#open[level + 1];
    const id = parent === undefined ? this.#root : idAt(parent.page, index % PAGE_FANOUT);
    const page = new Uint8Array(PAGE_BYTES);
    if (id !== ZERO_ID) {
      const bytes = await this.#options.source.get(id);
      checkPageShape(bytes, { level, index }, this.#options.pieces);
      page.set(bytes);
    }
    return { index, id, page, changed: false };
  }

  async #close(level: number): Promise<void> {
    const open = this.#open[level];
    this.#open[level] = undefined;
    if (open === undefined || !open.changed) return;
    const id = pageIdOf(open.page);
    if (id === open.id) return;
    if (id !== ZERO_ID) await this.#options.sink.put(id, open.page);
    const parent = this.#open[level + 1];
    if (parent === undefined) {
      this.#root = id;
      return;
    }
    setIdAt(parent.page, open.index % PAGE_FANOUT, id);
    parent.changed = true;
  }
}
