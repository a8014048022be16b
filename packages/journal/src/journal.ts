/**
 * The journal: an append-only list of records that survives crashes, shared by metadata, store and overlay maps.
 *
 * `append` hands a record to the kernel (the death of the process loses nothing); `sync` makes it durable. After a failed sync
 * nobody knows what is on disk, so the journal is poisoned and only opening it again finds out. A rewrite replaces the file
 * atomically while appends go on: from before the rename until the folder is synced they go to both files, so that whichever
 * one a crash leaves has them. What the records mean, and when to rewrite, is the caller's business.
 */
import { DiskswarmError, folderOf, hasCode, messageOf, type Storage } from '@diskswarm/core';
import { FRAME_OVERHEAD_BYTES, MAX_RECORD_BYTES } from './format.ts';
import { LogFile } from './log-file.ts';
import { type ReplayOptions, replayFile } from './replay.ts';

/** Snapshot records are written in blocks of about this size. */
const REWRITE_BLOCK_BYTES = 1024 * 1024;

export interface JournalOptions extends ReplayOptions {
  /**
   * Zeroed space to keep ahead of the tail, at most 16 MiB: that many bytes (8 per record included) can be appended on a full disk.
   * @default 0
   */
  readonly reserveBytes?: number;
}

/** Largest reserve a journal may ask for. */
const MAX_RESERVE_BYTES = 16 * 1024 * 1024;

interface Rewrite {
  /** Copies of the records appended before the new file is ready for them. */
  readonly waiting: Uint8Array[];
  /** The new file, once every append goes to both. */
  log: LogFile | null;
}

export class Journal {
  readonly path: string;
  readonly #storage: Storage;
  readonly #kind: string;
  readonly #maxRecordBytes: number;
  readonly #reserveBytes: number;
  #log: LogFile;
  #rewrite: Rewrite | null = null;
  #rewriting: Promise<void> | null = null;
  #syncing: Promise<void> | null = null;
  #queuedSync: Promise<void> | null = null;
  #failure: unknown = null;
  #closed = false;

