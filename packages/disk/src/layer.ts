/**
 * One layer of the overlay: a sparse data file at disk offsets and the journal that maps it.
 *
 * Crash order: data is handed to the kernel, then the map record (`commit`); a flush makes the data durable, then the record
 * that says so. A block that had no data in this layer is always written whole, so what the data file held before does not
 * matter. Leaves to the overlay: which layer is on top, when to flush, poisoning. See layer-replay.ts for recovery.
 */
import {
  BLOCK_BYTES,
  blake3,
  DiskswarmError,
  type GenerationId,
  hasCode,
  type Storage,
  type StorageFile,
} from '@diskswarm/core';
import { Journal } from '@diskswarm/journal';
import { BLOCK, BlockMap, type BlockRun, type MappedState } from './block-map.ts';
import { MapReplay, type ReplayedMap, readMap } from './layer-replay.ts';
import { encodeMapRecord, type LayerHeader, MAP_KIND, MAX_MAP_RECORD_BYTES, MAX_RUNS } from './map-record.ts';

/** Zeroed journal space kept for map records of a full disk: some 40,000 scattered holes. */
export const MAP_RESERVE_BYTES = 1024 * 1024;
/** A map is looked at for compaction from this size on. */
const COMPACT_FROM_BYTES = 4 * 1024 * 1024;
/** A snapshot with more runs than this is not worth its memory. */
const MAX_SNAPSHOT_RUNS = 1_000_000;

/** Paths of a layer's two files. */
export function layerPaths(folder: string, layer: number): { data: string; map: string } {
  return { data: `${folder}/${layer}.data`, map: `${folder}/${layer}.map` };
}

/** What a layer is opened with. */
export interface LayerContext {
  readonly storage: Storage;
  readonly folder: string;
  /** Changes whenever writes that were not synced may have been lost. */
  readonly bootId: string;
  readonly blocksPerPiece: number;
}

/** Data that is written again goes in steps of this size. */
const REWRITE_BYTES = 1024 * 1024;

export class Layer {
  readonly header: LayerHeader;
  readonly map: BlockMap;
  readonly data: StorageFile;
  readonly #journal: Journal;
  readonly #boot: Uint8Array;
  /** `data` for every piece that the seal may have to write as a chunk. */
  readonly #pieces: BlockMap;
  readonly #blocksPerPiece: number;
  #pending: { first: number; count: number; state: MappedState }[] = [];
  #runRecords: number;
  #flushedThrough: number;
  #rebased: ReplayedMap['rebased'];
  #compactAtBytes = COMPACT_FROM_BYTES;
  /** Run records committed since a snapshot was taken. */
  #sinceSnapshot: Uint8Array[] | null = null;
  #readers = 0;
  #whenUnread: (() => void) | null = null;
  /** True when data or records were handed to the kernel that no sync has covered. */
  dirty: boolean;

  private constructor(context: LayerContext, replayed: ReplayedMap, data: StorageFile, journal: Journal) {
    this.header = replayed.header;
    this.map = replayed.map;
    this.data = data;
    this.#journal = journal;
    this.#boot = bootBytes(context.bootId);
    this.#blocksPerPiece = context.blocksPerPiece;
    this.#pieces = new BlockMap(Math.ceil(this.map.blocks / context.blocksPerPiece));
    this.#runRecords = replayed.runRecords;
    this.#flushedThrough = replayed.flushedThrough;
    this.#rebased = replayed.rebased;
    this.dirty = true;
    for (const run of this.map.runs()) this.#notePieces(run.first, run.count, run.state);
  }

  /** Makes an empty layer, durable when this resolves. Leftovers of an unfinished attempt are replaced. */
  static async create(context: LayerContext, header: LayerHeader): Promise<Layer> {
    const { storage, folder } = context;
    const paths = layerPaths(folder, header.layer);
    await storage.remove(paths.map);
    await storage.remove(paths.data);
    const data = await storage.open(paths.data, 'create-new');
    let journal: Journal | null = null;
    try {
      journal = await openJournal(storage, paths.map, () => {});
      journal.appendBatch([
        encodeMapRecord({ type: 'header', header }),
        encodeMapRecord({ type: 'session', valid: 0, boot: bootBytes(context.bootId) }),
      ]);
      await data.sync();
      await journal.sync();
      await storage.syncFolder(folder);
    } catch (error) {
      await journal?.close().catch(() => {});
      await data.close();
      await storage.remove(paths.map);
      await storage.remove(paths.data);
      throw error;
    }
    const map = new BlockMap(Math.ceil(header.sizeBytes / BLOCK_BYTES));
    const replayed = { header, map, runRecords: 0, flushedThrough: 0, boot: null, rebased: null, voids: [] };
    const layer = new Layer(context, replayed, data, journal);
    layer.dirty = false;
    return layer;
  }

