/**
 * The end of the log: one writer that appends batches of records to the newest pack and starts the next one.
 *
 * Chunks wait in a bounded queue and are written up to 4 MiB at a time without being copied; events decided in memory go in front
 * of them. Done means handed to the kernel; `sync` makes durable and remembers in the log (a mark) how far.
 * Crash order: a chunk is entered in the catalog when its bytes were handed over, claimed when a sync covered them.
 * A failed write or sync poisons the writer: nobody knows what is on disk until the store is opened again. A full disk does not.
 */
import { blake3, DiskswarmError, hasCode, messageOf, type Storage, type StorageFile, toHex } from '@diskswarm/core';
import type { Catalog, Pack } from './catalog.ts';
import { type EventBuffer, type EventRecord, eventPayload, NO_DISK } from './event-buffer.ts';
import {
  encodePackHeader,
  encodeRecordHeader,
  KIND,
  type Kind,
  type LogPosition,
  PACK_HEADER_BYTES,
  packName,
  RECORD_HEADER_BYTES,
} from './pack-format.ts';

const BATCH_BYTES = 4 * 1024 * 1024;
const BATCH_RECORDS = 256;
const BATCH_EVENTS = 64;
/** Chunks wait for room beyond this. */
const MAX_QUEUED_BYTES = 64 * 1024 * 1024;
const NO_DISK_BYTES = new Uint8Array(32);

/** A chunk to write. */
export interface WriteItem {
  readonly id: string;
  readonly bytes: Uint8Array;
  /** The disk number it is admitted to, asked when its place in the log is decided; NO_DISK when it is no longer wanted. */
  disk(): number;
  /** Its bytes are at that place, in the kernel's hands; or it was no longer wanted (null). */
  done(place: LogPosition | null): void;
  failed(error: DiskswarmError): void;
}

interface OpenPack {
  readonly pack: Pack;
  readonly file: StorageFile;
  syncedBytes: number;
}

interface QueuedRecord {
  readonly kind: Kind;
  readonly id: string;
  readonly disk: number;
  readonly bytes: Uint8Array;
  readonly item: WriteItem | null;
}

interface Waiter {
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

export interface PackWriterOptions {
  readonly folder: string;
  readonly nonce: number;
  readonly packBytes: number;
  readonly events: EventBuffer;
  /** Number of the newest pack there is; 0 for none. */
  readonly newestPack: number;
  /** Everything before was durable when the store was opened. */
  readonly synced: LogPosition;
  /** False when the log does not say so itself: the next batch will. */
  readonly marked: boolean;
  /** Called once, when the writer is poisoned. */
  readonly onFailure: (error: DiskswarmError) => void;
}

export class PackWriter {
  readonly #storage: Storage;
  readonly #catalog: Catalog;
  readonly #options: PackWriterOptions;
  readonly #queue: WriteItem[] = [];
  #queuedBytes = 0;
  #roomWaiters: (() => void)[] = [];
  #flushWaiters: Waiter[] = [];
  #eventsInFlight = false;
  #running: Promise<void> | null = null;
  #current: OpenPack | null = null;
  #open: OpenPack[] = [];
  #newestPack: number;
  #folderDirty = false;
  #syncing: Promise<void> | null = null;
  #queuedSync: Promise<void> | null = null;
  #rollSync: Promise<void> = Promise.resolve();
  #synced: LogPosition;
  #markPending = false;
  #failure: unknown = null;
  #writtenBytes = 0;

  constructor(storage: Storage, catalog: Catalog, options: PackWriterOptions) {
    this.#storage = storage;
    this.#catalog = catalog;
    this.#options = options;
    this.#newestPack = options.newestPack;
    this.#synced = options.synced;
    this.#markPending = !options.marked;
  }

  /** Goes on writing the newest pack; without this the next write starts a new one. */
  async resume(pack: Pack): Promise<void> {
    const file = await this.#storage.open(pack.path, 'write');
    this.#current = { pack, file, syncedBytes: pack.sizeBytes };
    this.#open.push(this.#current);
  }

  /** Number of the pack that is being written, which must not be deleted. */
  get newestPack(): number {
    return this.#newestPack;
  }

