/**
 * Reads of a disk as its guest sees it: layer by layer from the top, then the sealed generation.
 *
 * What is known to be in the page cache is read synchronously, everything else asynchronously (design D13). Leaves to others:
 * who may read (disk-view.ts), faults (piece-table.ts).
 */
import type { Geometry } from '@diskswarm/chunk';
import { BLOCK_BYTES, type PieceIndex } from '@diskswarm/core';
import { BLOCK } from './block-map.ts';
import type { Layer } from './layer.ts';
import type { Overlay } from './overlay.ts';
import type { PieceTable } from './piece-table.ts';

export class DiskReader {
  readonly #geometry: Geometry;
  readonly #pieces: PieceTable;
  /** Null until there is something to write to. */
  overlay: Overlay | null;

  constructor(geometry: Geometry, pieces: PieceTable, overlay: Overlay | null) {
    this.#geometry = geometry;
    this.#pieces = pieces;
    this.overlay = overlay;
  }

  /** See `Backing.readSync`. */
  readSync(offsetBytes: number, into: Uint8Array): boolean {
    const overlay = this.overlay;
    if (overlay === null) return this.#pieces.readSync(offsetBytes, into);
    const within = offsetBytes & (BLOCK_BYTES - 1);
    if (within + into.length <= BLOCK_BYTES) {
      const block = (offsetBytes - within) / BLOCK_BYTES;
      const state = overlay.find(block, block + 1);
      if (state === BLOCK.unmapped) return this.#pieces.readSync(offsetBytes, into);
      return readLayerSync(overlay.foundLayer, state, offsetBytes, into);
    }
    const end = offsetBytes + into.length;
    const endBlock = Math.ceil(end / BLOCK_BYTES);
    for (let position = offsetBytes; position < end; ) {
      const state = overlay.find(Math.floor(position / BLOCK_BYTES), endBlock);
      const stop = Math.min(end, overlay.foundEnd * BLOCK_BYTES);
      const part = into.subarray(position - offsetBytes, stop - offsetBytes);
      const filled =
        state === BLOCK.unmapped
          ? this.#pieces.readSync(position, part)
          : readLayerSync(overlay.foundLayer, state, position, part);
      if (!filled) return false;
      position = stop;
    }
    return true;
  }

  /** See `Backing.read`. */
  async read(offsetBytes: number, into: Uint8Array, { signal }: { signal: AbortSignal }): Promise<void> {
    const overlay = this.overlay;
    if (overlay === null) return this.#readBase(offsetBytes, into, signal);
    const waits: Promise<void>[] = [];
    const end = offsetBytes + into.length;
    const endBlock = Math.ceil(end / BLOCK_BYTES);
    for (let position = offsetBytes; position < end; ) {
      const state = overlay.find(Math.floor(position / BLOCK_BYTES), endBlock);
      const layer = overlay.foundLayer;
      let stop = Math.min(end, overlay.foundEnd * BLOCK_BYTES);
      // Warm and cold blocks of one layer are read together.
      while (state % 2 === 1 && stop < end) {
        const next = overlay.find(stop / BLOCK_BYTES, endBlock);
        if (next % 2 === 0 || overlay.foundLayer !== layer) break;
        stop = Math.min(end, overlay.foundEnd * BLOCK_BYTES);
      }
      const part = into.subarray(position - offsetBytes, stop - offsetBytes);
      if (state === BLOCK.hole) part.fill(0);
      else if (state === BLOCK.unmapped) waits.push(this.#readBase(position, part, signal));
      else waits.push(readLayer(overlay, layer, position, part));
      position = stop;
    }
    await Promise.all(waits);
  }

  /** See `Backing.prefetch`. */
  prefetch(offsetBytes: number, lengthBytes: number): void {
    const { from, to } = this.#geometry.piecesIn(offsetBytes, lengthBytes);
    for (let piece = from as number; piece < to; piece++) {
      const startBytes = piece * this.#geometry.chunkSizeBytes;
      const endBytes = startBytes + this.#geometry.lengthOf(piece as PieceIndex);
      if (!this.#isCovered(startBytes / BLOCK_BYTES, Math.ceil(endBytes / BLOCK_BYTES))) {
        this.#pieces.prefetch(piece as PieceIndex);
      }
    }
  }

  async #readBase(offsetBytes: number, into: Uint8Array, signal: AbortSignal): Promise<void> {
    if (await this.#pieces.read(offsetBytes, into, { signal })) return;
    // A piece was overwritten whole meanwhile: the overlay has it.
    await this.read(offsetBytes, into, { signal });
  }

  #isCovered(firstBlock: number, endBlock: number): boolean {
    const overlay = this.overlay;
    if (overlay === null) return false;
    for (let block = firstBlock; block < endBlock; block = overlay.foundEnd) {
      if (overlay.find(block, endBlock) === BLOCK.unmapped) return false;
    }
    return true;
  }
}

function readLayerSync(layer: Layer, state: number, positionBytes: number, into: Uint8Array): boolean {
  if (state === BLOCK.hole) {
    into.fill(0);
    return true;
  }
  return state === BLOCK.warm && layer.data.readSync(into, positionBytes) === into.length;
}

async function readLayer(overlay: Overlay, layer: Layer, positionBytes: number, into: Uint8Array): Promise<void> {
  await layer.read(into, positionBytes);
  const first = Math.floor(positionBytes / BLOCK_BYTES);
  overlay.noteRead(layer, first, Math.ceil((positionBytes + into.length) / BLOCK_BYTES) - first);
}
