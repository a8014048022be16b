/**
 * A trace as bytes: varint version 1, varint number of entries, then per entry the zigzag varint of its distance from
 * the one before (the first from 0). Boots read forward, so most entries take one byte.
 *
 * No piece appears twice, and every list of pieces has exactly one encoding.
 */
import { MAX_PIECES, type PieceIndex, VarintReader, VarintWriter } from '@diskswarm/core';

/** The first byte of a trace. */
export const TRACE_VERSION = 1;

/** What a decoder accepts. */
export interface TraceBounds {
  /** Pieces of the disk: entries lie below this. */
  readonly maxPieces: number;
  readonly maxEntries: number;
  readonly maxBytes: number;
}

/** Bytes of a trace; the pieces must differ (a programmer error otherwise). */
export function encodeTrace(pieces: readonly PieceIndex[]): Uint8Array {
  if (new Set(pieces).size !== pieces.length) throw new RangeError('a piece appears twice in a trace');
  const writer = new VarintWriter();
  writer.write(TRACE_VERSION);
  writer.write(pieces.length);
  let before = 0;
  for (const piece of pieces) {
    const distance = piece - before;
    writer.write(distance >= 0 ? 2 * distance : -2 * distance - 1);
    before = piece;
  }
  return writer.finish();
}

/** The pieces of a trace from outside, in order; throws FORMAT_INVALID on anything `encodeTrace` does not write or beyond the bounds. */
export function decodeTrace(bytes: Uint8Array, { maxPieces, maxEntries, maxBytes }: TraceBounds): PieceIndex[] {
  const reader = new VarintReader(bytes, 'trace');
  if (bytes.length > maxBytes) reader.refuse(`${bytes.length} bytes, at most ${maxBytes} are accepted`);
  if (reader.read(Number.MAX_SAFE_INTEGER) !== TRACE_VERSION) reader.refuse('an unknown version');
  const pieces = new Set<PieceIndex>();
  const entries = reader.read(maxEntries);
  let piece = 0;
  for (let count = 0; count < entries; count++) {
    const zigzag = reader.read(2 * MAX_PIECES);
    piece += zigzag % 2 === 0 ? zigzag / 2 : -(zigzag + 1) / 2;
    if (piece < 0 || piece >= maxPieces) reader.refuse(`piece ${piece} of ${maxPieces}`);
    if (pieces.size === pieces.add(piece as PieceIndex).size) reader.refuse(`piece ${piece} appears twice`);
  }
  if (!reader.atEnd) reader.refuse('trailing bytes');
  return [...pieces];
}
