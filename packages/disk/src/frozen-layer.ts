/**
 * A frozen layer as another thread reads it for the seal: from its files, which nobody writes any more.
 *
 * Reads the map once and changes nothing. Leaves to overlay.ts: the same layer's reads for the guest, and removing it.
 */
import { DiskswarmError, type Storage, type StorageFile } from '@diskswarm/core';
import type { BlockMap } from './block-map.ts';
import { layerPaths } from './layer.ts';
import { readMap } from './layer-replay.ts';
import type { LayerHeader } from './map-record.ts';

export interface FrozenLayer {
  readonly header: LayerHeader;
  readonly map: BlockMap;
  readonly data: StorageFile;
  /** Idempotent. */
  close(): Promise<void>;
}

/** Opens the layer whose map lies at `path` (`FrozenLayerName.path`). Rejects with JOURNAL_CORRUPT when it is not a frozen layer, READ_FAILED. */
export async function openFrozenLayer(storage: Storage, path: string): Promise<FrozenLayer> {
  const replayed = await readMap(storage, path);
  if (replayed === null || replayed.flushedThrough < replayed.runRecords) {
    throw new DiskswarmError('JOURNAL_CORRUPT', `${path} is not the map of a frozen layer`, { data: { path } });
  }
  const folder = path.slice(0, path.lastIndexOf('/'));
  const data = await storage.open(layerPaths(folder, replayed.header.layer).data, 'read');
  return { header: replayed.header, map: replayed.map, data, close: () => data.close() };
}
