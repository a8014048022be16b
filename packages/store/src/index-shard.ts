/**
 * One of the 256 parts of the chunk index: an open-addressing table over dense columns.
 *
 * An entry keeps its ordinal for life, so that others may hold on to it; freed ordinals are reused. Slots hold ordinals,
 * probed linearly; a removal shifts back what probed past it, so that there are no tombstones. Parts are small: growing one
 * costs well under a millisecond, where growing a single table of millions would stop the process for a tenth of a second.
 */
import type { Key } from './key.ts';

const FIRST_ENTRIES = 64;
const GROWTH = 1.25;
/** Slots are doubled beyond this part in use. */
const MAX_LOAD = 0.8;
/** `pack` of an ordinal that is free; its `position` is the next free one. No pack has this number. */
export const FREE = 0;

export class IndexShard {
  /** Four words per entry. */
  keys = new Uint32Array(FIRST_ENTRIES * 4);
  packs = new Uint32Array(FIRST_ENTRIES);
  positions = new Uint32Array(FIRST_ENTRIES);
  lengths = new Uint32Array(FIRST_ENTRIES);
  sets = new Uint32Array(FIRST_ENTRIES);
  /** Ordinals from here on were never used. */
  end = 0;
  count = 0;
  #firstFree = -1;
  #slots = new Uint32Array(128);

  /** Ordinal of the entry with that key, or -1. */
  find(key: Key): number {
    const mask = this.#slots.length - 1;
    for (let slot = key[1]! & mask; ; slot = (slot + 1) & mask) {
      const ordinal = this.#slots[slot]! - 1;
      if (ordinal < 0) return -1;
      const at = ordinal * 4;
      const keys = this.keys;
      if (keys[at + 1] === key[1] && keys[at] === key[0] && keys[at + 2] === key[2] && keys[at + 3] === key[3])
        return ordinal;
    }
  }

  /** Adds an entry that is not there yet; the columns beside the key are the caller's to fill, `packs` with a number from 1. */
  insert(key: Key): number {
    if (this.count + 1 > this.#slots.length * MAX_LOAD) this.#rehash(this.#slots.length * 2);
    let ordinal = this.#firstFree;
    if (ordinal >= 0) {
      this.#firstFree = this.positions[ordinal]! - 1;
    } else {
      ordinal = this.end++;
      if (ordinal === this.packs.length) this.#growColumns();
    }
    this.keys.set(key, ordinal * 4);
    this.#place(ordinal);
    this.count++;
    return ordinal;
  }

  remove(ordinal: number): void {
    const mask = this.#slots.length - 1;
    let hole = this.keys[ordinal * 4 + 1]! & mask;
    while (this.#slots[hole] !== ordinal + 1) hole = (hole + 1) & mask;
    for (let slot = (hole + 1) & mask; this.#slots[slot] !== 0; slot = (slot + 1) & mask) {
      const home = this.keys[(this.#slots[slot]! - 1) * 4 + 1]! & mask;
      // What still lies at or behind its home without crossing the hole stays.
      if (((slot - home) & mask) < ((slot - hole) & mask)) continue;
      this.#slots[hole] = this.#slots[slot]!;
      hole = slot;
    }
    this.#slots[hole] = 0;
    this.packs[ordinal] = FREE;
    this.positions[ordinal] = this.#firstFree + 1;
    this.#firstFree = ordinal;
    this.count--;
  }

  /** Bytes of all columns and slots. */
  get memoryBytes(): number {
    return this.packs.length * 32 + this.#slots.byteLength;
  }

  #place(ordinal: number): void {
    const mask = this.#slots.length - 1;
    let slot = this.keys[ordinal * 4 + 1]! & mask;
    while (this.#slots[slot] !== 0) slot = (slot + 1) & mask;
    this.#slots[slot] = ordinal + 1;
  }

  #rehash(slotCount: number): void {
    this.#slots = new Uint32Array(slotCount);
    for (let ordinal = 0; ordinal < this.end; ordinal++) if (this.packs[ordinal] !== FREE) this.#place(ordinal);
  }

  #growColumns(): void {
    const length = Math.ceil(this.packs.length * GROWTH);
    this.keys = grown(this.keys, length * 4);
    this.packs = grown(this.packs, length);
    this.positions = grown(this.positions, length);
    this.lengths = grown(this.lengths, length);
    this.sets = grown(this.sets, length);
  }
}

function grown(column: Uint32Array<ArrayBuffer>, length: number): Uint32Array<ArrayBuffer> {
  const larger = new Uint32Array(length);
  larger.set(column);
  return larger;
}
