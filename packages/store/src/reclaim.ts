/**
 * Getting space back: packs without live chunks are deleted, packs that are mostly dead are emptied into the newest one first.
 *
 * It runs beside everything else. Pinned packs stay. Crash order: copies and the notes that a pack alone held are durable before the
 * pack goes, and its removal is durable before the next one's, so that no note about it is lost while its records come back.
 * Readers that have the file open keep it.
 */
import { blake3, type ChunkId, type DiskId, DiskswarmError, hasCode, idFromBytes, toHex } from '@diskswarm/core';
import type { Handle, Pack } from './catalog.ts';
import { dropDamaged, type StoreContext } from './context.ts';
import { NO_DISK } from './event-buffer.ts';
import { KEY_BYTES, newKey, readKey } from './key.ts';
import { KIND, type LogPosition, PACK_HEADER_BYTES } from './pack-format.ts';
import { walkPack } from './pack-walk.ts';
import { matchesKey, readChunk } from './read-chunk.ts';

/** A pack is emptied when less than this part of it is live. */
const MIN_LIVE_PART = 0.5;
const COPY_BATCH_BYTES = 4 * 1024 * 1024;

/** What a reclaim did. */
export interface Reclaimed {
  readonly packsDeleted: number;
  /** Bytes of the deleted packs, less the copies. */
  readonly bytesFreed: number;
}

/** One round over all packs. A disk too full for copies only leaves things undone. Rejects with ABORTED, READ_FAILED or WRITE_FAILED. */
export async function reclaimPacks(
  context: StoreContext,
  { signal }: { signal?: AbortSignal | undefined },
): Promise<Reclaimed> {
  const { catalog, writer } = context;
  let packsDeleted = 0;
  let bytesFreed = 0;
  const isDue = (pack: Pack): boolean =>
    pack.number !== writer.newestPack &&
    pack.pins === 0 &&
    pack.liveBytes < (pack.sizeBytes - PACK_HEADER_BYTES) * MIN_LIVE_PART;
  const isEmpty = (pack: Pack): boolean =>
    pack.liveChunks === 0 && pack.number !== writer.newestPack && pack.pins === 0;
  const due = [...catalog.packs.values()].filter((pack) => isDue(pack) || isEmpty(pack));
  // The empty ones first: they make the room that the copies need.
  due.sort((a, b) => a.liveBytes - b.liveBytes);
  for (const pack of due) {
    if (signal?.aborted === true) throw new DiskswarmError('ABORTED', 'the reclaim was given up');
    if (!isDue(pack) && !isEmpty(pack)) continue;
    const copiedBytes = await emptyPack(context, pack, signal);
    if (copiedBytes === null) continue;
    packsDeleted++;
    bytesFreed += pack.sizeBytes - copiedBytes;
  }
  return { packsDeleted, bytesFreed };
}

/** Deletes the pack once nothing in it is needed; gives the bytes that had to be copied, or null when it stays. */
async function emptyPack(context: StoreContext, pack: Pack, signal: AbortSignal | undefined): Promise<number | null> {
  const { catalog, files, storage, writer, packFolder } = context;
  const copiedBytes = await copyLive(context, pack, signal);
  if (copiedBytes === null) return null;
  await repeatEvents(context, pack);
  try {
    await writer.flush();
  } catch (error) {
    // A full disk takes no notes. The pack goes all the same, or a full disk could never be emptied: should the process die now,
    // its dead chunks count as missing instead of withdrawn.
    if (!hasCode(error, 'DISK_FULL')) throw error;
  }
  await writer.syncWritten();
  // From here to the deletion nothing else runs. What was revived or pinned meanwhile saves its pack.
  const handles = catalog.handlesInPack(pack.number);
  if (pack.pins > 0 || handles.some((handle) => catalog.isLive(handle))) return null;
  for (const handle of handles) catalog.remove(handle);
  catalog.packs.delete(pack.number);
  await files.forget(pack.number);
  await storage.remove(pack.path);
  await storage.syncFolder(packFolder);
  return copiedBytes;
}

