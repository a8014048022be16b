/**
 * A desktop's week as a model: what the disk of a machine that goes between office and home has written on it between two moves.
 *
 * A model and no recording, and every report says so. Databases and mailboxes are edited in place, documents written anew beside the old
 * one, temporary files come and go, a browser's cache goes round, one day brings an upgrade, and each of these writes the tables and the
 * journal of its file system. All of it follows from the seed; what is written is random, so that no compressor gains on it.
 */
import { seededNumbers } from '../image.ts';
import { BlockSpace, type Extent } from './block-space.ts';

export const BLOCK_BYTES = 4096;
const MIB = 2 ** 20;
const BLOCKS_PER_MIB = MIB / BLOCK_BYTES;
/** ext4's inodes of 256 bytes, one for each 16 KiB; its journal. */
const TABLES_SHARE = 1 / 64;
const JOURNAL_SHARE = 1 / 32;
/** Of the tables, those of the folders in use. */
const HOT_SHARE = 1 / 16;
/** Of the content: what its user works with. */
const DOCUMENTS = 64;
const DATABASES = 8;
/** Temporary files that are there at once. */
const TEMPORARY = 8;
/** The browser keeps what so many days brought. */
const CACHE_DAYS = 2;
/** One commit of the journal is for so many operations. */
const OPERATIONS_PER_COMMIT = 16;
const WEEKDAYS = ['Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday'] as const;
const WORKDAYS = 5;
const UPGRADE_DAY = 2;
/** An evening, of a day at the office. */
const EVENING_SHARE = 1 / 3;

export type Place = 'office' | 'home';

/** One write, or blocks that are trimmed and read as zeros from then on; in whole blocks. */
export interface Change {
  readonly kind: 'write' | 'zero';
  readonly offsetBytes: number;
  readonly lengthBytes: number;
}

/** What happens between two moves. */
export interface Stay {
  /** `Monday, office`. */
  readonly name: string;
  readonly at: Place;
  /** Of a day at the office; 0 for who has just come back. */
  readonly share: number;
  readonly upgrade: boolean;
  readonly trim: boolean;
}

/** MiB of a day at the office, by what writes them; `upgrade` once. */
export interface DeskLoad {
  readonly edited: number;
  readonly anew: number;
  readonly temporary: number;
  readonly cache: number;
  readonly upgrade: number;
}

/** The stays of so many days, the first of which is a Monday; the last one is the return to the office. */
export function staysOf(days: number): readonly Stay[] {
  const stays: Stay[] = [];
  for (let day = 0; day < days; day++) {
    const weekday = WEEKDAYS[day % 7]!;
    const last = stays.at(-1);
    const upgrade = day === Math.min(UPGRADE_DAY, days - 1);
    if (day % 7 < WORKDAYS) {
      stays.push({ name: `${weekday}, office`, at: 'office', share: 1, upgrade, trim: false });
      stays.push({ name: `${weekday}, home`, at: 'home', share: EVENING_SHARE, upgrade: false, trim: false });
    } else if (last !== undefined) {
      stays[stays.length - 1] = { ...last, name: `Friday to ${weekday}, home`, share: last.share + 1 };
    }
  }
  // Debian trims once a week.
  stays[stays.length - 1] = { ...stays.at(-1)!, trim: true };
  const next = days % 7 < WORKDAYS ? WEEKDAYS[days % 7]! : WEEKDAYS[0];
  return [...stays, { name: `${next}, office`, at: 'office', share: 0, upgrade: false, trim: false }];
}

/** What the model needs of a disk beside the content, MiB. */
export function deskRoomMib({ cache, temporary }: DeskLoad): number {
  return CACHE_DAYS * cache + Math.min(temporary, TEMPORARY) + 16;
}

export class DeskModel {
  readonly #random: (below: number) => number;
  readonly #load: DeskLoad;
  readonly #space: BlockSpace;
  readonly #files: (readonly Extent[])[] = [];
  readonly #documents: number[];
  readonly #databases: number[];
  readonly #temporary: (readonly Extent[])[] = [];
  readonly #cached: (readonly Extent[])[] = [];
  readonly #tableBlocks: number;
  readonly #journalBlocks: number;
  readonly #dirty = new Set<number>();
  #cachedBlocks = 0;
  #journalAt = 0;
  #operations = 0;
  #changes: Change[] = [];

