/**
 * Turns what a guest wrote into the next signed generation (design D5), for a disk that is attached or not.
 *
 * Crash order: frozen layers are durable; chunks and pages are synced; the signed record is durable in the metadata; only then the overlay drops
 * the layers. A crash in between is finished by the next seal: layers that a generation holds already change nothing.
 */
import { type ChunkId, type PieceIndex, PRIORITY, type Storage } from '@diskswarm/core';
import { type FrozenLayerName, openFrozenLayer, Overlay, type SealResult, sealOverlay } from '@diskswarm/disk';
import type { Attachment } from '../attachment/attachment.ts';
import type { DiskPages } from './disk-pages.ts';
import type { Environment } from './environment.ts';
import type { GenerationView } from './generation-view.ts';
import type { PieceChunks } from './piece-chunks.ts';

/** Where frozen layers come from, and who drops them. */
export interface LayerSource {
  freeze(): Promise<readonly FrozenLayerName[]>;
  rebase(base: { generation: GenerationView['subject']['generation']; root: ChunkId }, layer: number, changedLeaves: readonly number[]): Promise<void>;
  /** Called when the seal is done or failed. */
  release(): Promise<void>;
}

/** The layers of a disk that is attached: its thread owns them. */
export function attachedLayers(attachment: Attachment): LayerSource {
  return { freeze: () => attachment.freeze(), rebase: (base, layer, leaves) => attachment.rebase(base, layer, leaves), release: async () => {} };
}

/** The layers of a disk that is not attached: opened for the seal alone. */
export async function detachedLayers(options: { storage: Storage; folder: string; view: GenerationView; epoch: number; bootId: string }): Promise<LayerSource> {
  const { geometry, disk, generation } = options.view.subject;
  const overlay = await Overlay.open({ storage: options.storage, folder: options.folder, geometry, disk, epoch: options.epoch, base: generation, bootId: options.bootId });
  return { freeze: () => overlay.freeze(), rebase: (base, layer) => overlay.dropFrozen(layer, base.generation), release: () => overlay.close() };
}

/** What a seal found; `layer` is the uppermost frozen layer. */
export interface Sealed extends SealResult {
  readonly layer: number;
}

/** Cuts the frozen layers into chunks and pages, synced; null when nothing was written. SEAL_NEEDS_CHUNKS where remainders are not to be had. */
export async function cutLayers(options: {
  layers: LayerSource;
  view: GenerationView;
  env: Environment;
  pages: DiskPages;
  chunks: PieceChunks;
  signal: AbortSignal;
}): Promise<Sealed | null> {
  const { view, pages } = options;
  const { store, storage, clock } = options.env;
  const { disk } = view.subject;
  const names = await options.layers.freeze();
  const last = names.at(-1);
  if (last === undefined) return null;
  const layers = [];
  try {
    for (const { path } of names) layers.push(await openFrozenLayer(storage, path));
    const result = await sealOverlay({
      layers,
      geometry: view.subject.geometry,
      root: view.subject.root,
      source: pages,
      sink: pages,
      store: { put: (id, bytes) => store.put(id, bytes, disk) },
      remainder: async (piece: PieceIndex, { signal }) => (await options.chunks.read(view, piece, PRIORITY.seal, { signal })) ?? new Uint8Array(view.subject.geometry.chunkSizeBytes),
      clock,
      signal: options.signal,
    });
    await store.sync();
    return { ...result, layer: last.layer };
  } finally {
    for (const layer of layers) await layer.close();
  }
}
