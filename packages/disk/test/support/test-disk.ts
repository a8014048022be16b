/** A whole disk over a memory storage, as an agent would put it together; crashes and opens again. */
import { Geometry } from '@diskswarm/chunk';
import { blake3, type Clock, type DiskId, type GenerationId, toHex } from '@diskswarm/core';
import { attach } from '../../src/attachment.ts';
import { DiskView } from '../../src/disk-view.ts';
import { openFrozenLayer } from '../../src/frozen-layer.ts';
import { Overlay } from '../../src/overlay.ts';
import { PieceTable } from '../../src/piece-table.ts';
import { type SealResult, sealOverlay } from '../../src/seal.ts';
import { MemoryStorage } from './memory-storage.ts';
import { TestBase } from './test-base.ts';

export const DISK = '11'.repeat(32) as DiskId;
export const FOLDER = 'disks/d/overlay';

/** A clock that stands still. */
export const frozenClock: Clock = {
  nowUs: () => 0,
  wallMs: () => 0,
  setTimer: (_delayMs, callback) => {
    setImmediate(callback);
    return { cancel: () => {} };
  },
};

export interface TestDiskOptions {
  readonly sizeBytes: number;
  readonly chunkSizeBytes?: number;
  readonly warmBytes?: number;
  readonly marginBytes?: number;
}

export class TestDisk {
  readonly storage = new MemoryStorage();
  readonly geometry: Geometry;
  readonly base: TestBase;
  readonly options: TestDiskOptions;
  readonly failures: Error[] = [];
  generation = generationId(0);
  boot = 0;
  overlay!: Overlay;
  pieces!: PieceTable;
  view!: DiskView;
  #sequence = 0;

  constructor(options: TestDiskOptions) {
    this.options = options;
    this.geometry = new Geometry(options.sizeBytes, options.chunkSizeBytes ?? 16384);
    this.base = new TestBase(this.storage, this.geometry);
  }

  /** A disk whose sealed generation has this content, attached writable. */
  static async of(content: Uint8Array, options: Partial<TestDiskOptions> = {}): Promise<TestDisk> {
    const disk = new TestDisk({ sizeBytes: content.length, ...options });
    await disk.base.build(content);
    await disk.base.sync();
    await disk.attach();
    return disk;
  }

  async attach(): Promise<void> {
    const { geometry, base } = this;
    const storage = this.storage.process();
    const { warmBytes, marginBytes = 0 } = this.options;
    this.overlay = await Overlay.open({
      storage,
      folder: FOLDER,
      geometry,
      disk: DISK,
      epoch: 1,
      base: this.generation,
      bootId: `boot ${this.boot}`,
      onFailure: (error) => this.failures.push(error),
      marginBytes,
      ...(warmBytes === undefined ? {} : { warmBytes }),
    });
    this.pieces = new PieceTable({
      geometry,
      storage,
      resolver: base,
      ...(warmBytes === undefined ? {} : { warmBytes }),
    });
    this.view = new DiskView({
      geometry,
      pieces: this.pieces,
      overlay: this.overlay,
      attachment: attach('writable', 1),
    });
  }

  /** Freezes and seals; `beforeDrop` runs where a crash would find the generation durable and the layers still there. */
  async seal(beforeDrop: () => Promise<void> = async () => {}): Promise<SealResult | null> {
    const storage = this.storage.process();
    const names = await this.overlay.freeze();
    const last = names[names.length - 1];
    if (last === undefined) return null;
    const layers = await Promise.all(names.map(({ path }) => openFrozenLayer(storage, path)));
    const { base, geometry } = this;
    const sealed = await sealOverlay({
      layers,
      geometry,
      root: base.root,
      source: base.source,
      sink: base.sink,
      store: base.store,
      remainder: (piece) => base.remainder(piece),
      clock: frozenClock,
    });
    for (const layer of layers) await layer.close();
    await base.sync();
    await storage.syncFolder('store');
    this.#sequence++;
    this.generation = generationId(this.#sequence);
    base.root = sealed.root;
    await beforeDrop();
    this.view.rebase(sealed.changedLeaves);
    await this.overlay.dropFrozen(last.layer, this.generation);
    return sealed;
  }

  async readAll(): Promise<Uint8Array> {
    return this.read(0, this.geometry.sizeBytes);
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    const into = new Uint8Array(length).fill(0xee);
    if (!this.view.readSync(offset, into)) await this.view.read(offset, into, { signal: new AbortController().signal });
    return into;
  }

  /** Writes and acknowledges. */
  async write(offset: number, data: Uint8Array): Promise<void> {
    await this.view.write(offset, data);
    this.view.commit();
  }
}

export function generationId(sequence: number): GenerationId {
  return toHex(blake3(new Uint8Array([sequence & 255, sequence >>> 8]))) as string as GenerationId;
}

/** Bytes that differ everywhere. */
export function noise(length: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let state = seed + 1;
  for (let index = 0; index < length; index++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[index] = (state >>> 24) | 1;
  }
  return bytes;
}