  /** The content lies at the beginning of the disk and is tables, journal and files; what follows is free. */
  constructor(sizes: { diskMib: number; contentMib: number }, load: DeskLoad, seed: number) {
    this.#random = seededNumbers(seed);
    this.#load = load;
    const content = sizes.contentMib * BLOCKS_PER_MIB;
    this.#tableBlocks = Math.ceil(content * TABLES_SHARE);
    this.#journalBlocks = Math.ceil(content * JOURNAL_SHARE);
    const from = this.#tableBlocks + this.#journalBlocks;
    this.#space = new BlockSpace(from, sizes.diskMib * BLOCKS_PER_MIB);
    for (let left = content - from; left > 0; ) {
      const count = Math.min(left, this.#size(10));
      this.#files.push(this.#space.claim(count));
      left -= count;
    }
    this.#documents = Array.from({ length: DOCUMENTS }, () => this.#random(this.#files.length));
    const largest = [...new Set(this.#documents)].sort((left, right) => this.#length(right) - this.#length(left));
    this.#databases = largest.slice(0, DATABASES);
  }

  /** What a stay does, in its order. */
  changesOf({ share, upgrade, trim }: Stay): readonly Change[] {
    this.#changes = [];
    const { edited, anew, temporary, cache } = this.#load;
    const left = [edited, anew, temporary, cache, upgrade ? this.#load.upgrade / share : 0].map((mib) =>
      Math.round(mib * share * BLOCKS_PER_MIB),
    );
    const works = [
      () => this.#edit(),
      () => this.#replace(this.#documents[this.#random(this.#documents.length)]!),
      () => this.#useTemporary(),
      () => this.#visit(cache * CACHE_DAYS * BLOCKS_PER_MIB),
      () => this.#replace(this.#random(this.#files.length)),
    ];
    // All of them at once, each as often as it has still to write.
    for (let sum = sumOf(left); sum > 0; sum = sumOf(left)) {
      let at = this.#random(sum);
      const kind = left.findIndex((blocks) => {
        at -= blocks;
        return at < 0;
      });
      left[kind] = Math.max(0, left[kind]! - works[kind]!());
      if (++this.#operations % OPERATIONS_PER_COMMIT === 0) this.#commit();
    }
    this.#commit();
    if (trim) for (const extent of this.#space.trim()) this.#put('zero', extent);
    return this.#changes;
  }

  /** Some pages of a database, three of four in the quarter of it that is used most; gives the blocks written. */
  #edit(): number {
    const file = this.#files[this.#databases[this.#random(this.#databases.length)]!]!;
    const extent = file[this.#random(file.length)]!;
    const pages = 1 + this.#random(8);
    for (let page = 0; page < pages; page++) {
      const within = this.#random(4) < 3 ? Math.ceil(extent.count / 4) : extent.count;
      this.#put('write', { first: extent.first + this.#random(within), count: 1 });
    }
    this.#touchTables(1);
    return pages;
  }

  /** A file is written beside its old self, up to a tenth longer or shorter, and takes its name. */
  #replace(index: number): number {
    const old = this.#files[index]!;
    const length = this.#length(index);
    const change = Math.floor(length / 10);
    const count = Math.max(1, length - change + this.#random(2 * change + 1));
    this.#files[index] = this.#create(count, 3);
    this.#space.free(old);
    return count;
  }

  #useTemporary(): number {
    const count = this.#size(7);
    this.#temporary.push(this.#create(count, 2));
    if (this.#temporary.length > TEMPORARY) this.#space.free(this.#temporary.shift()!);
    return count;
  }

  /** An entry of the browser's cache; the oldest ones go. */
  #visit(keepBlocks: number): number {
    const count = this.#size(6);
    this.#cached.push(this.#create(count, 2));
    this.#cachedBlocks += count;
    while (this.#cachedBlocks > keepBlocks && this.#cached.length > 1) {
      const oldest = this.#cached.shift()!;
      this.#cachedBlocks -= blocksOf(oldest);
      this.#space.free(oldest);
    }
    return count;
  }

  #create(count: number, tables: number): readonly Extent[] {
    const extents = this.#space.claim(count);
    for (const extent of extents) this.#put('write', extent);
    this.#touchTables(tables);
    return extents;
  }

  /** Blocks of a new file: many small ones, few of up to twice 2^exponent. */
  #size(exponent: number): number {
    const least = 2 ** Math.min(this.#random(exponent + 1), this.#random(exponent + 1));
    return least + this.#random(least);
  }

  #length(file: number): number {
    return blocksOf(this.#files[file]!);
  }

  /** Three of four in those that are used most. */
  #touchTables(count: number): void {
    for (let touched = 0; touched < count; touched++) {
      const within = this.#random(4) < 3 ? Math.ceil(this.#tableBlocks * HOT_SHARE) : this.#tableBlocks;
      this.#dirty.add(this.#random(within));
    }
  }

  /** What changed in the tables goes to the journal, between a head and a commit block, and then in its place. */
  #commit(): void {
    if (this.#dirty.size === 0) return;
    for (let written = 0; written < this.#dirty.size + 2; written++) {
      this.#put('write', { first: this.#tableBlocks + this.#journalAt, count: 1 });
      this.#journalAt = (this.#journalAt + 1) % this.#journalBlocks;
    }
    for (const first of this.#dirty) this.#put('write', { first, count: 1 });
    this.#dirty.clear();
  }

  #put(kind: Change['kind'], { first, count }: Extent): void {
    this.#changes.push({ kind, offsetBytes: first * BLOCK_BYTES, lengthBytes: count * BLOCK_BYTES });
  }
}

function blocksOf(extents: readonly Extent[]): number {
  return sumOf(extents.map(({ count }) => count));
}

function sumOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}