  private constructor(storage: Storage, path: string, options: JournalOptions, log: LogFile) {
    this.#storage = storage;
    this.path = path;
    this.#kind = options.kind;
    this.#maxRecordBytes = options.maxRecordBytes;
    this.#reserveBytes = options.reserveBytes ?? 0;
    if (this.#reserveBytes > MAX_RESERVE_BYTES) throw new RangeError(`reserveBytes ${this.#reserveBytes}`);
    this.#log = log;
  }

  /**
   * Opens the journal at `path`, making it (not its folder) when missing, and replays it. Every record replayed is durable when this
   * resolves. A torn tail is cut; damage before the last sync point rejects with JOURNAL_CORRUPT, a newer format with STATE_VERSION.
   * A disk too full for the reserve is no error.
   */
  static async open(storage: Storage, path: string, options: JournalOptions): Promise<Journal> {
    const beside = besideOf(path);
    await storage.remove(beside);
    if ((await storage.stat(path)) === null) await create(storage, path, options.kind);
    // A process that died between a rename and its folder sync left a name that a power cut could still take back.
    await storage.syncFolder(folderOf(path));
    const file = await storage.open(path, 'write');
    try {
      const found = await replayFile(file, options);
      const log = new LogFile(file, found);
      if (!found.cleanTail) await log.cut();
      if (log.dirty) {
        await log.writeUnprovenAgain();
        await log.sync();
      }
      const journal = new Journal(storage, path, options, log);
      await journal.reserve().catch((error: unknown) => {
        if (!hasCode(error, 'DISK_FULL')) throw error;
      });
      return journal;
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /** Bytes of the log: header, records and sync markers, without the reserve. */
  get sizeBytes(): number {
    return this.#log.tailBytes;
  }

  /** Records a replay would give. */
  get recordCount(): number {
    return this.#log.recordCount;
  }

  /** Zeroed bytes ahead of the tail: appends within them cannot meet a full disk. */
  get reservedBytes(): number {
    return this.#log.reservedBytes;
  }

  /** Hands one record (1 to `maxRecordBytes` bytes, copied) to the kernel. Throws DISK_FULL (nothing appended, journal lives) or WRITE_FAILED. */
  append(record: Uint8Array): void {
    this.appendBatch([record]);
  }

  /** Hands all records to the kernel in one write: all of them or, when it throws, none. */
  appendBatch(records: readonly Uint8Array[]): void {
    this.#assertUsable();
    if (records.length === 0) return;
    for (const record of records) {
      if (record.length === 0 || record.length > this.#maxRecordBytes)
        throw new RangeError(`a record of ${record.length} bytes`);
    }
    try {
      this.#appendEverywhere(records);
    } catch (error) {
      throw hasCode(error, 'DISK_FULL') ? error : this.#poison(error);
    }
  }

  /**
   * Resolves when everything appended before the call is durable. Callers that come while a sync runs share the next one.
   * Rejects with WRITE_FAILED, after which every call does: open the journal again to learn what is there.
   */
  async sync(): Promise<void> {
    this.#assertUsable();
    if (this.#queuedSync !== null) return this.#queuedSync;
    if (this.#syncing !== null) {
      this.#queuedSync = this.#syncing.then(() => {
        this.#queuedSync = null;
        return this.sync();
      });
      return this.#queuedSync;
    }
    const dirty = this.#logs().filter((log) => log.dirty);
    if (dirty.length === 0) return;
    this.#syncing = Promise.all(dirty.map((log) => log.sync())).then(
      () => {
        this.#syncing = null;
      },
      (error: unknown) => {
        this.#syncing = null;
        throw this.#poison(error);
      },
    );
    return this.#syncing;
  }

  /** Fills the reserve up again. Rejects with DISK_FULL when there is no room; what is reserved already stays. */
  async reserve(): Promise<void> {
    this.#assertUsable();
    try {
      this.#log.reserve(this.#reserveBytes);
    } catch (error) {
      throw hasCode(error, 'DISK_FULL') ? error : this.#poison(error);
    }
  }

  /**
   * Replaces all records by `records`, atomically and durably. The iterable is consumed before this returns its promise and must describe
   * all that was appended so far; appends that come while it runs are kept. Rejects with DISK_FULL (the journal goes on as it was).
   */
  rewrite(records: Iterable<Uint8Array>): Promise<void> {
    this.#assertUsable();
    if (this.#rewriting !== null) throw new Error('a rewrite is running');
    const blocks = toBlocks(records, this.#maxRecordBytes);
    this.#rewriting = this.#runRewrite(blocks).finally(() => {
      this.#rewriting = null;
    });
    return this.#rewriting;
  }

  /** Syncs what was appended, then closes; idempotent. A poisoned journal is only closed. */
  async close(): Promise<void> {
    if (this.#closed) return;
    await this.#rewriting?.catch(() => {});
    try {
      if (this.#failure === null) await this.sync();
    } finally {
      this.#closed = true;
      await this.#log.file.close();
    }
  }

  /** To both files of a rewrite or to neither: until the folder is synced, either may be the one that a crash leaves. */
  #appendEverywhere(records: readonly Uint8Array[]): void {
    const rewrite = this.#rewrite;
    const next = rewrite?.log ?? null;
    const before = next?.state();
    next?.append(records);
    try {
      this.#log.append(records);
    } catch (error) {
      if (before !== undefined) next?.rollBack(before);
      throw error;
    }
    if (rewrite !== null && next === null) for (const record of records) rewrite.waiting.push(record.slice());
  }

  async #runRewrite(blocks: readonly Uint8Array[][]): Promise<void> {
    const beside = besideOf(this.path);
    const old = this.#log;
    const rewrite: Rewrite = { waiting: [], log: null };
    this.#rewrite = rewrite;
    let log: LogFile | null = null;
    let committed = false;
    try {
      log = await LogFile.create(this.#storage, beside, this.#kind, old.header.epoch + 1);
      for (const block of blocks) await log.appendAlone(block);
      log.reserve(this.#reserveBytes);
      // One step without a pause: what waited goes in, and from here on appends go to both.
      log.append(rewrite.waiting.splice(0));
      rewrite.log = log;
      await log.sync();
      committed = true;
      await this.#storage.rename(beside, this.path);
      await this.#storage.syncFolder(folderOf(this.path));
      this.#assertUsable();
      this.#log = log;
      this.#rewrite = null;
      await this.#syncing?.catch(() => {});
      await old.file.close();
    } catch (error) {
      this.#rewrite = null;
      await log?.file.close();
      // Once the rename was asked for, nobody knows which file a crash would leave.
      if (committed || !hasCode(error, 'DISK_FULL')) throw this.#poison(error);
      await this.#storage.remove(beside);
      throw error;
    }
  }

  #logs(): LogFile[] {
    const next = this.#rewrite?.log ?? null;
    return next === null ? [this.#log] : [this.#log, next];
  }

  #poison(error: unknown): DiskswarmError {
    this.#failure ??= error;
    return failed(this.path, this.#failure);
  }

  #assertUsable(): void {
    if (this.#closed) throw new Error(`${this.path}: the journal is closed`);
    if (this.#failure !== null) throw failed(this.path, this.#failure);
  }
}

function failed(path: string, cause: unknown): DiskswarmError {
  return new DiskswarmError(
    'WRITE_FAILED',
    `${path}: the journal failed and must be opened again: ${messageOf(cause)}`,
    { data: { path }, cause },
  );
}

function besideOf(path: string): string {
  return `${path}.new`;
}

/** A journal with no records, so that a crash leaves none or a whole one. */
async function create(storage: Storage, path: string, kind: string): Promise<void> {
  const beside = besideOf(path);
  const log = await LogFile.create(storage, beside, kind, 0);
  try {
    await log.file.sync();
  } finally {
    await log.file.close();
  }
  await storage.rename(beside, path);
  await storage.syncFolder(folderOf(path));
}

/** Copies of the records, grouped into blocks that are written at once. */
function toBlocks(records: Iterable<Uint8Array>, maxRecordBytes: number): Uint8Array[][] {
  const blocks: Uint8Array[][] = [];
  let block: Uint8Array[] = [];
  let blockBytes = 0;
  for (const record of records) {
    if (record.length === 0 || record.length > Math.min(maxRecordBytes, MAX_RECORD_BYTES))
      throw new RangeError(`a record of ${record.length} bytes`);
    if (blockBytes + record.length > REWRITE_BLOCK_BYTES && block.length > 0) {
      blocks.push(block);
      block = [];
      blockBytes = 0;
    }
    block.push(record.slice());
    blockBytes += FRAME_OVERHEAD_BYTES + record.length;
  }
  if (block.length > 0) blocks.push(block);
  return blocks;
}
