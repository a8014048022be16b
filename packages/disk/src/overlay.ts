/**
 * The writable side of a disk: a stack of layers over the sealed generation, the top one taking all writes.
 *
 * `freeze` puts a new layer on top, so that the ones below can be sealed while the guest writes on; `dropFrozen` forgets them
 * once the sealed generation is durable. Crash order: the new layer is durable before it takes a write; the record that says
 * "rebased" is durable before files go. Whatever step a crash hits, `open` finishes it, and a layer applied over a base that
 * already contains it changes nothing. A failed sync poisons the overlay for good: only `open` learns what is there.
 */

import type { Geometry } from '@diskswarm/chunk';
import {
  BLOCK_BYTES,
  type DiskId,
  DiskswarmError,
  type GenerationId,
  hasCode,
  makeDurableFolder,
  messageOf,
  type Storage,
} from '@diskswarm/core';
import { BLOCK, type BlockState } from './block-map.ts';
import { Layer, type LayerContext, layerPaths, MAP_RESERVE_BYTES } from './layer.ts';
import { type FrozenStack, recoverLayers, removeLayer, SUSPECT_NAME } from './overlay-recovery.ts';
import { SpaceBudget } from './space-budget.ts';
import { WarmRing } from './warm-ring.ts';

/** Most layers at once: freezing again and again without a seal that succeeds adds none beyond. */
export const MAX_LAYERS = 64;
/** What a dirty piece may cost beside its chunk: its own leaf page and the record around it. */
const PIECE_OVERHEAD_BYTES = 8 * 1024 + 256;

export interface OverlayOptions {
  readonly storage: Storage;
  /** Folder of this overlay's files and nothing else. */
  readonly folder: string;
  readonly geometry: Geometry;
  readonly disk: DiskId;
  /** Epoch in which this host owns the disk; an overlay of another epoch is refused (ATTACHMENT_STATE). */
  readonly epoch: number;
  /** The sealed generation below, for an overlay that does not exist yet. */
  readonly base: GenerationId;
  /** Names the run of the machine: writes that were not synced are gone when it differs from the one before. */
  readonly bootId: string;
  /** Called once, when a sync failed and the overlay is of no use any more. */
  readonly onFailure?: (error: DiskswarmError) => void;
  /**
   * Bytes written or read lately that are taken to be in the page cache and are read synchronously.
   * @default 512 MiB
   */
  readonly warmBytes?: number;
  /**
   * Bytes that new data leaves free beside what the seal needs.
   * @default 64 MiB
   */
  readonly marginBytes?: number;
}

/** A layer that takes no writes any more; `openFrozenLayer` reads it from another thread. */
export interface FrozenLayerName {
  readonly layer: number;
  readonly path: string;
}

export class Overlay {
  readonly geometry: Geometry;
  readonly blocks: number;
  /** Set by `find`. */
  foundEnd = 0;
  /** Set by `find`; only of use when it did not return `unmapped`. */
  foundLayer: Layer;
  readonly #options: OverlayOptions;
  readonly #context: LayerContext;
  /** Bottom first; the last one takes the writes. */
  #layers: Layer[];
  #top: Layer;
  #base: GenerationId;
  readonly #budget: SpaceBudget;
  readonly #warm: WarmRing;
  readonly #pieceCostBytes: number;
  #flushing: Promise<void> | null = null;
  #queuedFlush: Promise<void> | null = null;
  /** Freezes and drops, one after the other. */
  #structural: Promise<unknown> = Promise.resolve();
  #failure: DiskswarmError | null = null;
  /** The file that tells the next opening of the failure, on its way. */
  #marking: Promise<void> = Promise.resolve();

  private constructor(options: OverlayOptions, context: LayerContext, stack: FrozenStack, top: Layer) {
    this.geometry = options.geometry;
    this.blocks = top.map.blocks;
    this.#options = options;
    this.#context = context;
    this.#layers = [...stack.frozen, top];
    this.#top = top;
    this.foundLayer = top;
    this.#base = stack.base;
    this.#budget = new SpaceBudget(options.storage, options.marginBytes ?? 64 * 1024 * 1024);
    this.#pieceCostBytes = options.geometry.chunkSizeBytes + PIECE_OVERHEAD_BYTES;
    this.#warm = new WarmRing((options.warmBytes ?? 512 * 1024 * 1024) / BLOCK_BYTES, (block) => this.#cool(block));
  }

  /**
   * Opens the overlay in its folder, making it when there is none, and finishes whatever a crash interrupted.
   * Rejects with JOURNAL_CORRUPT, STATE_VERSION, DISK_FULL, ATTACHMENT_STATE (another epoch) or READ_FAILED and WRITE_FAILED.
   */
  static async open(options: OverlayOptions): Promise<Overlay> {
    const { storage, folder, geometry } = options;
    const context: LayerContext = {
      storage,
      folder,
      bootId: options.bootId,
      blocksPerPiece: geometry.chunkSizeBytes / BLOCK_BYTES,
    };
    await makeDurableFolder(storage, folder);
    const { disk, epoch, base } = options;
    const { sizeBytes } = geometry;
    const { stack, top } = await recoverLayers(context, { layer: 0, disk, epoch, base, sizeBytes });
    const overlay = new Overlay(options, context, stack, top);
    await overlay.#budget.refresh();
    return overlay;
  }

