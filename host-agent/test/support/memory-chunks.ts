/** A chunk store in a map, and manifests over it: what views, imports and page fetching need of a store. */
import {
  blake3,
  type ChunkId,
  type ChunkLocation,
  type ChunkStore,
  type DiskId,
  DiskswarmError,
  type PageId,
  toHex,
} from '@diskswarm/core';
import { ManifestBuilder } from '@diskswarm/manifest';
import { DiskPages } from '../../src/agent/disk-pages.ts';

export const DISK = 'd1'.repeat(32) as DiskId;

export class MemoryChunks implements ChunkStore {
  readonly chunks = new Map<ChunkId, { readonly bytes: Uint8Array; readonly disks: Set<DiskId> }>();
  puts = 0;

  has(id: ChunkId, disk: DiskId): boolean {
    return this.chunks.get(id)?.disks.has(disk) === true;
  }

  async get(id: ChunkId): Promise<Uint8Array> {
    const chunk = this.chunks.get(id);
    if (chunk === undefined) throw new DiskswarmError('CHUNK_NOT_FOUND', id);
    return chunk.bytes.slice();
  }

  async put(id: ChunkId, bytes: Uint8Array, disk: DiskId): Promise<void> {
    if (toHex(blake3(bytes)) !== id) throw new Error('bytes under a wrong id');
    this.puts++;
    const known = this.chunks.get(id) ?? { bytes: bytes.slice(), disks: new Set() };
    known.disks.add(disk);
    this.chunks.set(id, known);
  }

  async putMany(chunks: readonly { readonly id: ChunkId; readonly bytes: Uint8Array }[], disk: DiskId): Promise<void> {
    for (const { id, bytes } of chunks) await this.put(id, bytes, disk);
  }

  async sync(): Promise<void> {}

  locate(): ChunkLocation | null {
    return null;
  }
}

/** Some id that is not zero, different for every `number`. */
export function idOf(number: number): ChunkId {
  return toHex(blake3(Buffer.from(`chunk ${number}`))) as ChunkId;
}

/** Puts the manifest of `ids` (missing ones are zero) into `store` as pages of DISK. */
export async function manifestOf(
  store: ChunkStore,
  pieces: number,
  ids: ReadonlyMap<number, ChunkId>,
): Promise<PageId> {
  const builder = new ManifestBuilder({ pieces, sink: new DiskPages(store, DISK) });
  for (const [piece, id] of [...ids].sort(([left], [right]) => left - right)) {
    if (piece > builder.position) await builder.addZeros(piece - builder.position);
    await builder.add(id);
  }
  await builder.addZeros(pieces - builder.position);
  return builder.finish();
}
