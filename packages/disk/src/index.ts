/**
 * @module disk
 * A writable disk over a sealed, content-addressed generation: overlay, data path, attachment states, seal.
 *
 * ```ts
 * const overlay = await Overlay.open({ storage, folder: 'disks/x/overlay', geometry, disk, epoch, base, bootId });
 * const pieces = new PieceTable({ geometry, storage, resolver });
 * const view = new DiskView({ geometry, pieces, overlay, attachment: attach('writable', epoch) });
 * // seal: the guest writes on meanwhile
 * const names = await overlay.freeze();
 * const layers = await Promise.all(names.map(({ path }) => openFrozenLayer(storage, path)));
 * const sealed = await sealOverlay({ layers, geometry, root, source, sink, store, remainder, clock });
 * // sync the store, make the generation record durable, then:
 * view.rebase(sealed.changedLeaves);
 * await overlay.dropFrozen(names.at(-1)!.layer, generation);
 * ```
 *
 * Knows only ports: where chunks come from is the BaseResolver's business, where they go is the store port's. Reads of one guest
 * go DiskView → Overlay (layers) → PieceTable (packs) → BaseResolver (fault).
 */
export * from './attachment.ts';
export type { BaseResolver, LeafView } from './base-resolver.ts';
export { DiskView, type DiskViewOptions } from './disk-view.ts';
export { type FrozenLayer, openFrozenLayer } from './frozen-layer.ts';
export { MAP_RESERVE_BYTES } from './layer.ts';
export { MAP_KIND, MAP_VERSION } from './map-record.ts';
export { type FrozenLayerName, MAX_LAYERS, Overlay, type OverlayOptions } from './overlay.ts';
export { discardOverlay, inspectOverlay, isSuspect } from './overlay-recovery.ts';
export { MAX_OPEN_PACKS } from './pack-files.ts';
export { PieceTable, type PieceTableOptions } from './piece-table.ts';
export { type SealOptions, type SealResult, sealOverlay } from './seal.ts';
