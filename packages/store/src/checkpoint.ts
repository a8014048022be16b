/**
 * Checkpoints: the catalog written down, so that a start reads one file and the log behind it instead of all packs.
 *
 * file:  "dskindx\n", version u32, then blocks: length u32, crc32 u32, bytes. One block for each of the 256 parts of the index
 *        (count u32, then columns: keys, packs, positions, lengths, sets), then the trailer: nonce u32, log position from which to
 *        replay, log position that was durable (pack u32, position u32 each), disks (count u32, 32 bytes each), sets (count u32,
 *        each a count u32 and disk numbers u32).
 * Parts are copied one after the other while the store goes on: a part may already know what a later record says. Replaying the log
 * from the position taken before the first part ends at the truth all the same, because each record says what is, not what changed.
 * Crash order: everything the parts mention is synced, then the file, then its name. A checkpoint that cannot be read is no loss.
 */
import { crc32 } from 'node:zlib';
import { type DiskId, folderOf, ID_BYTES, idFromBytes, type Storage, type StorageFile } from '@diskswarm/core';
import { MAX_DISKS, NOBODY } from './admissions.ts';
import { type Catalog, SHARDS } from './catalog.ts';
import { FREE, type IndexShard } from './index-shard.ts';
import { KEY_BYTES, newKey, readKey, writeKey } from './key.ts';
import type { LogPosition } from './pack-format.ts';

const CHECKPOINT_VERSION = 1;
const MAGIC = Buffer.from('dskindx\n', 'latin1');
const HEADER_BYTES = 12;
const BLOCK_OVERHEAD_BYTES = 8;
/** Largest block: 9 million chunks in one of 256 parts. */
const MAX_BLOCK_BYTES = 288 * 1024 * 1024;
const ENTRY_BYTES = KEY_BYTES + 16;
const WRITE_BYTES = 1024 * 1024;
const MAX_SETS = 2 ** 24;

/** What a checkpoint says beside the catalog. */
export interface CheckpointInfo {
  readonly nonce: number;
  /** Replay the log from here. */
  readonly scanFrom: LogPosition;
  /** Everything before was durable. */
  readonly synced: LogPosition;
}

/**
 * Writes the catalog to `path`, atomically; returns the bytes written. `settle` is called when all parts are copied, makes what they mention
 * durable and says how far. Rejects with DISK_FULL (the old checkpoint stays) or WRITE_FAILED.
 */
export async function writeCheckpoint(
  storage: Storage,
  path: string,
  catalog: Catalog,
  nonce: number,
  scanFrom: LogPosition,
  settle: () => Promise<LogPosition>,
): Promise<number> {
  const beside = `${path}.new`;
  await storage.remove(beside);
  const file = await storage.open(beside, 'create-new');
  const out = new BlockOutput(file);
  try {
    const header = Buffer.alloc(HEADER_BYTES);
    MAGIC.copy(header);
    header.writeUInt32LE(CHECKPOINT_VERSION, 8);
    await out.add(header);
    for (const shard of catalog.shards) await out.addBlock(encodeShard(shard));
    const synced = await settle();
    await out.addBlock(encodeTrailer(catalog, { nonce, scanFrom, synced }));
    await out.flush();
    await file.sync();
  } catch (error) {
    await file.close();
    await storage.remove(beside);
    throw error;
  }
  await file.close();
  await storage.rename(beside, path);
  await storage.syncFolder(folderOf(path));
  return out.writtenBytes;
}

/** Gathers blocks into writes of about a megabyte. */
class BlockOutput {
  readonly #file: StorageFile;
  #views: Uint8Array[] = [];
  #gatheredBytes = 0;
  writtenBytes = 0;

  constructor(file: StorageFile) {
    this.#file = file;
  }

  async addBlock(block: Buffer): Promise<void> {
    const overhead = Buffer.alloc(BLOCK_OVERHEAD_BYTES);
    overhead.writeUInt32LE(block.length, 0);
    overhead.writeUInt32LE(crc32(block), 4);
    await this.add(overhead);
    await this.add(block);
  }

