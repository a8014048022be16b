/**
 * Pack files opened for reading, once each and shared by all readers; at most 64 at a time.
 *
 * A file that makes room, or whose pack is deleted, is closed when its last reader is done: until then it stays readable.
 */
import type { Storage, StorageFile } from '@diskswarm/core';
import { packName } from './pack-format.ts';

/** Most packs that are open for reading at a time, readers' own aside. */
const MAX_OPEN_PACKS = 64;

interface Shared {
  readonly opening: Promise<StorageFile>;
  readers: number;
  leaving: boolean;
}

export class PackFiles {
  readonly #storage: Storage;
  readonly #folder: string;
  /** The least recently used comes first. */
  readonly #open = new Map<number, Shared>();

  constructor(storage: Storage, folder: string) {
    this.#storage = storage;
    this.#folder = folder;
  }

  /** Runs `read` with the pack's file, which stays open meanwhile. */
  async use<Result>(pack: number, read: (file: StorageFile) => Promise<Result>): Promise<Result> {
    const shared = this.#acquire(pack);
    try {
      return await read(await shared.opening);
    } catch (error) {
      await shared.opening.catch(() => this.#drop(pack, shared));
      throw error;
    } finally {
      shared.readers--;
      if (shared.leaving && shared.readers === 0) await close(shared);
    }
  }

  /** Lets go of a pack that is being deleted. */
  async forget(pack: number): Promise<void> {
    const shared = this.#open.get(pack);
    if (shared !== undefined) await this.#leave(pack, shared);
  }

  async close(): Promise<void> {
    for (const [pack, shared] of this.#open) await this.#leave(pack, shared);
  }

  #acquire(pack: number): Shared {
    let shared = this.#open.get(pack);
    if (shared === undefined) {
      shared = { opening: this.#storage.open(`${this.#folder}/${packName(pack)}`, 'read'), readers: 0, leaving: false };
      if (this.#open.size >= MAX_OPEN_PACKS) {
        const [oldest, entry] = this.#open.entries().next().value!;
        void this.#leave(oldest, entry);
      }
    } else {
      this.#open.delete(pack);
    }
    this.#open.set(pack, shared);
    shared.readers++;
    return shared;
  }

  async #leave(pack: number, shared: Shared): Promise<void> {
    this.#drop(pack, shared);
    if (shared.leaving) return;
    shared.leaving = true;
    if (shared.readers === 0) await close(shared);
  }

  #drop(pack: number, shared: Shared): void {
    if (this.#open.get(pack) === shared) this.#open.delete(pack);
  }
}

async function close(shared: Shared): Promise<void> {
  // A file opened for reading has nothing to lose in a close that fails.
  await shared.opening.then((file) => file.close()).catch(() => {});
}
