/**
 * Open files of the store's packs, by path: opened once, shared, the least recently used one closed when there are too many.
 *
 * A file stays readable while it is open, even when the store has deleted it. Leaves to others: what is at which position.
 * Invariant: a file that an asynchronous read uses is never closed.
 */
import type { Storage, StorageFile } from '@diskswarm/core';

/** Most packs held open at once. */
export const MAX_OPEN_PACKS = 32;

interface Pack {
  readonly path: string;
  file: StorageFile | null;
  opening: Promise<StorageFile> | null;
  readers: number;
  lastUse: number;
}

export class PackFiles {
  readonly #storage: Storage;
  readonly #packs: Pack[] = [];
  readonly #indexes = new Map<string, number>();
  #open = 0;
  #uses = 0;

  constructor(storage: Storage) {
    this.#storage = storage;
  }

  /** A small number that stands for the path from now on. */
  indexOf(path: string): number {
    const known = this.#indexes.get(path);
    if (known !== undefined) return known;
    const index = this.#packs.push({ path, file: null, opening: null, readers: 0, lastUse: 0 }) - 1;
    this.#indexes.set(path, index);
    return index;
  }

  pathOf(index: number): string {
    return this.#packs[index]!.path;
  }

  /** The open file for one synchronous read, or null when it is not open. */
  peek(index: number): StorageFile | null {
    const pack = this.#packs[index]!;
    pack.lastUse = ++this.#uses;
    return pack.file;
  }

  /** Reads at a position, opening the file when needed; returns the bytes read. Rejects with READ_FAILED. */
  async read(index: number, into: Uint8Array, positionBytes: number): Promise<number> {
    const pack = this.#packs[index]!;
    pack.readers++;
    pack.lastUse = ++this.#uses;
    try {
      if (pack.file === null) pack.opening ??= this.#openPack(pack);
      const file = pack.file ?? (await pack.opening)!;
      return await file.read(into, positionBytes);
    } finally {
      pack.readers--;
    }
  }

  /** Closes everything; nothing may be read any more. */
  async close(): Promise<void> {
    for (const pack of this.#packs) {
      const file = pack.file ?? (await pack.opening?.catch(() => null)) ?? null;
      pack.file = null;
      await file?.close();
    }
    this.#open = 0;
  }

  async #openPack(pack: Pack): Promise<StorageFile> {
    try {
      const file = await this.#storage.open(pack.path, 'read');
      pack.file = file;
      this.#open++;
      this.#evict();
      return file;
    } finally {
      pack.opening = null;
    }
  }

  #evict(): void {
    while (this.#open > MAX_OPEN_PACKS) {
      let oldest: Pack | null = null;
      for (const pack of this.#packs) {
        if (pack.file !== null && pack.readers === 0 && (oldest === null || pack.lastUse < oldest.lastUse))
          oldest = pack;
      }
      if (oldest === null) return;
      const { file } = oldest;
      oldest.file = null;
      this.#open--;
      // Nothing depends on the descriptor any more; a failed close of a file that was only read loses nothing.
      file?.close().catch(() => {});
    }
  }
}
