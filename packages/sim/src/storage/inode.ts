/**
 * The content of one simulated file: what reads see now, and what the medium holds.
 *
 * Pages of 4 KiB, made when first written, so files may be sparse and large. A page is copied before its first write
 * after a sync, so the medium's version is never touched by later writes. What is not durable is known by 512-byte
 * sector: a power cut decides for each of them alone, which is how writes tear.
 */
import { BLOCK_BYTES, SECTOR_BYTES } from '@diskswarm/core';
import type { SeededRandom } from '../seeded-random.ts';

const ALL_SECTORS = 2 ** (BLOCK_BYTES / SECTOR_BYTES) - 1;

/** Page contents by page number; an absent page is zero. */
type Pages = Map<number, Uint8Array>;

/** Pages handed to the medium by one sync, until it has taken them. */
interface Writeback {
  readonly pages: Pages;
  /** Which sectors of each page are on their way, as bits. */
  readonly sectors: ReadonlyMap<number, number>;
  readonly sizeBytes: number;
}

export class Inode {
  #current: Pages = new Map();
  #durable: Pages = new Map();
  #dirty = new Map<number, number>();
  #writebacks: Writeback[] = [];
  #durableSizeBytes = 0;
  /** True while pages beyond the end may still hold room. */
  #cutOff = false;
  /** The size that reads see. */
  sizeBytes = 0;
  /** When the last sync that was begun ends: syncs of one file end in their order. */
  syncEndsUs = 0;

  /** Pages that take room on the disk. */
  get pageCount(): number {
    return this.#current.size;
  }