/** Appends every live chunk of the pack to the log; null when that cannot be finished now. */
async function copyLive(context: StoreContext, pack: Pack, signal: AbortSignal | undefined): Promise<number | null> {
  const { catalog } = context;
  let copiedBytes = 0;
  const copies: Promise<void>[] = [];
  let batchBytes = 0;
  try {
    for (const handle of catalog.handlesInPack(pack.number)) {
      if (catalog.packOf(handle) !== pack.number || !catalog.isLive(handle)) continue;
      if (signal?.aborted === true) throw new DiskswarmError('ABORTED', 'the reclaim was given up');
      const lengthBytes = catalog.lengthOf(handle);
      const copy = await readForCopy(context, handle, lengthBytes);
      if (copy === null) continue;
      copies.push(append(context, pack, handle, copy));
      copiedBytes += lengthBytes;
      batchBytes += lengthBytes;
      if (batchBytes < COPY_BATCH_BYTES) continue;
      await Promise.all(copies.splice(0));
      batchBytes = 0;
    }
    await Promise.all(copies.splice(0));
    return copiedBytes;
  } catch (error) {
    await Promise.allSettled(copies);
    if (hasCode(error, 'DISK_FULL')) return null;
    throw error;
  }
}

async function readForCopy(context: StoreContext, handle: Handle, lengthBytes: number): Promise<Uint8Array | null> {
  const { catalog } = context;
  const bytes = new Uint8Array(lengthBytes);
  const key = catalog.keyOf(handle, newKey());
  const result = await readChunk(context, handle, bytes);
  if (result.outcome === 'moved') return null;
  if (result.outcome === 'read' && matchesKey(result.hash, key)) return bytes;
  // An error of the disk may pass: the chunk stays, and its pack with it.
  if (result.outcome !== 'unreadable') {
    dropDamaged(context, handle, result.outcome === 'read' ? 'changed' : result.outcome, null);
  }
  return null;
}

/** Writes the copy and points the entry at it, unless the chunk died or the pack was pinned while it waited. */
function append(
  { catalog, events, writer }: StoreContext,
  pack: Pack,
  handle: Handle,
  bytes: Uint8Array,
): Promise<void> {
  const key = catalog.keyOf(handle, newKey());
  const positionBytes = catalog.positionOf(handle);
  const isThere = (): boolean =>
    catalog.find(key) === handle &&
    catalog.packOf(handle) === pack.number &&
    catalog.positionOf(handle) === positionBytes;
  let writtenDisk = NO_DISK;
  return new Promise((resolve, reject) => {
    writer.enqueue({
      id: toHex(blake3(bytes)) as ChunkId,
      bytes,
      disk() {
        if (isThere() && pack.pins === 0) writtenDisk = catalog.admissions.members(catalog.setOf(handle))[0] ?? NO_DISK;
        return writtenDisk;
      },
      done(place: LogPosition | null) {
        if (place !== null && isThere()) {
          catalog.place(key, place.pack, place.positionBytes, bytes.length, catalog.setOf(handle));
          // The record names one disk; the others follow, so that the packs alone still tell.
          for (const disk of catalog.admissions.members(catalog.setOf(handle)))
            if (disk !== writtenDisk) events.push(KIND.admit, disk, key);
        }
        resolve();
      },
      failed: reject,
    });
  });
}

/** Notes again, in the newest pack, what the events in this one say about chunks that are elsewhere. */
async function repeatEvents({ catalog, events, files, nonce }: StoreContext, pack: Pack): Promise<void> {
  const key = newKey();
  await files.use(pack.number, async (file) => {
    for await (const found of walkPack(file, pack.number, nonce, PACK_HEADER_BYTES)) {
      if (found.type !== 'record' || found.payload === null) continue;
      const { kind } = found.header;
      for (let at = 0; at + KEY_BYTES <= found.payload.length; at += KEY_BYTES) {
        if (kind === KIND.drop) {
          const place = { pack: found.payload.readUInt32LE(at), positionBytes: found.payload.readUInt32LE(at + 4) };
          if (place.pack !== pack.number && catalog.packs.has(place.pack)) events.pushDrop(place);
        } else if (kind === KIND.admit || kind === KIND.withdraw) {
          const handle = catalog.find(readKey(found.payload, at, key));
          const disk = catalog.admissions.find(idFromBytes<DiskId>(found.header.disk));
          if (handle < 0 || disk < 0 || catalog.packOf(handle) === pack.number) continue;
          if (catalog.admissions.contains(catalog.setOf(handle), disk) === (kind === KIND.admit))
            events.push(kind, disk, key);
        }
      }
    }
  });
}
