/**
 * What the store knows: where each chunk lies, whom it is admitted to, and how much of each pack is still of use.
 *
 * The three are kept in step here, all in memory and all synchronous. A handle names an entry until it is removed. An entry
 * with no admissions is dead: it stays, so that the chunk can be revived, until its pack goes. Writing things down is others' business.
 */
import type { ChunkId, DiskId } from '@diskswarm/core';
import { Admissions, NOBODY } from './admissions.ts';
import { FREE, IndexShard } from './index-shard.ts';
import { type Key, keyOfId, newKey } from './key.ts';
import { RECORD_HEADER_BYTES } from './pack-format.ts';

/** Parts of the index; a checkpoint has one block for each. */
export const SHARDS = 256;
const ORDINALS = 2 ** 24;

/** A pack file as the catalog sees it. */
export interface Pack {
  readonly number: number;
  readonly path: string;
  /** End of its last record. */
  sizeBytes: number;
  /** Records (with their headers) of chunks that some disk has. */
  liveBytes: number;
  liveChunks: number;
  /** Pins that keep this file in place. */
  pins: number;
}

/** An entry's number; -1 is none. */
export type Handle = number;

export class Catalog {
  readonly admissions = new Admissions();
  readonly packs = new Map<number, Pack>();
  readonly shards: readonly IndexShard[] = Array.from({ length: SHARDS }, () => new IndexShard());
  readonly #key = newKey();
  #chunks = 0;
  #chunkBytes = 0;

  /** Live chunks and their bytes. */
  get live(): { readonly chunks: number; readonly bytes: number } {
    return { chunks: this.#chunks, bytes: this.#chunkBytes };
  }

  get memoryBytes(): number {
    return this.shards.reduce((sum, shard) => sum + shard.memoryBytes, 0);
  }

  findId(id: ChunkId): Handle {
    return this.find(keyOfId(id, this.#key));
  }

  find(key: Key): Handle {
    const shard = key[0]! & (SHARDS - 1);
    const ordinal = this.shards[shard]!.find(key);
    return ordinal < 0 ? -1 : shard * ORDINALS + ordinal;
  }

  packOf(handle: Handle): number {
    return this.#shard(handle).packs[handle % ORDINALS]!;
  }

  /** Where the chunk's bytes begin in its pack. */
  positionOf(handle: Handle): number {
    return this.#shard(handle).positions[handle % ORDINALS]!;
  }

  lengthOf(handle: Handle): number {
    return this.#shard(handle).lengths[handle % ORDINALS]!;
  }

  setOf(handle: Handle): number {
    return this.#shard(handle).sets[handle % ORDINALS]!;
  }

  keyOf(handle: Handle, key: Key): Key {
    const at = (handle % ORDINALS) * 4;
    const keys = this.#shard(handle).keys;
    for (let word = 0; word < 4; word++) key[word] = keys[at + word]!;
    return key;
  }

  isLive(handle: Handle): boolean {
    return this.setOf(handle) !== NOBODY;
  }

  isAdmitted(handle: Handle, disk: DiskId): boolean {
    const number = this.admissions.find(disk);
    return number >= 0 && this.admissions.contains(this.setOf(handle), number);
  }

  /** Adds a chunk, or moves a known one to this place; its set becomes `set`. */
  place(key: Key, pack: number, positionBytes: number, lengthBytes: number, set: number): Handle {
    let handle = this.find(key);
    if (handle < 0) {
      const shard = key[0]! & (SHARDS - 1);
      handle = shard * ORDINALS + this.shards[shard]!.insert(key);
    } else {
      this.#account(handle, -1);
    }
    const shard = this.#shard(handle);
    const ordinal = handle % ORDINALS;
    shard.packs[ordinal] = pack;
    shard.positions[ordinal] = positionBytes;
    shard.lengths[ordinal] = lengthBytes;
    shard.sets[ordinal] = set;
    this.#account(handle, 1);
    return handle;
  }

  /** True when that changed anything. */
  admit(handle: Handle, disk: number): boolean {
    return this.#setSet(handle, this.admissions.with(this.setOf(handle), disk));
  }

  /** True when that changed anything. */
  withdraw(handle: Handle, disk: number): boolean {
    return this.#setSet(handle, this.admissions.without(this.setOf(handle), disk));
  }

  remove(handle: Handle): void {
    this.#account(handle, -1);
    this.#shard(handle).remove(handle % ORDINALS);
  }

  /** Handles of one part of the index, those of dead entries too. Entries may be removed while it runs. */
  *handlesIn(shardNumber: number): Generator<Handle> {
    const shard = this.shards[shardNumber]!;
    for (let ordinal = 0; ordinal < shard.end; ordinal++) {
      if (shard.packs[ordinal] !== FREE) yield shardNumber * ORDINALS + ordinal;
    }
  }

  /** Handles of all entries in one pack, by position. */
  handlesInPack(pack: number): Handle[] {
    const handles: Handle[] = [];
    for (const [number, shard] of this.shards.entries()) {
      const { packs, end } = shard;
      for (let ordinal = 0; ordinal < end; ordinal++)
        if (packs[ordinal] === pack) handles.push(number * ORDINALS + ordinal);
    }
    return handles.sort((a, b) => this.positionOf(a) - this.positionOf(b));
  }

  #setSet(handle: Handle, set: number): boolean {
    if (set === this.setOf(handle)) return false;
    this.#account(handle, -1);
    this.#shard(handle).sets[handle % ORDINALS] = set;
    this.#account(handle, 1);
    return true;
  }

  #account(handle: Handle, sign: 1 | -1): void {
    if (!this.isLive(handle)) return;
    const lengthBytes = this.lengthOf(handle);
    this.#chunks += sign;
    this.#chunkBytes += sign * lengthBytes;
    const pack = this.packs.get(this.packOf(handle));
    if (pack === undefined) return;
    pack.liveChunks += sign;
    pack.liveBytes += sign * (RECORD_HEADER_BYTES + lengthBytes);
  }

  #shard(handle: Handle): IndexShard {
    return this.shards[Math.floor(handle / ORDINALS)]!;
  }
}
