/**
 * The scrub: every chunk read and hashed, pack by pack; what does not match is dropped and reported. What the disk reports an
 * error for is reported and stays: the error may pass, and this may be the only copy.
 *
 * One chunk at a time, each an asynchronous read, so that it never holds the process up. Chunks that arrive meanwhile are left to the
 * next one; dead chunks are checked too, because they can be revived.
 */
import { type ChunkId, DiskswarmError, idFromBytes } from '@diskswarm/core';
import type { Handle } from './catalog.ts';
import { damageAt, dropDamaged, type StoreContext } from './context.ts';
import type { Damage } from './damage.ts';
import { newKey } from './key.ts';
import { decodeRecordHeader, RECORD_HEADER_BYTES } from './pack-format.ts';
import { matchesKey, readChunk } from './read-chunk.ts';

/** Most damaged places a result lists. */
const MAX_LISTED_DAMAGES = 10_000;

export interface VerifyProgress {
  readonly chunksChecked: number;
  readonly bytesChecked: number;
  readonly chunksTotal: number;
  readonly damagedCount: number;
}

export interface VerifyOptions {
  readonly signal?: AbortSignal;
  /** Called after each chunk. */
  readonly onProgress?: (progress: VerifyProgress) => void;
}

export interface VerifyResult extends VerifyProgress {
  /** The first 10,000 damaged places. */
  readonly damages: readonly Damage[];
}

/** Checks everything. Rejects with ABORTED, or READ_FAILED when a pack cannot be opened. */
export async function verifyPacks(context: StoreContext, { signal, onProgress }: VerifyOptions): Promise<VerifyResult> {
  const { catalog } = context;
  const damages: Damage[] = [];
  const progress = {
    chunksChecked: 0,
    bytesChecked: 0,
    chunksTotal: catalog.shards.reduce((sum, shard) => sum + shard.count, 0),
    damagedCount: 0,
  };
  for (const pack of [...catalog.packs.keys()]) {
    for (const handle of catalog.handlesInPack(pack)) {
      if (signal?.aborted === true) throw new DiskswarmError('ABORTED', 'the verification was given up');
      // Moved or gone since the list was made: whoever moved it has checked it.
      if (catalog.packOf(handle) !== pack) continue;
      const lengthBytes = catalog.lengthOf(handle);
      const damage = await check(context, handle, lengthBytes);
      if (damage !== null && damages.push(damage) > MAX_LISTED_DAMAGES) damages.pop();
      if (damage !== null) progress.damagedCount++;
      progress.chunksChecked++;
      progress.bytesChecked += lengthBytes;
      onProgress?.({ ...progress });
    }
  }
  return { ...progress, damages };
}

async function check(context: StoreContext, handle: Handle, lengthBytes: number): Promise<Damage | null> {
  const { catalog } = context;
  const key = catalog.keyOf(handle, newKey());
  const pack = catalog.packOf(handle);
  const positionBytes = catalog.positionOf(handle);
  const result = await readChunk(context, handle, Buffer.allocUnsafe(lengthBytes));
  if (result.outcome === 'moved' || (result.outcome === 'read' && matchesKey(result.hash, key))) return null;
  const id = await idInHeader(context, handle);
  // Moved while the header was read: whoever moved it has seen good bytes.
  if (catalog.find(key) !== handle || catalog.packOf(handle) !== pack || catalog.positionOf(handle) !== positionBytes)
    return null;
  if (result.outcome === 'unreadable') return damageAt(context, handle, 'unreadable', id);
  return dropDamaged(context, handle, result.outcome === 'read' ? 'changed' : result.outcome, id);
}

/** The whole id, from the record in front of the chunk if that is still good. */
async function idInHeader({ catalog, files, nonce }: StoreContext, handle: Handle): Promise<ChunkId | null> {
  const bytes = Buffer.alloc(RECORD_HEADER_BYTES);
  const pack = catalog.packOf(handle);
  const positionBytes = catalog.positionOf(handle) - RECORD_HEADER_BYTES;
  try {
    await files.use(pack, (file) => file.read(bytes, positionBytes));
  } catch {
    // A place that cannot be read cannot say what it held.
    return null;
  }
  const header = decodeRecordHeader(bytes, 0, pack, nonce);
  return header !== null && matchesKey(header.id, catalog.keyOf(handle, newKey()))
    ? idFromBytes<ChunkId>(header.id)
    : null;
}
