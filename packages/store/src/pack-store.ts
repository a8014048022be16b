/**
 * The chunk store: the port of core, implemented over packs and a catalog.
 *
 * Bytes, then sync, then claim: a chunk is known as soon as its bytes are with the kernel, so whoever claims it to a peer calls `sync`
 * first. Recovery, the log's end, space and scrubbing each have a file of their own; this one ties them together.
 * Ids and admissions come from the caller: that bytes match an id, and that a disk's roster allows something, is checked there.
 */
import {
  type ChunkId,
  type ChunkLocation,
  type ChunkStore,
  type DiskId,
  DiskswarmError,
  hasCode,
  MAX_CHUNK_BYTES,
  type Random,
  type Storage,
  toHex,
  ZERO_ID,
} from '@diskswarm/core';
import { NOBODY } from './admissions.ts';
import type { Catalog, Handle, Pack } from './catalog.ts';
import { Checkpointer } from './checkpointer.ts';
import { dropDamaged, type StoreContext } from './context.ts';
import type { DamageListener } from './damage.ts';
import { EventBuffer } from './event-buffer.ts';
import { keyOfId, newKey } from './key.ts';
import { PackFiles } from './pack-files.ts';
import { DEFAULT_PACK_BYTES, KIND, type LogPosition, PACK_HEADER_BYTES, packName } from './pack-format.ts';
import { PackWriter } from './pack-writer.ts';
import { readChunk } from './read-chunk.ts';
import { type Reclaimed, reclaimPacks } from './reclaim.ts';
import { recover } from './recovery.ts';
import { Removal, type Withdrawn } from './removal.ts';
import { type VerifyOptions, type VerifyResult, verifyPacks } from './scrub.ts';

const PACK_FOLDER = 'store/packs';
const CHECKPOINT_PATH = 'store/checkpoint';
/** Events wait for a sync, but no more records of them than this. */
const MAX_WAITING_EVENTS = 64;

export interface PackStoreOptions {
  readonly random: Random;
  /** Hears of every damaged place, also of those found while the store opens. */
  readonly onDamage?: DamageListener;
  /**
   * Hears once that a write or sync failed, at that moment: what was not synced before may read as something else from now on, also where it was read
   * and found good already.
   */
  readonly onFailure?: (error: DiskswarmError) => void;
  /** Size at which the next pack is begun. @default 256 MiB */
  readonly packBytes?: number;
}

/** What `stats` tells. */
export interface StoreStats {
  /** Chunks that some disk has, and their bytes. */
  readonly chunks: number;
  readonly bytes: number;
  readonly packs: number;
  readonly packBytes: number;
  /** Bytes in packs that no disk needs. */
  readonly deadBytes: number;
  /** Disks that chunks were ever admitted to since the last start, or are now. */
  readonly disks: number;
  /** Memory of the index. */
  readonly indexBytes: number;
}

/** Keeps the packs of some chunks in place, so that their locations stay good. `release` is idempotent. */
export interface Pin {
  release(): void;
}

interface Arrival {
  readonly disk: number;
  readonly done: () => void;
  readonly failed: (error: DiskswarmError) => void;
}

export class PackStore implements ChunkStore {
  readonly #context: StoreContext;
  readonly #catalog: Catalog;
  readonly #writer: PackWriter;
  readonly #checkpointer: Checkpointer;
  /** Chunks on their way into a pack, with those who wait for them. */
  readonly #arriving = new Map<ChunkId, Arrival[]>();
  readonly #removals = new Set<Removal>();
  readonly #key = newKey();
  #reclaiming: Promise<Reclaimed> | null = null;
  #closed: Promise<void> | null = null;

  private constructor(context: StoreContext) {
    this.#context = context;
    this.#catalog = context.catalog;
    this.#writer = context.writer;
    this.#checkpointer = new Checkpointer(context, CHECKPOINT_PATH);
  }