  /** End of the log as it was handed to the kernel. */
  get end(): LogPosition {
    return { pack: this.#newestPack, positionBytes: this.#current?.pack.sizeBytes ?? 0 };
  }

  /** Everything before this place is durable. */
  get synced(): LogPosition {
    return this.#synced;
  }

  /** Bytes appended since the store was opened. */
  get writtenBytes(): number {
    return this.#writtenBytes;
  }

  get isPoisoned(): boolean {
    return this.#failure !== null;
  }

  assertUsable(): void {
    if (this.#failure !== null) throw failed(this.#failure);
  }

  poison(error: unknown): DiskswarmError {
    if (this.#failure === null) {
      this.#failure = error;
      this.#options.onFailure(failed(error));
    }
    return failed(this.#failure);
  }

  /** Resolves when the queue has room. */
  async room(): Promise<void> {
    while (this.#queuedBytes >= MAX_QUEUED_BYTES) await new Promise<void>((resolve) => this.#roomWaiters.push(resolve));
  }

  enqueue(item: WriteItem): void {
    this.#queue.push(item);
    this.#queuedBytes += item.bytes.length;
    this.#wake();
  }

  /** Hands all events that are waiting to the kernel. Rejects with DISK_FULL (they go on waiting) or WRITE_FAILED. */
  async flush(): Promise<void> {
    this.assertUsable();
    if (this.#options.events.recordCount === 0 && !this.#eventsInFlight) return;
    await this.#flushed();
  }

  /** Makes everything that was done before the call durable, events included. */
  async sync(): Promise<void> {
    await this.flush();
    await this.syncWritten();
  }

  /** Makes durable what was handed to the kernel before the call; one sync serves all that ask while another runs. */
  async syncWritten(): Promise<void> {
    this.assertUsable();
    if (this.#queuedSync !== null) return this.#queuedSync;
    if (this.#syncing !== null) {
      this.#queuedSync = this.#syncing.then(() => {
        this.#queuedSync = null;
        return this.syncWritten();
      });
      return this.#queuedSync;
    }
    const targets = this.#open
      .filter((open) => open.pack.sizeBytes > open.syncedBytes)
      .map((open) => ({ open, sizeBytes: open.pack.sizeBytes }));
    if (targets.length === 0) return;
    this.#syncing = this.#syncTargets(targets, this.end).finally(() => {
      this.#syncing = null;
    });
    return this.#syncing;
  }

  /** Writes what is waiting, syncs, leaves a mark, and closes; a full disk or an earlier failure only leaves things out. */
  async close(): Promise<void> {
    try {
      if (this.#failure === null) {
        await this.sync();
        if (this.#markPending) await this.#flushed();
      }
    } catch (error) {
      if (!hasCode(error, 'DISK_FULL')) throw error;
    } finally {
      await this.#running;
      await this.#rollSync;
      for (const open of this.#open.splice(0)) await open.file.close();
      this.#failure ??= new Error('the store is closed');
    }
  }

  #flushed(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#flushWaiters.push({ resolve, reject });
      this.#wake();
    });
  }

  #wake(): void {
    this.#running ??= this.#run().finally(() => {
      this.#running = null;
      if (this.#hasWork()) this.#wake();
    });
  }

