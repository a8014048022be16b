/** What a disk's server takes as the chunk that an answer is told against: admitted to the disk, whole, and sound. */
import { blake3, type ChunkId, type DiskId, DiskswarmError, toHex } from '@diskswarm/core';
import test from 'ava';
import { DiskPages } from '../src/agent/disk-pages.ts';
import type { DiskRecords } from '../src/agent/disk-records.ts';
import { StoreServer } from '../src/agent/disk-server.ts';
import { DISK, MemoryChunks } from './support/memory-chunks.ts';

const CHUNK = 16_384;
const OTHER = 'd2'.repeat(32) as DiskId;

/** A store that finds out at the first read which chunks are damaged. */
class Store extends MemoryChunks {
  readonly damaged = new Set<ChunkId>();

  async verifiedRead(id: ChunkId, into: Uint8Array): Promise<number> {
    if (this.damaged.has(id)) throw new DiskswarmError('CHUNK_CORRUPT', id);
    const bytes = await this.get(id);
    into.set(bytes);
    return bytes.length;
  }

  async add(fill: number, disk: DiskId, lengthBytes = CHUNK): Promise<ChunkId> {
    const bytes = new Uint8Array(lengthBytes).fill(fill);
    const id = toHex(blake3(bytes)) as ChunkId;
    await this.put(id, bytes, disk);
    return id;
  }
}

test('a chunk of this disk is read; one of another disk, a manifest page, a damaged one and an unknown one are not here', async (t) => {
  const store = new Store();
  const records = { disk: DISK } as DiskRecords;
  const server = new StoreServer({
    records,
    store,
    pages: new DiskPages(store, DISK),
    statistics: { served: () => {} },
    passOn: { bring: () => null },
  });
  const room = (): Uint8Array => new Uint8Array(CHUNK);
  t.deepEqual(await server.readChunk(await store.add(1, DISK), room()), new Uint8Array(CHUNK).fill(1));
  t.is(await server.readChunk(await store.add(2, OTHER), room()), null);
  t.is(await server.readChunk(await store.add(3, DISK, 8192), room()), null);
  const damaged = await store.add(4, DISK);
  store.damaged.add(damaged);
  t.is(await server.readChunk(damaged, room()), null);
  t.is(await server.readChunk('ab'.repeat(32) as ChunkId, room()), null);
});
