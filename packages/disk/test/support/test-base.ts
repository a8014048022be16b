/** A sealed generation for tests: chunks in one pack, a real manifest, and a resolver whose absent pieces arrive when told to. */
import { chunkIdOf, type Geometry } from '@diskswarm/chunk';
import {
  type ChunkId,
  type ChunkLocation,
  DiskswarmError,
  PAGE_FANOUT,
  type PageId,
  type PieceIndex,
  type Priority,
  type StorageFile,
  ZERO_ID,
} from '@diskswarm/core';
import { ManifestBuilder, ManifestReader, type PageSink, type PageSource } from '@diskswarm/manifest';
import type { BaseResolver, LeafView } from '../../src/base-resolver.ts';
import type { MemoryStorage } from './memory-storage.ts';

export class TestBase implements BaseResolver {
  readonly geometry: Geometry;
  root: PageId = ZERO_ID;
  readonly pages = new Map<PageId, Uint8Array>();
  readonly chunks = new Map<ChunkId, Uint8Array>();
  readonly locations = new Map<ChunkId, ChunkLocation>();
  /** Pieces whose chunk is not here until somebody resolves it. */
  readonly absent = new Set<number>();
  readonly resolved: { piece: number; priority: Priority }[] = [];
  readonly damagedPieces: number[] = [];
  readonly touchedPieces: number[] = [];
  peeks = 0;
  /** When set, `resolve` waits for it before the chunk "arrives". */
  gate: Promise<void> | null = null;
  readonly #storage: MemoryStorage;
  #packBytes = 0;
  #pack: StorageFile | null = null;

  constructor(storage: MemoryStorage, geometry: Geometry) {
    this.#storage = storage;
    this.geometry = geometry;
  }

  readonly source: PageSource = {
    get: async (id) => {
      const page = this.pages.get(id);
      if (page === undefined) throw new DiskswarmError('CHUNK_NOT_FOUND', 'no such page');
      return page;
    },
  };

  readonly sink: PageSink = {
    put: async (id, page) => {
      this.pages.set(id, page.slice());
    },
  };

  /** The store port of a seal. */
  readonly store = {
    put: async (id: ChunkId, bytes: Uint8Array): Promise<void> => {
      if (chunkIdOf(bytes) !== id) throw new Error('a chunk was put under a wrong id');
      await this.#keep(id, bytes.slice());
    },
  };

  async remainder(piece: PieceIndex): Promise<Uint8Array> {
    const id = await this.#reader().idOf(piece);
    const chunk = this.chunks.get(id);
    if (chunk === undefined) throw new DiskswarmError('CHUNK_NOT_FOUND', 'nobody has it');
    return chunk;
  }

  /** Makes the generation of this content. */
  async build(disk: Uint8Array): Promise<void> {
    const { geometry } = this;
    const builder = new ManifestBuilder({ pieces: geometry.pieces, sink: this.sink });
    for (let piece = 0; piece < geometry.pieces; piece++) {
      const chunk = new Uint8Array(geometry.chunkSizeBytes);
      chunk.set(disk.subarray(piece * geometry.chunkSizeBytes, (piece + 1) * geometry.chunkSizeBytes));
      const id = chunkIdOf(chunk);
      if (id !== ZERO_ID) await this.#keep(id, chunk);
      await builder.add(id);
    }
    this.root = await builder.finish();
  }

  async peek(leaf: number): Promise<LeafView | null> {
    this.peeks++;
    await new Promise((resolve) => setImmediate(resolve));
    return this.#view(leaf);
  }

  async resolve(piece: PieceIndex, priority: Priority, { signal }: { signal: AbortSignal }): Promise<LeafView> {
    this.resolved.push({ piece, priority });
    const aborted = new Promise<never>((_, reject) => {
      const abort = (): void => reject(new DiskswarmError('ABORTED', 'given up'));
      if (signal.aborted) abort();
      else signal.addEventListener('abort', abort, { once: true });
    });
    await Promise.race([this.gate ?? new Promise((resolve) => setImmediate(resolve)), aborted]);
    this.absent.delete(piece);
    return this.#view(Math.floor(piece / PAGE_FANOUT));
  }

  damaged(piece: PieceIndex, location: ChunkLocation): void {
    this.damagedPieces.push(piece);
    // Fetched again: good bytes at a new place.
    for (const [id, known] of this.locations) {
      if (known.positionBytes === location.positionBytes) this.#append(id, this.chunks.get(id)!);
    }
  }

  touched(piece: PieceIndex): void {
    this.touchedPieces.push(piece);
  }

  /** Spoils the stored bytes of a piece. */
  async corrupt(piece: PieceIndex): Promise<void> {
    const location = this.locations.get(await this.#reader().idOf(piece))!;
    this.#pack!.writeSync(new Uint8Array([0xba, 0xad]), location.positionBytes + 77);
  }

  /** Opens the pack again after a crash. */
  async reopen(): Promise<void> {
    this.#pack = await this.#storage.process().open('store/pack', 'create');
  }

  /** The pack as durable as a store would make it. */
  async sync(): Promise<void> {
    await this.#pack?.sync();
    await this.#storage.process().syncFolder('store');
  }

  #reader(): ManifestReader {
    return new ManifestReader({ root: this.root, pieces: this.geometry.pieces, source: this.source });
  }

  async #view(leaf: number): Promise<LeafView> {
    const ids = Uint8Array.from(await this.#reader().leaf(leaf));
    const locations: (ChunkLocation | null)[] = [];
    for (let slot = 0; slot < PAGE_FANOUT; slot++) {
      const id = Buffer.from(ids.subarray(slot * 32, slot * 32 + 32)).toString('hex') as ChunkId;
      const isAbsent = id === ZERO_ID || this.absent.has(leaf * PAGE_FANOUT + slot);
      locations.push(isAbsent ? null : (this.locations.get(id) ?? null));
    }
    return { leaf, ids, locations };
  }

  async #keep(id: ChunkId, bytes: Uint8Array): Promise<void> {
    if (this.chunks.has(id)) return;
    this.chunks.set(id, bytes);
    if (this.#pack === null) await this.reopen();
    this.#append(id, bytes);
  }

  #append(id: ChunkId, bytes: Uint8Array): void {
    this.#pack!.writeSync(bytes, this.#packBytes);
    this.locations.set(id, { path: 'store/pack', positionBytes: this.#packBytes, lengthBytes: bytes.length });
    this.#packBytes += bytes.length;
  }
}