  #hasWork(): boolean {
    return this.#queue.length > 0 || this.#flushWaiters.length > 0;
  }

  async #run(): Promise<void> {
    // Puts of the same turn share a batch.
    await Promise.resolve();
    while (this.#hasWork()) {
      const waiters = this.#flushWaiters.splice(0);
      const events: EventRecord[] = [];
      const records: QueuedRecord[] = [];
      try {
        this.assertUsable();
        this.#collect(events, records);
        if (records.length > 0) await this.#write(records);
        this.#settle(records, waiters);
      } catch (error) {
        this.#giveUp(error, events, records, waiters);
      }
      for (const wake of this.#roomWaiters.splice(0)) wake();
    }
  }

  /** Fills a batch: the mark, events, and chunks once no event waits any longer. */
  #collect(events: EventRecord[], records: QueuedRecord[]): void {
    if (this.#markPending) records.push(markRecord(this.#synced));
    events.push(...this.#options.events.take(BATCH_EVENTS));
    this.#eventsInFlight = events.length > 0;
    for (const event of events)
      records.push({ kind: event.kind, disk: event.disk, item: null, ...eventPayload(event) });
    const limitBytes = Math.min(BATCH_BYTES, this.#options.packBytes);
    let batchBytes = 0;
    let count = 0;
    while (
      this.#options.events.recordCount === 0 &&
      count < this.#queue.length &&
      records.length < BATCH_RECORDS &&
      batchBytes < limitBytes
    ) {
      const item = this.#queue[count++]!;
      this.#queuedBytes -= item.bytes.length;
      const disk = item.disk();
      if (disk === NO_DISK) item.done(null);
      else records.push({ kind: KIND.chunk, id: item.id, disk, bytes: item.bytes, item });
      batchBytes += item.bytes.length;
    }
    this.#queue.splice(0, count);
  }

  async #write(records: readonly QueuedRecord[]): Promise<void> {
    let totalBytes = 0;
    for (const record of records) totalBytes += RECORD_HEADER_BYTES + record.bytes.length;
    const { pack, file } = await this.#packWithRoom(totalBytes);
    const headers = Buffer.allocUnsafe(records.length * RECORD_HEADER_BYTES);
    const views: Uint8Array[] = [];
    for (const [index, { kind, id, disk, bytes }] of records.entries()) {
      const offset = index * RECORD_HEADER_BYTES;
      const diskBytes = disk === NO_DISK ? NO_DISK_BYTES : this.#catalog.admissions.diskBytesAt(disk);
      encodeRecordHeader(headers, offset, {
        kind,
        lengthBytes: bytes.length,
        pack: pack.number,
        id,
        disk: diskBytes,
        nonce: this.#options.nonce,
      });
      views.push(headers.subarray(offset, offset + RECORD_HEADER_BYTES), bytes);
    }
    try {
      await file.write(views, pack.sizeBytes);
    } catch (error) {
      if (hasCode(error, 'DISK_FULL')) await file.truncate(pack.sizeBytes);
      throw error;
    }
  }

  /** The batch is in the kernel's hands: moves the end of the log, then tells everyone, in order. */
  #settle(records: readonly QueuedRecord[], waiters: readonly Waiter[]): void {
    this.#eventsInFlight = false;
    const pack = this.#current?.pack;
    for (const { kind, bytes, item } of records) {
      const place = { pack: pack!.number, positionBytes: pack!.sizeBytes + RECORD_HEADER_BYTES };
      pack!.sizeBytes = place.positionBytes + bytes.length;
      this.#writtenBytes += RECORD_HEADER_BYTES + bytes.length;
      if (kind === KIND.mark) this.#markPending = false;
      item?.done(place);
    }
    if (this.#options.events.recordCount > 0) this.#flushWaiters.unshift(...waiters);
    else for (const waiter of waiters) waiter.resolve();
  }

  #giveUp(
    error: unknown,
    events: readonly EventRecord[],
    records: readonly QueuedRecord[],
    waiters: readonly Waiter[],
  ): void {
    const reason = hasCode(error, 'DISK_FULL') ? error : this.poison(error);
    this.#eventsInFlight = false;
    this.#options.events.putBack(events);
    for (const { item } of records) item?.failed(reason);
    for (const waiter of waiters) waiter.reject(reason);
    if (this.#failure === null) return;
    // Nothing of what queued meanwhile will be written either.
    for (const item of this.#queue.splice(0)) {
      this.#queuedBytes -= item.bytes.length;
      item.failed(reason);
    }
  }

  async #packWithRoom(totalBytes: number): Promise<OpenPack> {
    const current = this.#current;
    if (current !== null) {
      const { sizeBytes } = current.pack;
      if (sizeBytes + totalBytes <= this.#options.packBytes || sizeBytes === PACK_HEADER_BYTES) return current;
      // At most two packs hold what was never synced.
      await this.#rollSync;
      this.#rollSync = this.syncWritten().catch(() => {});
    }
    const number = this.#newestPack + 1;
    const path = `${this.#options.folder}/${packName(number)}`;
    const file = await this.#storage.open(path, 'create-new');
    try {
      file.writeSync(encodePackHeader(number, this.#options.nonce), 0);
    } catch (error) {
      await file.close();
      await this.#storage.remove(path);
      throw error;
    }
    const pack: Pack = { number, path, sizeBytes: PACK_HEADER_BYTES, liveBytes: 0, liveChunks: 0, pins: 0 };
    this.#newestPack = number;
    this.#folderDirty = true;
    this.#catalog.packs.set(number, pack);
    this.#current = { pack, file, syncedBytes: 0 };
    this.#open.push(this.#current);
    return this.#current;
  }

  async #syncTargets(targets: readonly { open: OpenPack; sizeBytes: number }[], end: LogPosition): Promise<void> {
    try {
      await Promise.all(targets.map(({ open }) => open.file.sync()));
      if (this.#folderDirty) {
        this.#folderDirty = false;
        await this.#storage.syncFolder(this.#options.folder);
      }
      for (const { open, sizeBytes } of targets) open.syncedBytes = sizeBytes;
      this.#synced = end;
      this.#markPending = true;
      for (const { open } of targets) {
        if (open === this.#current || open.pack.sizeBytes > open.syncedBytes) continue;
        this.#open = this.#open.filter((other) => other !== open);
        await open.file.close();
      }
    } catch (error) {
      throw this.poison(error);
    }
  }
}

function markRecord(synced: LogPosition): QueuedRecord {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt32LE(synced.pack, 0);
  bytes.writeUInt32LE(synced.positionBytes, 4);
  return { kind: KIND.mark, id: toHex(blake3(bytes)), disk: NO_DISK, bytes, item: null };
}

function failed(cause: unknown): DiskswarmError {
  return new DiskswarmError('WRITE_FAILED', `the store failed and must be opened again: ${messageOf(cause)}`, {
    cause,
  });
}
