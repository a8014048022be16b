/**
 * Decides whether new data may still be taken: what is dirty must always fit into the store when it is sealed.
 *
 * Free space is asked for rarely and counted down in between, so admission is synchronous. Overwrites, holes and flushes
 * never ask. Leaves to others: what counts as new, and waiting for `refresh` before a refusal is final.
 */
import type { Storage } from '@diskswarm/core';

/** Free space is asked for again after this many admitted bytes. */
const REFRESH_BYTES = 4 * 1024 * 1024;

export class SpaceBudget {
  readonly #storage: Storage;
  readonly #marginBytes: number;
  #freeBytes = 0;
  #spentBytes = 0;
  #refreshing: Promise<void> | null = null;

  /** `marginBytes` stay free whatever happens: manifest pages, records, other tenants of the disk. */
  constructor(storage: Storage, marginBytes: number) {
    this.#storage = storage;
    this.#marginBytes = marginBytes;
  }

  /** Takes `newBytes` when they fit beside `laterBytes` for the seal; false changes nothing. */
  admit(newBytes: number, laterBytes: number): boolean {
    if (this.#freeBytes - this.#spentBytes - laterBytes - this.#marginBytes < newBytes) return false;
    this.#spentBytes += newBytes;
    if (this.#spentBytes > REFRESH_BYTES) void this.refresh();
    return true;
  }

  /** Asks for the free space again. Where it cannot be told, the last figure goes on. */
  refresh(): Promise<void> {
    this.#refreshing ??= this.#ask().finally(() => {
      this.#refreshing = null;
    });
    return this.#refreshing;
  }

  /** A write met a full disk: nothing is admitted until the next `refresh`. */
  exhausted(): void {
    this.#freeBytes = 0;
    this.#spentBytes = 0;
  }

  async #ask(): Promise<void> {
    const counted = this.#spentBytes;
    const freeBytes = await this.#storage.freeBytes().catch(() => null);
    if (freeBytes === null) return;
    this.#freeBytes = freeBytes;
    this.#spentBytes = Math.max(0, this.#spentBytes - counted);
  }
}
