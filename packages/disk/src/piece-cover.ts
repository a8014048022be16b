/**
 * Which pieces a stack of frozen layers touches, and what each is made of: the plan the seal works through.
 *
 * Bounded memory: pieces are found one after the other, and a long run of whole-piece holes comes as one span.
 */
import type { Geometry } from '@diskswarm/chunk';
import { BLOCK_BYTES, type PieceIndex } from '@diskswarm/core';
import { BLOCK } from './block-map.ts';
import type { FrozenLayer } from './frozen-layer.ts';

/** Bytes of one layer, at the same place in the piece and in the layer's data file. */
interface CoverPart {
  readonly layer: FrozenLayer | null;
  /** From the start of the piece. */
  readonly fromBytes: number;
  readonly toBytes: number;
}

export type Cover =
  /** Pieces `from` to `to - 1` are holes as a whole. */
  | { readonly kind: 'holes'; readonly from: number; readonly to: number }
  /** Parts in order; a part without layer is zeros; what no part covers comes from the base. */
  | {
      readonly kind: 'piece';
      readonly piece: PieceIndex;
      readonly parts: readonly CoverPart[];
      readonly isWhole: boolean;
    };

/** The touched pieces in rising order. */
export function* coverPieces(layers: readonly FrozenLayer[], geometry: Geometry): Generator<Cover> {
  const blocks = Math.ceil(geometry.sizeBytes / BLOCK_BYTES);
  const blocksPerPiece = geometry.chunkSizeBytes / BLOCK_BYTES;
  for (let piece = nextTouched(layers, 0, blocks, blocksPerPiece); piece < geometry.pieces; ) {
    const holesEnd = wholeHolesEnd(layers, piece, geometry.pieces, blocks, blocksPerPiece);
    if (holesEnd > piece) {
      yield { kind: 'holes', from: piece, to: holesEnd };
      piece = holesEnd;
    } else {
      yield coverOf(layers, piece as PieceIndex, geometry);
      piece++;
    }
    piece = nextTouched(layers, piece, blocks, blocksPerPiece);
  }
}

function nextTouched(layers: readonly FrozenLayer[], piece: number, blocks: number, blocksPerPiece: number): number {
  let next = blocks;
  for (const { map } of layers) next = map.nextMapped(Math.min(blocks, piece * blocksPerPiece), next);
  return next === blocks ? Number.MAX_SAFE_INTEGER : Math.floor(next / blocksPerPiece);
}

/** End of the pieces from `piece` on that the uppermost layer which touches them makes holes; only the top layer is looked at for long runs. */
function wholeHolesEnd(
  layers: readonly FrozenLayer[],
  piece: number,
  pieces: number,
  blocks: number,
  blocksPerPiece: number,
): number {
  const first = piece * blocksPerPiece;
  let limit = blocks;
  for (let index = layers.length - 1; index >= 0; index--) {
    const { map } = layers[index]!;
    const end = map.runEnd(first, limit, BLOCK.hole);
    if (end > first) {
      return end === blocks ? pieces : Math.floor(end / blocksPerPiece);
    }
    limit = map.nextMapped(first, limit);
    if (limit < Math.min(blocks, first + blocksPerPiece)) return piece;
  }
  return piece;
}

function coverOf(layers: readonly FrozenLayer[], piece: PieceIndex, geometry: Geometry): Cover {
  const startBytes = geometry.startOf(piece);
  const first = startBytes / BLOCK_BYTES;
  const end = Math.ceil((startBytes + geometry.lengthOf(piece)) / BLOCK_BYTES);
  const parts: CoverPart[] = [];
  let isWhole = true;
  for (let block = first; block < end; ) {
    let stop = end;
    let owner: FrozenLayer | null = null;
    let state: number = BLOCK.unmapped;
    for (let index = layers.length - 1; index >= 0 && state === BLOCK.unmapped; index--) {
      owner = layers[index]!;
      state = owner.map.get(block);
      stop = owner.map.runEnd(block, stop, state as 0 | 1 | 2);
    }
    if (state === BLOCK.unmapped) isWhole = false;
    else {
      const toBytes = Math.min(stop * BLOCK_BYTES - startBytes, geometry.lengthOf(piece));
      parts.push({ layer: state === BLOCK.hole ? null : owner, fromBytes: block * BLOCK_BYTES - startBytes, toBytes });
    }
    block = stop;
  }
  return { kind: 'piece', piece, parts, isWhole };
}
