/**
 * What a range of the disk is made of, as NBD block status tells it: holes and data, present and absent.
 *
 * `base:allocation` never calls an absent piece a hole: only zeros that are known to be zeros are. Leaf pages that are not here
 * are absent and allocated. Source: NBD protocol, "Metadata querying".
 */
import type { Geometry } from '@diskswarm/chunk';
import { BLOCK_BYTES, PAGE_FANOUT, type PieceIndex, type StatusContext, type StatusExtent } from '@diskswarm/core';
import { BLOCK } from './block-map.ts';
import type { Overlay } from './overlay.ts';
import { PIECE, type PieceState } from './piece-states.ts';
import type { PieceTable } from './piece-table.ts';

/** NBD_STATE_HOLE | NBD_STATE_ZERO. */
const HOLE_AND_ZERO = 3;
/** Bit 0 of diskswarm:presence. */
const ABSENT = 1;

/** See `Backing.status`. */
export async function blockStatus(
  disk: { readonly geometry: Geometry; readonly overlay: Overlay | null; readonly pieces: PieceTable },
  range: { readonly offsetBytes: number; readonly lengthBytes: number },
  context: StatusContext,
  maxExtents: number,
): Promise<StatusExtent[]> {
  const { geometry, overlay, pieces } = disk;
  const extents: { lengthBytes: number; flags: number }[] = [];
  const end = range.offsetBytes + range.lengthBytes;
  let refreshed = -1;
  for (let position = range.offsetBytes; position < end; ) {
    let stop = end;
    let flags: number;
    const state = overlay?.find(Math.floor(position / BLOCK_BYTES), Math.ceil(end / BLOCK_BYTES)) ?? BLOCK.unmapped;
    if (overlay !== null) stop = Math.min(end, overlay.foundEnd * BLOCK_BYTES);
    if (state === BLOCK.unmapped) {
      const piece = geometry.pieceOf(position);
      const leaf = Math.floor(piece / PAGE_FANOUT);
      if (leaf !== refreshed) {
        await pieces.refresh(leaf);
        refreshed = leaf;
        continue; // The overlay may have changed meanwhile.
      }
      stop = Math.min(stop, (piece + 1) * geometry.chunkSizeBytes);
      flags = flagsOf(pieces.stateOf(piece as PieceIndex), context);
    } else {
      flags = state === BLOCK.hole && context === 'base:allocation' ? HOLE_AND_ZERO : 0;
    }
    const last = extents[extents.length - 1];
    if (last?.flags === flags) last.lengthBytes += stop - position;
    else if (extents.length === maxExtents) break;
    else extents.push({ lengthBytes: stop - position, flags });
    position = stop;
  }
  return extents;
}

function flagsOf(state: PieceState, context: StatusContext): number {
  if (context === 'base:allocation') return state === PIECE.zero ? HOLE_AND_ZERO : 0;
  return state === PIECE.unknown || state === PIECE.absent ? ABSENT : 0;
}