  /** The generation that lies below the lowest layer, as far as this overlay was told. */
  get base(): GenerationId {
    return this.#base;
  }

  /** Layers that wait to be sealed, bottom first. */
  get frozen(): FrozenLayerName[] {
    return this.#layers.slice(0, -1).map((layer) => this.#nameOf(layer));
  }

  /** True when nothing was written since the base. */
  get isClean(): boolean {
    return this.#layers.every((layer) => layer.map.dataBlocks === 0 && layer.map.holeBlocks === 0);
  }

  /** Bytes of data in the layers (a block in two layers counts twice); holes count nothing. */
  get dirtyBytes(): number {
    let blocks = 0;
    for (const layer of this.#layers) blocks += layer.map.dataBlocks;
    return blocks * BLOCK_BYTES;
  }

  /** The error that poisoned the overlay, if one did. */
  get failure(): DiskswarmError | null {
    return this.#failure;
  }

  get top(): Layer {
    return this.#top;
  }

  /** State of `block` in the uppermost layer that maps it; `foundEnd` is where that ends (at most `limit`), `foundLayer` who it was. */
  find(block: number, limit: number): BlockState {
    let end = limit;
    for (let index = this.#layers.length - 1; index >= 0; index--) {
      const layer = this.#layers[index]!;
      const state = layer.map.get(block);
      if (state !== BLOCK.unmapped) {
        this.foundEnd = end - block === 1 ? end : layer.map.runEnd(block, end, state);
        this.foundLayer = layer;
        return state;
      }
      if (end - block > 1) end = layer.map.runEnd(block, end, BLOCK.unmapped);
    }
    this.foundEnd = end;
    return BLOCK.unmapped;
  }

  /** True when new data may go into these blocks of the top layer; overwritten ones need no room. */
  admit(firstBlock: number, blockCount: number): boolean {
    const newBlocks = this.#top.map.withoutData(firstBlock, blockCount);
    if (newBlocks === 0) return true;
    if (!this.#top.hasMapSpace) return false;
    let pieces = this.#top.newPieces(firstBlock, blockCount);
    for (const layer of this.#layers) pieces += layer.dirtyPieces;
    // The seal begins with a new layer, which fills a reserve of its own.
    return this.#budget.admit(newBlocks * BLOCK_BYTES, pieces * this.#pieceCostBytes + MAP_RESERVE_BYTES);
  }

  /** Looks at the free space again, before a refusal becomes final. */
  async refreshSpace(): Promise<void> {
    if (!this.#top.hasMapSpace) await this.#top.reserve();
    await this.#budget.refresh();
  }

  /** Puts whole blocks into the top layer: `data` begins at the first block and ends with the last one, or with the disk. */
  writeBlocks(firstBlock: number, blockCount: number, data: Uint8Array): void {
    const top = this.#top;
    try {
      top.data.writeSync(data, firstBlock * BLOCK_BYTES);
    } catch (error) {
      if (hasCode(error, 'DISK_FULL')) this.#budget.exhausted();
      throw error;
    }
    top.dirty = true;
    this.noteWritten(firstBlock, blockCount);
  }

  /** Overwrites bytes of blocks that have data in the top layer already; nothing else changes. */
  overwrite(data: Uint8Array, positionBytes: number): void {
    this.#top.dirty = true;
    this.#top.data.writeSync(data, positionBytes);
  }

  /** Whole blocks read as zeros from now on. */
  punch(firstBlock: number, blockCount: number): void {
    const { map } = this.#top;
    const end = firstBlock + blockCount;
    for (let block = map.runEnd(firstBlock, end, BLOCK.hole); block < end; block = map.runEnd(block, end, BLOCK.hole)) {
      const from = block;
      while (block < end && map.get(block) !== BLOCK.hole) block = map.runEnd(block, end, map.get(block));
      this.#top.note(from, block - from, BLOCK.hole);
      map.set(from, block - from, BLOCK.hole);
    }
  }

  /** The blocks were read from a layer just now. */
  noteRead(layer: Layer, firstBlock: number, blockCount: number): void {
    const end = firstBlock + blockCount;
    for (let block = firstBlock; block < end; block++) {
      if (layer.map.get(block) !== BLOCK.data) continue;
      layer.map.set(block, 1, BLOCK.warm);
      this.#warm.push(block);
    }
  }

  /** Hands the map records of all writes so far to the kernel: they can be acknowledged now. Throws DISK_FULL, or WRITE_FAILED for good. */
  commit(): void {
    this.#assertUsable();
    try {
      this.#top.commit();
    } catch (error) {
      throw hasCode(error, 'DISK_FULL') ? error : this.poison(error);
    }
    if (!this.#top.hasMapSpace) this.#top.reserve().catch((error: unknown) => this.poison(error));
  }

  /** Everything written before the call is durable when this resolves. Rejects with WRITE_FAILED, for good. Calls that come while one runs share the next. */
  flush(): Promise<void> {
    if (this.#queuedFlush !== null) return this.#queuedFlush;
    if (this.#flushing !== null) {
      this.#queuedFlush = this.#flushing
        .catch(() => {})
        .then(() => {
          this.#queuedFlush = null;
          return this.flush();
        });
      return this.#queuedFlush;
    }
    this.#flushing = this.#flushOnce().finally(() => {
      this.#flushing = null;
    });
    return this.#flushing;
  }

  /**
   * Puts a new layer on top and makes all below it durable and immutable; resolves with what is to be sealed, bottom first
   * (empty when nothing was written). The guest may write all the while. With `MAX_LAYERS` layers none is added: who gets one
   * less than that many to seal freezes again afterwards. Rejects with DISK_FULL (nothing changed) or WRITE_FAILED.
   */
  freeze(): Promise<FrozenLayerName[]> {
    return this.#inTurn(async () => {
      this.#assertUsable();
      const old = this.#top;
      if (old.map.dataBlocks === 0 && old.map.holeBlocks === 0) return this.frozen;
      if (this.#layers.length >= MAX_LAYERS) return this.frozen;
      const next = await Layer.create(this.#context, { ...old.header, layer: old.header.layer + 1, base: this.#base });
      try {
        this.commit();
      } catch (error) {
        await next.close();
        throw error;
      }
      // One step without a pause: from here on every write goes to the new layer.
      this.#layers = [...this.#layers, next];
      this.#top = next;
      await this.flush();
      await old.freeze();
      return this.frozen;
    });
  }

  /**
   * Forgets the frozen layers through `layer`, which are part of `base` now. Call when that generation is durable and the reads of
   * what they held go to it. Rejects with WRITE_FAILED.
   */
  dropFrozen(layer: number, base: GenerationId): Promise<void> {
    return this.#inTurn(async () => {
      this.#assertUsable();
      if (layer >= this.#top.header.layer) throw new RangeError(`layer ${layer} is not frozen`);
      try {
        await this.#top.rebase(layer, base);
      } catch (error) {
        throw hasCode(error, 'DISK_FULL') ? error : this.poison(error);
      }
      this.#base = base;
      const dropped = this.#layers.filter((each) => each.header.layer <= layer);
      this.#layers = this.#layers.filter((each) => each.header.layer > layer);
      for (const each of dropped) {
        await each.close();
        await removeLayer(this.#options.storage, this.#options.folder, each.header.layer);
      }
      await this.#options.storage.syncFolder(this.#options.folder);
      await this.#budget.refresh();
    });
  }

  /** A write or sync that failed leaves the files in an unknown state: nothing goes on from here. Returns the error to throw. */
  poison(cause: unknown): DiskswarmError {
    if (this.#failure !== null) return this.#failure;
    const message = `the overlay cannot be written any more: ${messageOf(cause)}`;
    this.#failure = new DiskswarmError('WRITE_FAILED', message, { data: { disk: this.#options.disk }, cause });
    // The next opening must not trust what was not flushed. Where even this fails, the boot will tell.
    const { storage, folder, onFailure } = this.#options;
    this.#marking = storage
      .open(`${folder}/${SUSPECT_NAME}`, 'create')
      .then((file) => file.close())
      .catch(() => {});
    onFailure?.(this.#failure);
    return this.#failure;
  }

  /** Flushes (unless poisoned) and closes all files; idempotent. */
  async close(): Promise<void> {
    await this.#structural.catch(() => {});
    try {
      if (this.#failure === null) await this.flush();
    } finally {
      await this.#marking;
      for (const layer of this.#layers) await layer.close().catch(() => {});
    }
  }

  /** New data of the top layer, already in its file, is mapped and warm. */
  noteWritten(firstBlock: number, blockCount: number): void {
    const top = this.#top;
    const end = firstBlock + blockCount;
    for (let block = firstBlock; block < end; ) {
      const state = top.map.get(block);
      const next = top.map.runEnd(block, end, state);
      if ((state & 1) === 0) top.note(block, next - block, BLOCK.data);
      if (state !== BLOCK.warm) for (let each = block; each < next; each++) this.#warm.push(each);
      block = next;
    }
    top.map.set(firstBlock, blockCount, BLOCK.warm);
  }

  async #flushOnce(): Promise<void> {
    this.commit();
    try {
      for (const layer of this.#layers) if (layer.dirty) await layer.sync();
    } catch (error) {
      throw this.poison(error);
    }
  }

  #cool(block: number): void {
    for (const layer of this.#layers) if (layer.map.get(block) === BLOCK.warm) layer.map.set(block, 1, BLOCK.data);
  }

  #inTurn<Result>(run: () => Promise<Result>): Promise<Result> {
    const result = this.#structural.then(run);
    this.#structural = result.catch(() => {});
    return result;
  }

  #nameOf(layer: Layer): FrozenLayerName {
    return { layer: layer.header.layer, path: layerPaths(this.#options.folder, layer.header.layer).map };
  }

  #assertUsable(): void {
    if (this.#failure !== null) throw this.#failure;
  }
}
