/**
 * Builds a manifest from ids in piece order, keeping one open page per level: memory does not grow with the disk.
 *
 * Runs of zeros are taken as whole subtrees, so a hole of terabytes costs a few slots.
 */
import { type ChunkId, PAGE_BYTES, PAGE_FANOUT, type PageId, ZERO_ID } from '@diskswarm/core';
import { levelsFor, slotSpan } from './layout.ts';
import { pageIdOf, setIdAt } from './page.ts';
import type { PageSink } from './page-ports.ts';

export class ManifestBuilder {
  readonly #pieces: number;
  readonly #levels: number;
  readonly #sink: PageSink;
  /** The open page of each level; null while all its slots are zero. */
  readonly #open: (Uint8Array | null)[];
  #position = 0;
  #root: PageId = ZERO_ID;

  constructor({ pieces, sink }: { pieces: number; sink: PageSink }) {
    this.#pieces = pieces;
    this.#levels = levelsFor(pieces);
    this.#sink = sink;
    this.#open = new Array<Uint8Array | null>(this.#levels).fill(null);
  }

  /** Ids taken so far. */
  get position(): number {
    return this.#position;
  }

  /** The next piece's id. Returns a promise only when a page was completed; do not add before it settles. */
  add(id: ChunkId): void | Promise<void> {
    this.#claim(1);
    this.#set(0, this.#position, id);
    this.#position++;
    if (this.#position % PAGE_FANOUT === 0) return this.#closeComplete(0);
  }

  /** The next `count` pieces are zero. */
  async addZeros(count: number): Promise<void> {
    this.#claim(count);
    const end = this.#position + count;
    while (this.#position < end) {
      let level = 0;
      while (
        level < this.#levels - 1 &&
        this.#position % slotSpan(level + 1) === 0 &&
        this.#position + slotSpan(level + 1) <= end
      )
        level++;
      this.#position += slotSpan(level);
      if (this.#position % slotSpan(level + 1) === 0) await this.#closeComplete(level);
    }
  }

  /** Puts the pages still open and returns the root. Every piece must have been added. */
  async finish(): Promise<PageId> {
    if (this.#position !== this.#pieces) throw new RangeError(`${this.#position} of ${this.#pieces} pieces were added`);
    for (let level = 0; level < this.#levels; level++) {
      if (this.#position % slotSpan(level + 1) !== 0) await this.#close(level);
    }
    return this.#root;
  }

  #claim(count: number): void {
    if (!Number.isInteger(count) || count < 0 || this.#position + count > this.#pieces) {
      throw new RangeError(`${count} more than ${this.#position} of ${this.#pieces} pieces`);
    }
  }

  /** `entry` counts the slots of the level from the start of the disk. */
  #set(level: number, entry: number, id: ChunkId): void {
    if (id === ZERO_ID) return;
    const page = this.#open[level] ?? new Uint8Array(PAGE_BYTES);
    this.#open[level] = page;
    setIdAt(page, entry % PAGE_FANOUT, id);
  }

  /** Closes the page of `level` that the position just completed, and every parent that this completes. */
  async #closeComplete(level: number): Promise<void> {
    for (let at = level; at < this.#levels && this.#position % slotSpan(at + 1) === 0; at++) await this.#close(at);
  }

  async #close(level: number): Promise<void> {
    const page = this.#open[level] ?? null;
    this.#open[level] = null;
    const id = page === null ? ZERO_ID : pageIdOf(page);
    if (level === this.#levels - 1) this.#root = id;
    else this.#set(level + 1, Math.ceil(this.#position / slotSpan(level + 1)) - 1, id);
    if (page !== null) await this.#sink.put(id, page);
  }
}
