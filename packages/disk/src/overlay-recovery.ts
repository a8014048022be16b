/**
 * Finds the layers that a former process left and finishes what a crash interrupted; running it twice changes nothing.
 *
 * - A layer without a header record was never completely made: its files go.
 * - Layers that a `rebased` record names are part of their new base: their files go.
 * - All layers but the uppermost were being frozen: they are synced and closed for writing.
 * - A `suspect` file says that a sync failed in this boot: what was not flushed is void, as after a power cut. Blocks that were flushed once and
 *   overwritten since stay mapped, and show the old or the new bytes; whichever it is, it is written again, so that the next flush means it.
 */
import { BLOCK_BYTES, type DiskId, DiskswarmError, type GenerationId, type Storage } from '@diskswarm/core';
import { Layer, type LayerContext, layerPaths } from './layer.ts';
import { type ReplayedMap, readMap } from './layer-replay.ts';
import type { LayerHeader } from './map-record.ts';

/** Name of the file that a failed sync leaves. */
export const SUSPECT_NAME = 'suspect';

const LAYER_FILE = /^(0|[1-9]\d{0,9})\.(data|map)$/;

export interface FrozenStack {
  /** Bottom first. */
  readonly frozen: Layer[];
  /** The generation below the lowest layer. */
  readonly base: GenerationId;
}

/** Opens what is in the folder, or makes the first layer with `fresh`. */
export async function recoverLayers(
  context: LayerContext,
  fresh: LayerHeader,
): Promise<{ stack: FrozenStack; top: Layer }> {
  const { storage, folder } = context;
  const suspect = `${folder}/${SUSPECT_NAME}`;
  const lost = await isSuspect(storage, folder);
  const open: Layer[] = [];
  try {
    // From the top down: a layer says which of those below it are part of its base, and these may be half removed.
    let rebased: Layer['rebased'] = null;
    for (const number of (await layerNumbers(storage, folder)).reverse()) {
      const isDropped: boolean = rebased !== null && number <= rebased.droppedThrough;
      const layer: Layer | null = isDropped ? null : await Layer.open(context, number, { lost });
      if (layer === null) {
        await removeLayer(storage, folder, number);
        continue;
      }
      open.unshift(layer);
      assertSame(layer.header, fresh, layerPaths(folder, number).map);
      rebased ??= layer.rebased;
    }
    const top = open.pop() ?? (await Layer.create(context, fresh));
    for (const layer of open) {
      if (lost) await layer.rewrite();
      await layer.sync();
      await layer.freeze();
    }
    if (lost) {
      await top.rewrite();
      // The verdict is in the layers' session records; once these are durable the file has done its work.
      await top.sync();
      await storage.remove(suspect);
    }
    await storage.syncFolder(folder);
    return { stack: { frozen: open, base: rebased?.base ?? open[0]?.header.base ?? top.header.base }, top };
  } catch (error) {
    for (const layer of open) await layer.close().catch(() => {});
    throw error;
  }
}

/** Whether a sync failed in this boot and nobody opened the overlay since: what was not flushed is void. */
export async function isSuspect(storage: Storage, folder: string): Promise<boolean> {
  return (await storage.stat(`${folder}/${SUSPECT_NAME}`)) !== null;
}

/** What an overlay folder holds, read without changing it; null when there is no overlay. `dirtyBytes` counts as `Overlay.dirtyBytes` does. */
export async function inspectOverlay(
  storage: Storage,
  folder: string,
): Promise<{
  disk: DiskId;
  epoch: number;
  base: GenerationId;
  layers: number;
  isClean: boolean;
  dirtyBytes: number;
} | null> {
  const live: ReplayedMap[] = [];
  let rebased: ReplayedMap['rebased'] = null;
  for (const number of (await layerNumbers(storage, folder)).reverse()) {
    if (rebased !== null && number <= rebased.droppedThrough) break;
    const path = layerPaths(folder, number).map;
    const layer = (await storage.stat(path)) === null ? null : await readMap(storage, path);
    if (layer === null) continue;
    live.unshift(layer);
    rebased ??= layer.rebased;
  }
  const first = live[0];
  if (first === undefined) return null;
  return {
    disk: first.header.disk,
    epoch: first.header.epoch,
    base: rebased?.base ?? first.header.base,
    layers: live.length,
    isClean: live.every((layer) => layer.map.dataBlocks === 0 && layer.map.holeBlocks === 0),
    dirtyBytes: live.reduce((sum, layer) => sum + layer.map.dataBlocks * BLOCK_BYTES, 0),
  };
}

/** Removes an overlay and its folder: what was not sealed is gone. A caller that was interrupted calls again before it opens the disk. */
export async function discardOverlay(storage: Storage, folder: string): Promise<void> {
  const numbers = await layerNumbers(storage, folder);
  for (const number of numbers.reverse()) await removeLayer(storage, folder, number);
  for (const name of await storage.list(folder)) await storage.remove(`${folder}/${name}`);
  await storage.removeFolder(folder);
}

/** The map goes first: data without a map is nothing, a map without its data would be damage. */
export async function removeLayer(storage: Storage, folder: string, layer: number): Promise<void> {
  const paths = layerPaths(folder, layer);
  await storage.remove(paths.map);
  await storage.remove(paths.data);
}

/** Numbers of the layers of which any file is there, rising. */
async function layerNumbers(storage: Storage, folder: string): Promise<number[]> {
  const numbers = new Set<number>();
  for (const name of await storage.list(folder)) {
    const match = LAYER_FILE.exec(name);
    if (match !== null) numbers.add(Number(match[1]));
  }
  return [...numbers].sort((a, b) => a - b);
}

function assertSame(found: LayerHeader, expected: LayerHeader, path: string): void {
  if (found.disk !== expected.disk || found.sizeBytes !== expected.sizeBytes) {
    throw new DiskswarmError('JOURNAL_CORRUPT', `${path} belongs to another disk`, {
      data: { path, disk: found.disk },
    });
  }
  if (found.epoch !== expected.epoch) {
    throw new DiskswarmError('ATTACHMENT_STATE', `${path} was written in epoch ${found.epoch}, not ${expected.epoch}`, {
      data: { path, epoch: found.epoch, expected: expected.epoch },
    });
  }
}
