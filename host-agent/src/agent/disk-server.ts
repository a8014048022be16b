/**
 * Serves chunks and manifest pages of one disk to its peers: what is here and admitted to this disk, and nothing else (design D4).
 *
 * Every chunk is verified when it is read for a peer; the store drops what is damaged, and tells. Whether the peer may ask at all,
 * the swarm has checked against the roster.
 */

import { Geometry } from '@diskswarm/chunk';
import {
  type ChunkId,
  type ChunkStore,
  type GenerationId,
  type HostId,
  hasCode,
  type PieceIndex,
  ZERO_ID,
} from '@diskswarm/core';
import { levelsFor, ManifestReader } from '@diskswarm/manifest';
import type { PackStore } from '@diskswarm/store';
import type { DiskServer } from '@diskswarm/swarm';
import type { DiskPages } from './disk-pages.ts';
import type { DiskRecords } from './disk-records.ts';
import type { FaultStatistics } from './fault-statistics.ts';
import type { PassOn } from './pass-on.ts';

/** Manifests whose last pages are kept at hand. */
const MAX_READERS = 8;

/** A store that reads a chunk into an array that is there already. */
type ServedStore = ChunkStore & Pick<PackStore, 'verifiedRead'>;

export class StoreServer implements DiskServer {
  readonly #records: DiskRecords;
  readonly #store: ServedStore;
  readonly #pages: DiskPages;
  readonly #readers = new Map<ChunkId, ManifestReader>();
  readonly #statistics: Pick<FaultStatistics, 'served'>;
  readonly #passOn: Pick<PassOn, 'bring'>;

  constructor(options: {
    records: DiskRecords;
    store: ServedStore;
    pages: DiskPages;
    statistics: Pick<FaultStatistics, 'served'>;
    passOn: Pick<PassOn, 'bring'>;
  }) {
    this.#records = options.records;
    this.#store = options.store;
    this.#pages = options.pages;
    this.#statistics = options.statistics;
    this.#passOn = options.passOn;
  }

  bring(generation: GenerationId, piece: PieceIndex, host: HostId, urgent: boolean): Promise<void> | null {
    return this.#passOn.bring(generation, piece, host, urgent);
  }

  async readPiece(
    generation: GenerationId,
    piece: PieceIndex,
    _host: HostId,
    room: Uint8Array,
  ): Promise<Uint8Array | null> {
    const record = this.#records.generation(generation);
    if (record === null) return null;
    const reader = this.#reader(record.root, record.sizeBytes);
    if (piece >= reader.pieces) return null;
    return this.#unlessAbsent(async () => {
      const id = await reader.idOf(piece);
      if (id === ZERO_ID || !this.#store.has(id, this.#records.disk)) return null;
      const lengthBytes = await this.#store.verifiedRead(id, room);
      this.#statistics.served(lengthBytes);
      return room.subarray(0, lengthBytes);
    });
  }

  async readChunk(id: ChunkId, room: Uint8Array): Promise<Uint8Array | null> {
    if (!this.#store.has(id, this.#records.disk)) return null;
    const lengthBytes = await this.#unlessAbsent(() => this.#store.verifiedRead(id, room));
    return lengthBytes === room.length ? room : null;
  }

  async readPath(root: ChunkId, piece: PieceIndex, fromLevel: number): Promise<readonly Uint8Array[] | null> {
    const record = this.#records.generationAt(root);
    if (record === null) return null;
    const reader = this.#reader(root, record.sizeBytes);
    if (piece >= reader.pieces || fromLevel >= levelsFor(reader.pieces)) return null;
    return this.#unlessAbsent(() => reader.pathPages(piece, fromLevel));
  }

  async #unlessAbsent<Result>(read: () => Promise<Result>): Promise<Result | null> {
    try {
      return await read();
    } catch (error) {
      if (hasCode(error, 'CHUNK_NOT_FOUND') || hasCode(error, 'CHUNK_CORRUPT') || hasCode(error, 'READ_FAILED'))
        return null;
      throw error;
    }
  }

  #reader(root: ChunkId, sizeBytes: number): ManifestReader {
    const known = this.#readers.get(root);
    if (known !== undefined) return known;
    const { pieces } = new Geometry(sizeBytes, this.#records.genesis.chunkSizeBytes);
    const reader = new ManifestReader({ root, pieces, source: this.#pages });
    this.#readers.set(root, reader);
    for (const oldest of this.#readers.keys()) {
      if (this.#readers.size <= MAX_READERS) break;
      this.#readers.delete(oldest);
    }
    return reader;
  }
}
