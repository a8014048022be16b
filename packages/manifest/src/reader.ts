/**
 * Reads one manifest. Remembers the last page of each level, so neighbouring pieces cost nothing; keeps nothing else.
 */
import { type ChunkId, hasCode, PAGE_FANOUT, type PageId, type PieceIndex, ZERO_ID } from '@diskswarm/core';
import { fetchAhead } from './fetch-ahead.ts';
import { checkPageShape, levelsFor, type PagePosition, pathOf } from './layout.ts';
import { idAt, ZERO_PAGE } from './page.ts';
import type { PageSource } from './page-ports.ts';

/** A page by its place and id. */
export interface NamedPage extends PagePosition {
  readonly id: PageId;
}

/** A leaf that is not all zero. The page is only read. */
export interface Leaf {
  /** Its first piece is `leaf * 256`. */
  readonly leaf: number;
  readonly page: Uint8Array;
}

export class ManifestReader {
  readonly root: PageId;
  readonly pieces: number;
  readonly levels: number;
  readonly #source: PageSource;
  readonly #last: ({ readonly id: PageId; readonly index: number; readonly page: Uint8Array } | undefined)[] = [];

  constructor({ root, pieces, source }: { root: PageId; pieces: number; source: PageSource }) {
    this.root = root;
    this.pieces = pieces;
    this.levels = levelsFor(pieces);
    this.#source = source;
  }

  /** The id of a piece; the zero id for holes. Errors are those of the source, and FORMAT_INVALID. */
  async idOf(piece: PieceIndex): Promise<ChunkId> {
    this.#check(piece);
    return idAt(await this.leaf(Math.floor(piece / PAGE_FANOUT)), piece % PAGE_FANOUT);
  }

  /** The leaf page of pieces `leafIndex * 256` on, shared: only read it. A zero leaf is the zero page. */
  async leaf(leafIndex: number): Promise<Uint8Array> {
    const piece = (leafIndex * PAGE_FANOUT) as PieceIndex;
    this.#check(piece);
    let page: Uint8Array = ZERO_PAGE;
    let id = this.root;
    for (const step of pathOf(piece, this.levels)) {
      if (id === ZERO_ID) return ZERO_PAGE;
      page = await this.#page({ ...step, id });
      id = idAt(page, step.slot);
    }
    return page;
  }

  /** All leaves that are not zero, in order, several being fetched ahead; zero subtrees are skipped unread. */
  async *leaves(): AsyncGenerator<Leaf, void> {
    yield* fetchAhead(this.#leafNames(this.root, this.levels - 1, 0), async ({ index, id }) => ({
      leaf: index,
      page: await this.#fetch({ level: 0, index, id }),
    }));
  }

  /** The first page on a piece's path that the source does not have (CHUNK_NOT_FOUND), or null when all are there. */
  async missingOnPath(piece: PieceIndex): Promise<NamedPage | null> {
    this.#check(piece);
    let id = this.root;
    for (const { level, index, slot } of pathOf(piece, this.levels)) {
      if (id === ZERO_ID) return null;
      try {
        id = idAt(await this.#page({ level, index, id }), slot);
      } catch (error) {
        if (hasCode(error, 'CHUNK_NOT_FOUND')) return { level, index, id };
        throw error;
      }
    }
    return null;
  }

  /** The pages of a piece's path from `fromLevel` down, ending early at a zero subtree: what a peer is sent. */
  async pathPages(piece: PieceIndex, fromLevel: number): Promise<Uint8Array[]> {
    this.#check(piece);
    const pages: Uint8Array[] = [];
    let id = this.root;
    for (const { level, index, slot } of pathOf(piece, this.levels)) {
      if (id === ZERO_ID) break;
      const page = await this.#page({ level, index, id });
      if (level <= fromLevel) pages.push(page);
      id = idAt(page, slot);
    }
    return pages;
  }

  async *#leafNames(id: PageId, level: number, index: number): AsyncGenerator<{ index: number; id: PageId }, void> {
    if (id === ZERO_ID) return;
    if (level === 0) {
      yield { index, id };
      return;
    }
    const page = await this.#fetch({ level, index, id });
    for (let slot = 0; slot < PAGE_FANOUT; slot++)
      yield* this.#leafNames(idAt(page, slot), level - 1, index * PAGE_FANOUT + slot);
  }

  async #page(named: NamedPage): Promise<Uint8Array> {
    const last = this.#last[named.level];
    if (last?.id === named.id && last.index === named.index) return last.page;
    const page = await this.#fetch(named);
    this.#last[named.level] = { id: named.id, index: named.index, page };
    return page;
  }

  async #fetch({ level, index, id }: NamedPage): Promise<Uint8Array> {
    const page = await this.#source.get(id);
    checkPageShape(page, { level, index }, this.pieces);
    return page;
  }

  #check(piece: number): void {
    if (!Number.isInteger(piece) || piece < 0 || piece >= this.pieces)
      throw new RangeError(`piece ${piece} of ${this.pieces}`);
  }
}
