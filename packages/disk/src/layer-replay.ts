/**
 * Rebuilds a layer's block map from its journal, and decides what of it may be believed.
 *
 * A map record can reach the disk before the data it speaks of. While the machine runs that is harmless: the kernel has both.
 * After a power cut the map must not name data that was never written, so every run record behind the last `flushed` one is
 * void: nobody was promised it. A `session` record, one per opening, keeps that verdict: it says how many run records stay
 * valid, and carries the identity of the boot, by which the next opening tells a dead process from a power cut.
 */
import { BLOCK_BYTES, DiskswarmError, type Storage } from '@diskswarm/core';
import { type ReplayOptions, replayJournal } from '@diskswarm/journal';
import { BlockMap } from './block-map.ts';
import { decodeMapRecord, type LayerHeader, MAP_KIND, MAX_MAP_RECORD_BYTES, type MapRecord } from './map-record.ts';

/** Run records `from` to `to - 1` that do not count. */
export interface VoidRange {
  readonly from: number;
  readonly to: number;
}

export interface ReplayedMap {
  readonly header: LayerHeader;
  readonly map: BlockMap;
  /** Run records in the journal, void ones included. */
  readonly runRecords: number;
  /** Run records whose data is durable. */
  readonly flushedThrough: number;
  /** Boot of the last session; null when the layer was never opened for writing. */
  readonly boot: Uint8Array | null;
  /** The last `rebased` record. */
  readonly rebased: Extract<MapRecord, { type: 'rebased' }> | null;
  readonly voids: readonly VoidRange[];
}

/** Collects records in order; `result` is null when the journal has no header record. */
export class MapReplay {
  readonly #path: string;
  readonly #skip: readonly VoidRange[];
  readonly #voids: VoidRange[] = [];
  #header: LayerHeader | null = null;
  #map: BlockMap | null = null;
  #runRecords = 0;
  #flushedThrough = 0;
  #boot: Uint8Array | null = null;
  #rebased: ReplayedMap['rebased'] = null;

  /** Run records in `skip` are not applied. */
  constructor(path: string, skip: readonly VoidRange[]) {
    this.#path = path;
    this.#skip = skip;
  }

  get options(): ReplayOptions {
    return {
      kind: MAP_KIND,
      maxRecordBytes: MAX_MAP_RECORD_BYTES,
      onRecord: (bytes) => this.#accept(decodeMapRecord(bytes)),
    };
  }

  get result(): ReplayedMap | null {
    if (this.#header === null || this.#map === null) return null;
    return {
      header: this.#header,
      map: this.#map,
      runRecords: this.#runRecords,
      flushedThrough: this.#flushedThrough,
      boot: this.#boot,
      rebased: this.#rebased,
      voids: this.#voids,
    };
  }

  #accept(record: MapRecord): void {
    if (record.type === 'header') {
      if (this.#header !== null || record.header.sizeBytes < 1) this.#refuse('a header out of place');
      this.#header = record.header;
      this.#map = new BlockMap(Math.ceil(record.header.sizeBytes / BLOCK_BYTES));
      return;
    }
    const map = this.#map ?? this.#refuse('no header');
    switch (record.type) {
      case 'session':
        if (record.valid > this.#runRecords) this.#refuse('a session ahead of its records');
        if (record.valid < this.#runRecords) this.#voids.push({ from: record.valid, to: this.#runRecords });
        this.#boot = record.boot;
        return;
      case 'runs': {
        const index = this.#runRecords++;
        if (this.#skip.some((range) => index >= range.from && index < range.to)) return;
        for (const { first, count, state } of record.runs) {
          if (first + count > map.blocks) this.#refuse('a run outside the disk');
          map.set(first, count, state);
        }
        return;
      }
      case 'flushed':
        if (record.through > this.#runRecords) this.#refuse('a flush ahead of its records');
        this.#flushedThrough = Math.max(this.#flushedThrough, record.through);
        return;
      case 'rebased':
        this.#rebased = record;
        return;
    }
  }

  #refuse(why: string): never {
    throw new DiskswarmError('JOURNAL_CORRUPT', `${this.#path}: ${why}`, { data: { path: this.#path } });
  }
}

/** Reads a map without changing it, void records left out; null when the layer was never completely made. */
export async function readMap(storage: Storage, path: string): Promise<ReplayedMap | null> {
  const replay = await readOnce(storage, path, []);
  if (replay === null || replay.voids.length === 0) return replay;
  return readOnce(storage, path, replay.voids);
}

async function readOnce(storage: Storage, path: string, skip: readonly VoidRange[]): Promise<ReplayedMap | null> {
  const replay = new MapReplay(path, skip);
  await replayJournal(storage, path, replay.options);
  return replay.result;
}