  /**
   * Opens a layer that a former process left, or null when it was never completely made (then nothing was ever written to it).
   * `lost`: writes that were not synced may be gone even though the boot is the same.
   */
  static async open(context: LayerContext, layer: number, { lost }: { lost: boolean }): Promise<Layer | null> {
    const { storage, folder } = context;
    const paths = layerPaths(folder, layer);
    if ((await storage.stat(paths.map)) === null) return null;
    const before = await readMap(storage, paths.map);
    if (before === null) return null;
    if ((await storage.stat(paths.data)) === null) {
      if (before.runRecords === 0) return null;
      throw new DiskswarmError('JOURNAL_CORRUPT', `${paths.map} maps data that is gone`, {
        data: { path: paths.data },
      });
    }
    const boot = bootBytes(context.bootId);
    const powerCut = lost || before.boot === null || Buffer.compare(before.boot, boot) !== 0;
    const valid = powerCut ? before.flushedThrough : before.runRecords;
    const voids = valid < before.runRecords ? [...before.voids, { from: valid, to: before.runRecords }] : before.voids;
    const replay = new MapReplay(paths.map, voids);
    const data = await storage.open(paths.data, 'write');
    let journal: Journal | null = null;
    try {
      journal = await openJournal(storage, paths.map, replay.options.onRecord);
      journal.append(encodeMapRecord({ type: 'session', valid, boot }));
    } catch (error) {
      await journal?.close().catch(() => {});
      await data.close();
      throw error;
    }
    return new Layer(context, replay.result ?? before, data, journal);
  }

  /** Pieces that the seal may have to write as chunks. */
  get dirtyPieces(): number {
    return this.#pieces.dataBlocks;
  }

  /** The last base this layer was told of, and the layers below that were folded into it. */
  get rebased(): ReplayedMap['rebased'] {
    return this.#rebased;
  }

  /** False when the reserve for map records is running out and cannot be filled up. */
  get hasMapSpace(): boolean {
    return this.#journal.reservedBytes >= MAP_RESERVE_BYTES / 2;
  }