  /**
   * Opens the store in the folder `store` of `storage`, making it when missing; everything it then knows is durable.
   * Rejects with STATE_VERSION, READ_FAILED, WRITE_FAILED or DISK_FULL.
   */
  static async open(storage: Storage, options: PackStoreOptions): Promise<PackStore> {
    await storage.makeFolder(PACK_FOLDER);
    // Also for names that an earlier process made and did not live to sync.
    for (const folder of ['', 'store', PACK_FOLDER]) await storage.syncFolder(folder);
    const onDamage = options.onDamage ?? (() => {});
    const found = await recover(
      storage,
      { packFolder: PACK_FOLDER, checkpoint: CHECKPOINT_PATH },
      options.random,
      onDamage,
    );
    const { catalog, nonce } = found;
    const events = new EventBuffer();
    const packBytes = options.packBytes ?? DEFAULT_PACK_BYTES;
    const writer = new PackWriter(storage, catalog, {
      folder: PACK_FOLDER,
      nonce,
      packBytes,
      events,
      newestPack: found.newestPack,
      synced: found.end,
      marked: found.marked,
      onFailure: options.onFailure ?? (() => {}),
    });
    const newest = catalog.packs.get(found.newestPack);
    if (newest !== undefined && found.readable) await writer.resume(newest);
    const files = new PackFiles(storage, PACK_FOLDER);
    const store = new PackStore({ storage, packFolder: PACK_FOLDER, nonce, catalog, events, files, writer, onDamage });
    // A new store writes its nonce down before anything depends on it; a rebuilt one need not be rebuilt again.
    if (!found.fromCheckpoint) await store.checkpoint().catch(unlessDiskFull);
    return store;
  }

  has(id: ChunkId, disk: DiskId): boolean {
    const handle = this.#catalog.findId(id);
    return handle >= 0 && this.#catalog.isAdmitted(handle, disk);
  }

  /** Admits a chunk that is here to `disk`, durable after the next `sync`; false when it is not here. */
  admit(id: ChunkId, disk: DiskId): boolean {
    this.#writer.assertUsable();
    const handle = this.#catalog.findId(id);
    if (handle < 0) return false;
    this.#admit(handle, this.#catalog.admissions.numberOf(disk));
    return true;
  }