  async add(view: Uint8Array): Promise<void> {
    this.#views.push(view);
    this.#gatheredBytes += view.length;
    if (this.#gatheredBytes >= WRITE_BYTES) await this.flush();
  }

  async flush(): Promise<void> {
    const views = this.#views.splice(0);
    await this.#file.write(views, this.writtenBytes);
    this.writtenBytes += this.#gatheredBytes;
    this.#gatheredBytes = 0;
  }
}

/** Fills an empty catalog from `path`; null when there is no checkpoint that can be used, whatever the reason. The catalog is then in an undefined state. */
export async function readCheckpoint(storage: Storage, path: string, catalog: Catalog): Promise<CheckpointInfo | null> {
  if ((await storage.stat(path)) === null) return null;
  const file = await storage.open(path, 'read');
  try {
    const header = Buffer.alloc(HEADER_BYTES);
    if (
      (await file.read(header, 0)) < HEADER_BYTES ||
      MAGIC.compare(header, 0, 8) !== 0 ||
      header.readUInt32LE(8) !== CHECKPOINT_VERSION
    )
      return null;
    // The trailer says what the numbers in the parts mean, and stands behind them: their places are found first.
    const blocks: { positionBytes: number; lengthBytes: number }[] = [];
    let position = HEADER_BYTES;
    while (blocks.length <= SHARDS) {
      const overhead = Buffer.alloc(BLOCK_OVERHEAD_BYTES);
      await file.read(overhead, position);
      const lengthBytes = overhead.readUInt32LE(0);
      if (lengthBytes > MAX_BLOCK_BYTES || position + lengthBytes > file.sizeBytes()) return null;
      blocks.push({ positionBytes: position, lengthBytes });
      position += BLOCK_OVERHEAD_BYTES + lengthBytes;
    }
    const trailer = await readBlock(file, blocks[SHARDS]!);
    const info = trailer === null ? null : decodeTrailer(trailer, catalog);
    if (info === null) return null;
    for (const place of blocks.slice(0, SHARDS)) {
      const block = await readBlock(file, place);
      if (block === null || !decodeShard(block, catalog, info.setNumbers)) return null;
    }
    return info;
  } catch {
    // What a disk refuses to read, the packs still say.
    return null;
  } finally {
    await file.close();
  }
}

async function readBlock(
  file: StorageFile,
  place: { positionBytes: number; lengthBytes: number },
): Promise<Buffer | null> {
  const bytes = Buffer.allocUnsafe(BLOCK_OVERHEAD_BYTES + place.lengthBytes);
  if ((await file.read(bytes, place.positionBytes)) < bytes.length) return null;
  const block = bytes.subarray(BLOCK_OVERHEAD_BYTES);
  return crc32(block) === bytes.readUInt32LE(4) ? block : null;
}

function encodeShard(shard: IndexShard): Buffer {
  const { count } = shard;
  const block = Buffer.allocUnsafe(4 + count * ENTRY_BYTES);
  block.writeUInt32LE(count, 0);
  const columns = [shard.packs, shard.positions, shard.lengths, shard.sets];
  const key = newKey();
  let row = 0;
  for (let ordinal = 0; ordinal < shard.end; ordinal++) {
    if (shard.packs[ordinal] === FREE) continue;
    for (let word = 0; word < 4; word++) key[word] = shard.keys[ordinal * 4 + word]!;
    writeKey(key, block, 4 + row * KEY_BYTES);
    for (const [index, column] of columns.entries())
      block.writeUInt32LE(column[ordinal]!, 4 + count * (KEY_BYTES + index * 4) + row * 4);
    row++;
  }
  return block;
}

function decodeShard(block: Buffer, catalog: Catalog, setNumbers: readonly number[]): boolean {
  const count = block.readUInt32LE(0);
  if (block.length !== 4 + count * ENTRY_BYTES) return false;
  const key = newKey();
  const column = (index: number, row: number): number =>
    block.readUInt32LE(4 + count * (KEY_BYTES + index * 4) + row * 4);
  for (let row = 0; row < count; row++) {
    const set = setNumbers[column(3, row)];
    if (set === undefined || column(0, row) === FREE) return false;
    catalog.place(readKey(block, 4 + row * KEY_BYTES, key), column(0, row), column(1, row), column(2, row), set);
  }
  return true;
}

function encodeTrailer(catalog: Catalog, info: CheckpointInfo): Buffer {
  const { disks, sets } = catalog.admissions;
  const words = [
    info.nonce,
    info.scanFrom.pack,
    info.scanFrom.positionBytes,
    info.synced.pack,
    info.synced.positionBytes,
    disks.length,
  ];
  const setWords = [sets.length];
  for (const members of sets) setWords.push(members.length, ...members);
  const block = Buffer.alloc((words.length + setWords.length) * 4 + disks.length * ID_BYTES);
  let offset = 0;
  for (const word of words) offset = block.writeUInt32LE(word, offset);
  for (let number = 0; number < disks.length; number++) {
    block.set(catalog.admissions.diskBytesAt(number), offset);
    offset += ID_BYTES;
  }
  for (const word of setWords) offset = block.writeUInt32LE(word, offset);
  return block;
}

/** Also translates the file's set numbers to the catalog's. */
function decodeTrailer(block: Buffer, catalog: Catalog): (CheckpointInfo & { setNumbers: readonly number[] }) | null {
  let offset = 0;
  const word = (): number => {
    offset += 4;
    return block.readUInt32LE(offset - 4);
  };
  const nonce = word();
  const scanFrom = { pack: word(), positionBytes: word() };
  const synced = { pack: word(), positionBytes: word() };
  const diskCount = word();
  if (diskCount > MAX_DISKS || offset + diskCount * ID_BYTES > block.length) return null;
  const diskNumbers: number[] = [];
  for (let number = 0; number < diskCount; number++, offset += ID_BYTES) {
    diskNumbers.push(catalog.admissions.numberOf(idFromBytes<DiskId>(block, offset)));
  }
  const setCount = word();
  if (setCount > MAX_SETS) return null;
  const setNumbers: number[] = [];
  for (let index = 0; index < setCount; index++) {
    let set = NOBODY;
    for (let left = word(); left > 0; left--) {
      const disk = diskNumbers[word()];
      if (disk === undefined) return null;
      set = catalog.admissions.with(set, disk);
    }
    setNumbers.push(set);
  }
  return offset === block.length ? { nonce, scanFrom, synced, setNumbers } : null;
}