  /** Pieces that data in the range would add to `dirtyPieces`. */
  newPieces(firstBlock: number, blockCount: number): number {
    const first = Math.floor(firstBlock / this.#blocksPerPiece);
    const last = Math.floor((firstBlock + blockCount - 1) / this.#blocksPerPiece);
    return this.#pieces.withoutData(first, last - first + 1);
  }

  /** Notes that blocks are mapped so from now on; `commit` makes it outlive the process. */
  note(first: number, count: number, state: MappedState): void {
    const last = this.#pending[this.#pending.length - 1];
    if (last !== undefined && last.state === state && last.first + last.count === first) last.count += count;
    else this.#pending.push({ first, count, state });
    this.#notePieces(first, count, state);
    this.dirty = true;
  }

  /** Hands the map records of all writes so far to the kernel. Throws DISK_FULL (they stay pending) or WRITE_FAILED. */
  commit(): void {
    if (this.#pending.length === 0) return;
    const records: Uint8Array[] = [];
    for (let index = 0; index < this.#pending.length; index += MAX_RUNS) {
      records.push(encodeMapRecord({ type: 'runs', runs: this.#pending.slice(index, index + MAX_RUNS) }));
    }
    this.#journal.appendBatch(records);
    this.#pending = [];
    this.#runRecords += records.length;
    this.#sinceSnapshot?.push(...records);
  }

  /** Fills the reserve for map records up; a full disk is not an error, only less room. */
  async reserve(): Promise<void> {
    await this.#journal.reserve().catch((error: unknown) => {
      if (!hasCode(error, 'DISK_FULL')) throw error;
    });
  }

  /** Makes everything committed before durable: data first, then the map. Never runs twice at once. Rejects with WRITE_FAILED. */
  async sync(): Promise<void> {
    this.dirty = false;
    const through = this.#runRecords;
    const snapshot = this.#takeSnapshot();
    await this.data.sync();
    if (snapshot !== null && (await this.#rewrite(snapshot))) return;
    if (through > this.#flushedThrough) {
      this.#journal.append(encodeMapRecord({ type: 'flushed', through }));
      this.#flushedThrough = through;
    }
    await this.#journal.sync();
  }

  /**
   * Hands all data to the kernel once more. After a sync that failed, what reads show is not what the disk holds, and the next sync would succeed
   * without it; what is written again now is durable after `sync`.
   */
  async rewrite(): Promise<void> {
    const buffer = new Uint8Array(REWRITE_BYTES);
    for (const run of this.map.runs()) {
      if (run.state !== BLOCK.data) continue;
      const end = (run.first + run.count) * BLOCK_BYTES;
      for (let positionBytes = run.first * BLOCK_BYTES; positionBytes < end; positionBytes += REWRITE_BYTES) {
        const bytes = buffer.subarray(0, Math.min(REWRITE_BYTES, end - positionBytes));
        await this.read(bytes, positionBytes);
        await this.data.write([bytes], positionBytes);
      }
    }
    this.dirty = true;
  }

  /** Records durably that the layers through `droppedThrough` are part of `base` now. */
  async rebase(droppedThrough: number, base: GenerationId): Promise<void> {
    const record = { type: 'rebased', droppedThrough, base } as const;
    this.#journal.append(encodeMapRecord(record));
    this.#rebased = record;
    await this.#journal.sync();
  }

  /** Nothing is written to this layer any more; reads go on. Call after a last `sync`. */
  async freeze(): Promise<void> {
    await this.#journal.close();
  }

  /** An asynchronous read of the data file; `close` waits for it. */
  async read(into: Uint8Array, positionBytes: number): Promise<void> {
    this.#readers++;
    try {
      const count = await this.data.read(into, positionBytes);
      if (count < into.length) into.fill(0, count);
    } finally {
      this.#readers--;
      if (this.#readers === 0) this.#whenUnread?.();
    }
  }

  /** Closes both files once nobody reads; idempotent. */
  async close(): Promise<void> {
    if (this.#readers > 0) {
      await new Promise<void>((resolve) => {
        this.#whenUnread = resolve;
      });
    }
    try {
      await this.#journal.close();
    } finally {
      await this.data.close();
    }
  }

  /** A hole over a whole piece needs no chunk at the seal; anything else in a piece does. */
  #notePieces(firstBlock: number, blockCount: number, state: MappedState): void {
    const end = firstBlock + blockCount;
    const first = Math.floor(firstBlock / this.#blocksPerPiece);
    const last = Math.floor((end - 1) / this.#blocksPerPiece);
    if (state === BLOCK.data) {
      this.#pieces.set(first, last - first + 1, BLOCK.data);
      return;
    }
    const firstWhole = Math.ceil(firstBlock / this.#blocksPerPiece);
    const endWhole = end === this.map.blocks ? this.#pieces.blocks : Math.floor(end / this.#blocksPerPiece);
    if (firstWhole > first) this.#pieces.set(first, 1, BLOCK.data);
    if (endWhole <= last) this.#pieces.set(last, 1, BLOCK.data);
    if (endWhole > firstWhole) this.#pieces.set(firstWhole, endWhole - firstWhole, BLOCK.unmapped);
  }

  /** The map as records, when it would be less than half of the journal; commits from here on are kept beside it. */
  #takeSnapshot(): Uint8Array[] | null {
    if (this.#journal.sizeBytes < this.#compactAtBytes) return null;
    const records: Uint8Array[] = [];
    let runs: BlockRun[] = [];
    for (const run of this.map.runs()) {
      runs.push(run);
      if (runs.length < MAX_RUNS) continue;
      records.push(encodeMapRecord({ type: 'runs', runs }));
      runs = [];
      if (
        records.length * MAX_MAP_RECORD_BYTES * 2 > this.#journal.sizeBytes ||
        records.length * MAX_RUNS > MAX_SNAPSHOT_RUNS
      ) {
        this.#compactAtBytes = this.#journal.sizeBytes * 2;
        return null;
      }
    }
    if (runs.length > 0) records.push(encodeMapRecord({ type: 'runs', runs }));
    this.#sinceSnapshot = [];
    return records;
  }

  /** Replaces the journal by the snapshot, whose data is durable now, and what was committed since. False on a full disk. */
  async #rewrite(snapshot: readonly Uint8Array[]): Promise<boolean> {
    const since = this.#sinceSnapshot ?? [];
    this.#sinceSnapshot = null;
    const countBefore = this.#runRecords;
    const records = [
      encodeMapRecord({ type: 'header', header: this.header }),
      encodeMapRecord({ type: 'session', valid: 0, boot: this.#boot }),
      ...snapshot,
      encodeMapRecord({ type: 'flushed', through: snapshot.length }),
      ...since,
    ];
    if (this.#rebased !== null) records.push(encodeMapRecord(this.#rebased));
    const rewritten = this.#journal.rewrite(records);
    this.#runRecords = snapshot.length + since.length;
    const countAfter = this.#runRecords;
    try {
      await rewritten;
    } catch (error) {
      if (!hasCode(error, 'DISK_FULL')) throw error;
      this.#runRecords += countBefore - countAfter;
      this.#compactAtBytes = this.#journal.sizeBytes * 2;
      return false;
    }
    this.#flushedThrough = snapshot.length;
    this.#compactAtBytes = Math.max(COMPACT_FROM_BYTES, this.#journal.sizeBytes * 2);
    return true;
  }
}

function openJournal(
  storage: Storage,
  path: string,
  onRecord: (bytes: Uint8Array, index: number) => void,
): Promise<Journal> {
  return Journal.open(storage, path, {
    kind: MAP_KIND,
    maxRecordBytes: MAX_MAP_RECORD_BYTES,
    reserveBytes: MAP_RESERVE_BYTES,
    onRecord,
  });
}

function bootBytes(bootId: string): Uint8Array {
  return blake3(new TextEncoder().encode(bootId));
}
