/**
 * What is known of each piece of the base: zero, absent, or present at a place, verified or not; one table per touched leaf.
 *
 * Memory follows what is touched: some 3 KiB per leaf (16 MiB of disk at 64 KiB chunks), nothing for a leaf that is all zero.
 * Ids are needed only until a chunk is verified, so their pages stand in a small cache. Leaves asking and reading to piece-table.ts.
 */
import { isZero } from '@diskswarm/chunk';
import { type ChunkId, type ChunkLocation, ID_BYTES, idFromBytes, PAGE_FANOUT } from '@diskswarm/core';
import type { LeafView } from './base-resolver.ts';

/** States of a piece. From `verified` on its bytes were checked in this run; `warm` ones were read lately and are surely cached. */
export const PIECE = { unknown: 0, zero: 1, absent: 2, present: 3, verified: 4, warm: 5 } as const;
export type PieceState = (typeof PIECE)[keyof typeof PIECE];

/** Pages of ids kept for pieces that wait to be verified: 2 MiB. */
const MAX_ID_PAGES = 256;

interface LeafTable {
  readonly states: Uint8Array;
  /** Index of the pack, as given by PackFiles. */
  readonly packs: Uint32Array;
  readonly positions: Float64Array;
}

export class PieceStates {
  readonly #indexOfPack: (path: string) => number;
  readonly #pathOfPack: (index: number) => string;
  readonly #chunkSizeBytes: number;
  readonly #leaves = new Map<number, LeafTable | 'zero'>();
  readonly #ids = new Map<number, Uint8Array>();

  constructor(chunkSizeBytes: number, packs: { indexOf(path: string): number; pathOf(index: number): string }) {
    this.#chunkSizeBytes = chunkSizeBytes;
    this.#indexOfPack = (path) => packs.indexOf(path);
    this.#pathOfPack = (index) => packs.pathOf(index);
  }

  get(piece: number): PieceState {
    const leaf = this.#leaves.get(Math.floor(piece / PAGE_FANOUT));
    if (leaf === undefined) return PIECE.unknown;
    if (leaf === 'zero') return PIECE.zero;
    return leaf.states[piece % PAGE_FANOUT] as PieceState;
  }

  /** Only for pieces from `present` on. */
  packOf(piece: number): number {
    return this.#table(piece).packs[piece % PAGE_FANOUT]!;
  }

  /** Only for pieces from `present` on. */
  positionOf(piece: number): number {
    return this.#table(piece).positions[piece % PAGE_FANOUT]!;
  }

  locationOf(piece: number): ChunkLocation {
    return {
      path: this.#pathOfPack(this.packOf(piece)),
      positionBytes: this.positionOf(piece),
      lengthBytes: this.#chunkSizeBytes,
    };
  }

  /** Only for pieces whose leaf is known and not zero. */
  set(piece: number, state: PieceState): void {
    this.#table(piece).states[piece % PAGE_FANOUT] = state;
  }

  /** The id a piece is verified against; null when its page has left the cache. */
  idOf(piece: number): ChunkId | null {
    const page = this.#ids.get(Math.floor(piece / PAGE_FANOUT));
    return page === undefined ? null : idFromBytes(page, (piece % PAGE_FANOUT) * ID_BYTES);
  }

  /** Takes in a view. What was verified at the same place stays so; a place we hold is kept when the view has none. */
  install(view: LeafView): void {
    if (isZero(view.ids)) {
      this.#leaves.set(view.leaf, 'zero');
      return;
    }
    this.#ids.delete(view.leaf);
    this.#ids.set(view.leaf, view.ids);
    for (const [oldest] of this.#ids) {
      if (this.#ids.size <= MAX_ID_PAGES) break;
      this.#ids.delete(oldest);
    }
    const known = this.#leaves.get(view.leaf);
    const isNew = known === undefined || known === 'zero';
    const table = isNew ? emptyTable() : known;
    if (isNew) this.#leaves.set(view.leaf, table);
    const from = view.first ?? 0;
    const to = from + view.locations.length;
    for (let slot = isNew ? 0 : from; slot < (isNew ? PAGE_FANOUT : to); slot++) {
      this.#installSlot(table, slot, view.ids, view.locations[slot - from] ?? null);
    }
  }

  /** What was verified counts as merely present from now on. */
  distrust(): void {
    for (const table of this.#leaves.values()) {
      if (table === 'zero') continue;
      for (let slot = 0; slot < PAGE_FANOUT; slot++) {
        if (table.states[slot]! > PIECE.present) table.states[slot] = PIECE.present;
      }
    }
  }

  /** Forgets leaves whose pieces changed. */
  forget(leaves: Iterable<number>): void {
    for (const leaf of leaves) {
      this.#leaves.delete(leaf);
      this.#ids.delete(leaf);
    }
  }

  /** True when every piece of the leaf is known and none is absent: nothing can have arrived since. */
  isComplete(leaf: number): boolean {
    const table = this.#leaves.get(leaf);
    return table === 'zero' || (table !== undefined && !table.states.includes(PIECE.absent));
  }

  #installSlot(table: LeafTable, slot: number, ids: Uint8Array, location: ChunkLocation | null): void {
    if (isZero(ids.subarray(slot * ID_BYTES, (slot + 1) * ID_BYTES))) {
      table.states[slot] = PIECE.zero;
      return;
    }
    const state = table.states[slot]!;
    if (location === null) {
      if (state < PIECE.present) table.states[slot] = PIECE.absent;
      return;
    }
    const pack = this.#indexOfPack(location.path);
    if (state >= PIECE.present && table.packs[slot] === pack && table.positions[slot] === location.positionBytes)
      return;
    table.states[slot] = PIECE.present;
    table.packs[slot] = pack;
    table.positions[slot] = location.positionBytes;
  }

  #table(piece: number): LeafTable {
    const table = this.#leaves.get(Math.floor(piece / PAGE_FANOUT));
    if (table === undefined || table === 'zero') throw new Error(`piece ${piece} has no place`);
    return table;
  }
}

function emptyTable(): LeafTable {
  return {
    states: new Uint8Array(PAGE_FANOUT),
    packs: new Uint32Array(PAGE_FANOUT),
    positions: new Float64Array(PAGE_FANOUT),
  };
}
