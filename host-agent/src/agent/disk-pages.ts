/**
 * The manifest pages of one disk as the store has them, with a small cache of the ones read last.
 *
 * Pages are chunks to the store: put under their id, admitted to the disk, verified when read. What is not here rejects with
 * CHUNK_NOT_FOUND; fetching it is page-fetch.ts.
 */
import { type ChunkId, type ChunkStore, DiskswarmError, type DiskId, type PageId } from '@diskswarm/core';
import type { PageSink, PageSource } from '@diskswarm/manifest';

/** 4 MiB of pages: the inner levels of a large disk, and the leaves a boot touches. */
const MAX_CACHED_PAGES = 512;

export class DiskPages implements PageSource, PageSink {
  readonly #store: ChunkStore;
  readonly #disk: DiskId;
  readonly #cache = new Map<PageId, Uint8Array>();

  constructor(store: ChunkStore, disk: DiskId) {
    this.#store = store;
    this.#disk = disk;
  }

  has(id: PageId): boolean {
    return this.#store.has(id, this.#disk);
  }

  async get(id: PageId): Promise<Uint8Array> {
    const cached = this.#cache.get(id);
    if (cached !== undefined) {
      this.#cache.delete(id);
      this.#cache.set(id, cached);
      return cached;
    }
    if (!this.has(id)) throw new DiskswarmError('CHUNK_NOT_FOUND', `manifest page ${id} is not here`, { data: { disk: this.#disk, id } });
    const page = await this.#store.get(id as ChunkId);
    this.#remember(id, page);
    return page;
  }

  async put(id: PageId, page: Uint8Array): Promise<void> {
    await this.#store.put(id, page, this.#disk);
    this.#remember(id, page);
  }

  #remember(id: PageId, page: Uint8Array): void {
    this.#cache.set(id, page);
    if (this.#cache.size <= MAX_CACHED_PAGES) return;
    for (const oldest of this.#cache.keys()) {
      this.#cache.delete(oldest);
      return;
    }
  }
}