  async get(id: ChunkId): Promise<Uint8Array> {
    const handle = this.#catalog.findId(id);
    if (handle < 0) throw notFound(id);
    // Not pooled: the array is the caller's, who may transfer its buffer. Not zeroed: the read fills it or fails.
    const { buffer } = Buffer.allocUnsafeSlow(this.#catalog.lengthOf(handle));
    const into = new Uint8Array(buffer);
    await this.verifiedRead(id, into);
    return into;
  }

  /**
   * Reads the chunk into the front of `into`, checks it against `id`, and gives its length. Rejects with CHUNK_NOT_FOUND; with
   * CHUNK_CORRUPT, and the chunk is then no longer here; or with READ_FAILED where the disk reports an error: that may pass, and this
   * may be the only copy, so it stays until somebody who can fetch it again calls `forget`. What `into` holds after a rejection is undefined.
   */
  async verifiedRead(id: ChunkId, into: Uint8Array): Promise<number> {
    for (;;) {
      const handle = this.#catalog.findId(id);
      if (handle < 0) throw notFound(id);
      const lengthBytes = this.#catalog.lengthOf(handle);
      if (into.length < lengthBytes) throw new RangeError(`${into.length} bytes of room for ${lengthBytes}`);
      const result = await readChunk(this.#context, handle, into.subarray(0, lengthBytes));
      if (result.outcome === 'moved') continue;
      if (result.outcome === 'read' && toHex(result.hash) === id) return lengthBytes;
      if (result.outcome === 'unreadable') {
        const { path, positionBytes } = this.locate(id)!;
        throw new DiskswarmError('READ_FAILED', `${path}: the chunk at byte ${positionBytes} is unreadable`, {
          data: { id, path, positionBytes },
          cause: result.error,
        });
      }
      const kind = result.outcome === 'read' ? 'changed' : result.outcome;
      const { path, positionBytes } = dropDamaged(this.#context, handle, kind, id);
      throw new DiskswarmError('CHUNK_CORRUPT', `${path}: the chunk at byte ${positionBytes} is ${kind}`, {
        data: { id, path, positionBytes },
      });
    }
  }

  /** Takes a chunk that could not be read out of the index, because it can be had elsewhere. */
  forget(id: ChunkId): void {
    const handle = this.#catalog.findId(id);
    if (handle >= 0) dropDamaged(this.#context, handle, 'unreadable', id);
  }

  /**
   * Where the chunk's plain bytes are. The place is good until the chunk is dropped or moved: hold a pin, or keep the file open, and
   * ask again when opening it fails.
   */
  locate(id: ChunkId): ChunkLocation | null {
    const handle = this.#catalog.findId(id);
    if (handle < 0) return null;
    return {
      path: `${PACK_FOLDER}/${packName(this.#catalog.packOf(handle))}`,
      positionBytes: this.#catalog.positionOf(handle),
      lengthBytes: this.#catalog.lengthOf(handle),
    };
  }

  put(id: ChunkId, bytes: Uint8Array, disk: DiskId): Promise<void> {
    return this.putMany([{ id, bytes }], disk);
  }

  /**
   * Stores chunks the caller has verified, all admitted to `disk`; adjacent ones are written together, without a copy. Bytes may not change
   * until it settles. Rejects with DISK_FULL (some may be stored) or WRITE_FAILED.
   */
  async putMany(chunks: readonly { readonly id: ChunkId; readonly bytes: Uint8Array }[], disk: DiskId): Promise<void> {
    this.#writer.assertUsable();
    for (const { id, bytes } of chunks) {
      if (id === ZERO_ID || bytes.length === 0 || bytes.length > MAX_CHUNK_BYTES)
        throw new RangeError(`cannot store ${bytes.length} bytes as ${id}`);
    }
    if (chunks.length === 0) return;
    const number = this.#catalog.admissions.numberOf(disk);
    await this.#writer.room();
    let left = chunks.length;
    await new Promise<void>((resolve, reject) => {
      const arrival: Arrival = {
        disk: number,
        done: () => {
          if (--left === 0) resolve();
        },
        failed: reject,
      };
      for (const { id, bytes } of chunks) this.#putOne(id, bytes, arrival);
    });
    this.#checkpointer.writeWhenDue();
  }

  async sync(): Promise<void> {
    await this.#writer.sync();
    this.#checkpointer.writeWhenDue();
  }

  /** Keeps the packs of those of the chunks that are here from being moved or deleted until it is released; also those of dead chunks. */
  pin(ids: Iterable<ChunkId>): Pin {
    const pinned = new Map<Pack, number>();
    for (const id of ids) {
      const handle = this.#catalog.findId(id);
      const pack = handle < 0 ? undefined : this.#catalog.packs.get(this.#catalog.packOf(handle));
      if (pack === undefined) continue;
      pack.pins++;
      pinned.set(pack, (pinned.get(pack) ?? 0) + 1);
    }
    return {
      release() {
        for (const [pack, count] of pinned) pack.pins -= count;
        pinned.clear();
      },
    };
  }

  /**
   * Withdraws `disk` from all its chunks but those in `keep`, durably; chunks that no disk has any more are dead. What is admitted to the disk
   * while this runs is kept. On a full disk it still works, but is forgotten in a crash before a `reclaim` made room.
   */
  async remove(disk: DiskId, keep: Iterable<ChunkId> | AsyncIterable<ChunkId> = []): Promise<Withdrawn> {
    this.#writer.assertUsable();
    const number = this.#catalog.admissions.find(disk);
    if (number < 0) return { chunks: 0, bytes: 0 };
    const removal = new Removal(number);
    this.#removals.add(removal);
    try {
      return await removal.run(this.#context, keep);
    } finally {
      this.#removals.delete(removal);
    }
  }

  /** Gives dead space back to the file system; callers that come while it runs share it. */
  reclaim(options: { signal?: AbortSignal } = {}): Promise<Reclaimed> {
    this.#writer.assertUsable();
    this.#reclaiming ??= reclaimPacks(this.#context, { signal: options.signal }).finally(() => {
      this.#reclaiming = null;
    });
    return this.#reclaiming;
  }

  /** Reads and checks every chunk; what is damaged is dropped, so that it is fetched again, and what cannot be read now is named and stays. */
  verify(options: VerifyOptions = {}): Promise<VerifyResult> {
    return verifyPacks(this.#context, options);
  }

  stats(): StoreStats {
    const packs = [...this.#catalog.packs.values()];
    const packBytes = packs.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    const liveBytes = packs.reduce((sum, pack) => sum + pack.liveBytes + PACK_HEADER_BYTES, 0);
    return {
      ...this.#catalog.live,
      packs: packs.length,
      packBytes,
      deadBytes: packBytes - liveBytes,
      disks: this.#catalog.admissions.disks.length,
      indexBytes: this.#catalog.memoryBytes,
    };
  }

  /** Writes a checkpoint of the index; one is also written now and then, and at close. Rejects with DISK_FULL or WRITE_FAILED. */
  checkpoint(): Promise<void> {
    return this.#checkpointer.write();
  }

  /** Syncs, writes a checkpoint, closes all files; idempotent. Work under way is waited for. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  #putOne(id: ChunkId, bytes: Uint8Array, arrival: Arrival): void {
    const handle = this.#catalog.findId(id);
    if (handle >= 0) {
      this.#admit(handle, arrival.disk);
      arrival.done();
      return;
    }
    const others = this.#arriving.get(id);
    if (others !== undefined) {
      others.push(arrival);
      return;
    }
    const arrivals = [arrival];
    this.#arriving.set(id, arrivals);
    this.#writer.enqueue({
      id,
      bytes,
      disk: () => arrival.disk,
      done: (place) => this.#arrived(id, bytes.length, place!, arrivals),
      failed: (error) => {
        this.#arriving.delete(id);
        for (const { failed } of arrivals) failed(error);
      },
    });
  }

  #arrived(id: ChunkId, lengthBytes: number, place: LogPosition, arrivals: readonly Arrival[]): void {
    this.#arriving.delete(id);
    const first = arrivals[0]!.disk;
    const handle = this.#catalog.place(
      keyOfId(id, this.#key),
      place.pack,
      place.positionBytes,
      lengthBytes,
      this.#catalog.admissions.with(NOBODY, first),
    );
    for (const { disk, done } of arrivals) {
      this.#admit(handle, disk);
      done();
    }
  }

  #admit(handle: Handle, disk: number): void {
    for (const removal of this.#removals) if (removal.disk === disk) removal.keep(handle);
    if (!this.#catalog.admit(handle, disk)) return;
    const { events } = this.#context;
    events.push(KIND.admit, disk, this.#catalog.keyOf(handle, this.#key));
    if (events.recordCount > MAX_WAITING_EVENTS) void this.#writer.flush().catch(() => {});
  }

  async #close(): Promise<void> {
    await this.#reclaiming?.catch(() => {});
    await this.#checkpointer.idle();
    try {
      if (!this.#writer.isPoisoned && this.#checkpointer.isBehind) await this.checkpoint().catch(unlessDiskFull);
    } finally {
      await this.#writer.close();
      await this.#context.files.close();
    }
  }
}

function notFound(id: ChunkId): DiskswarmError {
  return new DiskswarmError('CHUNK_NOT_FOUND', `chunk ${id} is not in the store`, { data: { id } });
}

function unlessDiskFull(error: unknown): void {
  if (!hasCode(error, 'DISK_FULL')) throw error;
}
