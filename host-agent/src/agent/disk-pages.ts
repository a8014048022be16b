/**
 * The manifest pages of one disk as the store has them, with a small cache of the ones read last.
 *
 * Pages are chunks to the store: put under their id, admitted to the disk, verified when read. What is not here, or proves to be damaged, rejects with
 * CHUNK_NOT_FOUND; fetching it is page-fetch.ts. Pages that the store has no room for are held in memory for a while, so that a guest can go on.
 */
import { type ChunkId, type ChunkStore, type DiskId, DiskswarmError, hasCode, type PageId } from '@diskswarm/core';
import type { PageSink, PageSource } from '@diskswarm/manifest';

/** 4 MiB of pages: the inner levels of a large disk, and the leaves a boot touches. */
const MAX_CACHED_PAGES = 512;

export class DiskPages implements PageSource, PageSink {
  readonly #store: ChunkStore;
  readonly #disk: DiskId;
  readonly #cache = new Map<PageId, Uint8Array>();
  /** In no store: gone after a restart. */
  readonly #held = new Map<PageId, Uint8Array>();

  constructor(store: ChunkStore, disk: DiskId) {
    this.#store = store;
    this.#disk = disk;
  }

  has(id: PageId): boolean {
    return this.#store.has(id, this.#disk);
  }

  /** False while pages are held in memory alone: what can be reached through them is not what is here. */
  get allStored(): boolean {
    return this.#held.size === 0;
  }

  async get(id: PageId): Promise<Uint8Array> {
    if (!this.has(id)) {
      this.#cache.delete(id);
      const held = this.#held.get(id);
      if (held !== undefined) return held;
      throw new DiskswarmError('CHUNK_NOT_FOUND', `manifest page ${id} is not here`, {
        data: { disk: this.#disk, id },
      });
    }
    const cached = this.#cache.get(id);
    if (cached !== undefined) {
      this.#cache.delete(id);
      this.#cache.set(id, cached);
      return cached;
    }
    const page = await this.#read(id);
    remember(this.#cache, id, page);
    return page;
  }

  async put(id: PageId, page: Uint8Array): Promise<void> {
    await this.#store.put(id, page, this.#disk);
    this.#held.delete(id);
    remember(this.#cache, id, page);
  }

  /** Keeps a verified page at hand that the store cannot take. */
  hold(id: PageId, page: Uint8Array): void {
    remember(this.#held, id, page);
  }

  /** Puts into the store what is held; rejects as `put` does while there is still no room. */
  async storeHeld(): Promise<void> {
    for (const [id, page] of [...this.#held]) await this.put(id, page);
  }

  async #read(id: PageId): Promise<Uint8Array> {
    try {
      return await this.#store.get(id as ChunkId);
    } catch (error) {
      if (!hasCode(error, 'CHUNK_CORRUPT')) throw error;
      throw new DiskswarmError('CHUNK_NOT_FOUND', `manifest page ${id} is damaged here`, {
        data: { disk: this.#disk, id },
        cause: error,
      });
    }
  }
}

function remember(pages: Map<PageId, Uint8Array>, id: PageId, page: Uint8Array): void {
  pages.set(id, page);
  if (pages.size <= MAX_CACHED_PAGES) return;
  for (const oldest of pages.keys()) {
    pages.delete(oldest);
    return;
  }
}
