/**
 * Withdrawing a disk from the chunks that none of its kept generations needs.
 *
 * Marks what is to be kept, then sweeps the index part by part, while the store goes on: a chunk that is admitted to the disk
 * meanwhile counts as kept. Bytes are not touched here; see reclaim.ts.
 */
import { type ChunkId, hasCode } from '@diskswarm/core';
import type { Handle } from './catalog.ts';
import type { StoreContext } from './context.ts';
import { newKey } from './key.ts';
import { KIND } from './pack-format.ts';

/** Ids to keep are looked up in turns of so many. */
const KEEP_PER_TURN = 4096;
const SHARDS_PER_FLUSH = 8;

/** What a removal withdrew. */
export interface Withdrawn {
  readonly chunks: number;
  readonly bytes: number;
}

export class Removal {
  readonly disk: number;
  readonly #kept = new Map<number, Uint8Array>();

  constructor(disk: number) {
    this.disk = disk;
  }

  /** This chunk stays the disk's. */
  keep(handle: Handle): void {
    const bits = handle % 65536;
    const part = (handle - bits) / 65536;
    let marks = this.#kept.get(part);
    if (marks === undefined) {
      marks = new Uint8Array(8192);
      this.#kept.set(part, marks);
    }
    marks[bits >> 3]! |= 1 << (bits & 7);
  }

  /** Marks, sweeps, and makes it durable; on a full disk all but the last. */
  async run(context: StoreContext, keep: Iterable<ChunkId> | AsyncIterable<ChunkId>): Promise<Withdrawn> {
    const { catalog, events, writer } = context;
    let turn = 0;
    for await (const id of keep) {
      const handle = catalog.findId(id);
      if (handle >= 0) this.keep(handle);
      if (++turn % KEEP_PER_TURN === 0) await unlessFull(writer.flush());
    }
    let chunks = 0;
    let bytes = 0;
    const key = newKey();
    for (let shard = 0; shard < catalog.shards.length; shard++) {
      for (const handle of catalog.handlesIn(shard)) {
        if (this.#isKept(handle) || !catalog.withdraw(handle, this.disk)) continue;
        events.push(KIND.withdraw, this.disk, catalog.keyOf(handle, key));
        chunks++;
        bytes += catalog.lengthOf(handle);
      }
      if (shard % SHARDS_PER_FLUSH === 0) await unlessFull(writer.flush());
    }
    await unlessFull(writer.sync());
    return { chunks, bytes };
  }

  #isKept(handle: Handle): boolean {
    const bits = handle % 65536;
    const marks = this.#kept.get((handle - bits) / 65536);
    return marks !== undefined && (marks[bits >> 3]! & (1 << (bits & 7))) !== 0;
  }
}

/** A full disk must not stop what makes room on it: the notes wait in memory until there is some. */
async function unlessFull(work: Promise<void>): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (!hasCode(error, 'DISK_FULL')) throw error;
  }
}