  /** How many of the first bytes of a write fit when `room` pages are left. */
  fitting(positionBytes: number, lengthBytes: number, room: number): number {
    let left = room;
    for (const { page, from } of spans(positionBytes, lengthBytes)) {
      if (!this.#current.has(page) && --left < 0) return from;
    }
    return lengthBytes;
  }

  /** Bytes read; short at the end of the file. */
  read(into: Uint8Array, positionBytes: number): number {
    const length = Math.max(0, Math.min(into.length, this.sizeBytes - positionBytes));
    for (const { page, start, from, to } of spans(positionBytes, length)) {
      const bytes = this.#current.get(page);
      if (bytes === undefined) into.fill(0, from, to);
      else into.set(bytes.subarray(start, start + to - from), from);
    }
    return length;
  }

  write(data: Uint8Array, positionBytes: number): void {
    for (const { page, start, from, to } of spans(positionBytes, data.length)) {
      this.#writable(page, start, to - from).set(data.subarray(from, to), start);
    }
    this.sizeBytes = Math.max(this.sizeBytes, positionBytes + data.length);
  }

  truncate(sizeBytes: number): void {
    for (const page of [...this.#current.keys()]) {
      const start = Math.max(0, sizeBytes - page * BLOCK_BYTES);
      if (start >= BLOCK_BYTES || page * BLOCK_BYTES >= this.sizeBytes) continue;
      this.#writable(page, start, BLOCK_BYTES - start).fill(0, start);
      if (start > 0 || this.#durable.has(page) || this.#writebacks.some(({ pages }) => pages.has(page))) continue;
      this.#current.delete(page); // Never handed to the medium: nothing to undo there.
      this.#dirty.delete(page);
    }
    this.#cutOff ||= sizeBytes < this.sizeBytes;
    this.sizeBytes = sizeBytes;
  }

  /** Hands what is dirty to the medium; `finishSync` says whether it arrived. */
  beginSync(): Writeback {
    const writeback = {
      pages: new Map([...this.#dirty.keys()].map((page) => [page, this.#current.get(page)!])),
      sectors: this.#dirty,
      sizeBytes: this.sizeBytes,
    };
    this.#dirty = new Map();
    this.#writebacks.push(writeback);
    return writeback;
  }

  /** A failed sync leaves its pages clean and lost, as Linux does: some still readable until they are evicted, some not. */
  finishSync(writeback: Writeback, failed: boolean, random: SeededRandom): void {
    this.#writebacks = this.#writebacks.filter((other) => other !== writeback);
    if (!failed) {
      for (const [page, bytes] of writeback.pages) this.#durable.set(page, bytes);
      this.#durableSizeBytes = writeback.sizeBytes;
      this.#dropBeyondEnd();
      return;
    }
    for (const [page, bytes] of writeback.pages) {
      if (this.#current.get(page) !== bytes || random.chance(0.5)) continue;
      this.#current.set(page, this.#durable.get(page)?.slice() ?? new Uint8Array(BLOCK_BYTES));
    }
  }

  /** The process that asked for syncs is gone: what was on its way is dirty again. */
  abandonSyncs(): void {
    for (const { sectors } of this.#writebacks) {
      for (const [page, mask] of sectors) this.#dirty.set(page, (this.#dirty.get(page) ?? 0) | mask);
    }
    this.#writebacks = [];
  }

  /** What a power cut leaves: of each sector that was not durable, the old or one of the newer contents. */
  powerCut(random: SeededRandom): void {
    const stages = [...this.#writebacks, { pages: this.#current, sectors: this.#dirty, sizeBytes: this.sizeBytes }];
    const medium: Pages = new Map(this.#durable);
    for (const { pages, sectors } of stages) {
      for (const [page, mask] of [...sectors].sort(([a], [b]) => a - b)) {
        const merged = (medium.get(page) ?? new Uint8Array(BLOCK_BYTES)).slice();
        const whole = random.below(3); // Often all or nothing of a page, else each sector for itself.
        for (let sector = 0; sector < BLOCK_BYTES / SECTOR_BYTES; sector++) {
          const kept = whole === 0 ? false : whole === 1 ? true : random.chance(0.5);
          const start = sector * SECTOR_BYTES;
          if (kept && (mask & (1 << sector)) !== 0)
            merged.set(pages.get(page)!.subarray(start, start + SECTOR_BYTES), start);
        }
        medium.set(page, merged);
      }
    }
    const size = random.pick([this.#durableSizeBytes, ...stages.map(({ sizeBytes }) => sizeBytes)]);
    this.#settle(medium, size);
  }

  /** Medium and page cache agree from here on; what lies beyond the end is gone. */
  #settle(medium: Pages, sizeBytes: number): void {
    for (const [page, bytes] of medium) {
      const inside = Math.max(0, sizeBytes - page * BLOCK_BYTES);
      if (inside === 0) medium.delete(page);
      else if (inside < BLOCK_BYTES) medium.set(page, bytes.slice().fill(0, inside));
    }
    this.#durable = medium;
    this.#current = new Map(medium);
    this.#dirty = new Map();
    this.#writebacks = [];
    this.#durableSizeBytes = sizeBytes;
    this.sizeBytes = sizeBytes;
  }

  /** Gives back the room of pages that a truncation cut off, once that is durable. */
  #dropBeyondEnd(): void {
    if (!this.#cutOff || this.#writebacks.length > 0) return;
    this.#cutOff = this.#dirty.size > 0;
    for (const page of [...this.#durable.keys()]) {
      if (page * BLOCK_BYTES < Math.max(this.sizeBytes, this.#durableSizeBytes) || this.#dirty.has(page)) continue;
      this.#durable.delete(page);
      this.#current.delete(page);
    }
  }

  /** The page for a write to part of it: a private copy, with the sectors it touches marked. */
  #writable(page: number, start: number, length: number): Uint8Array {
    const mask = this.#dirty.get(page);
    let bytes = this.#current.get(page);
    if (bytes === undefined || mask === undefined) {
      bytes = bytes?.slice() ?? new Uint8Array(BLOCK_BYTES);
      this.#current.set(page, bytes);
    }
    let touched = mask ?? 0;
    for (let sector = Math.floor(start / SECTOR_BYTES); sector * SECTOR_BYTES < start + length; sector++)
      touched |= 1 << sector;
    this.#dirty.set(page, touched & ALL_SECTORS);
    return bytes;
  }
}

/** The parts of a byte range page by page: `start` in the page, `from` and `to` in the range. */
function* spans(
  positionBytes: number,
  lengthBytes: number,
): Generator<{ page: number; start: number; from: number; to: number }> {
  for (let from = 0; from < lengthBytes; ) {
    const page = Math.floor((positionBytes + from) / BLOCK_BYTES);
    const start = positionBytes + from - page * BLOCK_BYTES;
    const to = Math.min(lengthBytes, from + BLOCK_BYTES - start);
    yield { page, start, from, to };
    from = to;
  }
}
