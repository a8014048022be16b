/**
 * Reply buffers that are used again: a fresh array of this size costs page faults and half the throughput.
 *
 * One pool per thread, last in first out so that the next piece is still in the CPU's cache. A taken piece belongs to
 * the taker; one that a backing may still write into must not be given back.
 */
import { KIB } from '@diskswarm/core';
import { PIECE_DATA_BYTES } from './limits.ts';

/** A full data piece, its header, and room for small replies beside it. */
export const PIECE_BYTES = PIECE_DATA_BYTES + 4 * KIB;
/** Idle pieces kept; the rest is left to the garbage collector. */
const MAX_IDLE_PIECES = 32;

export interface Piece {
  readonly bytes: Uint8Array;
  readonly view: DataView;
}

const idle: Piece[] = [];

export function takePiece(): Piece {
  return idle.pop() ?? pieceOf(Buffer.allocUnsafeSlow(PIECE_BYTES));
}

export function givePiece(piece: Piece): void {
  if (idle.length < MAX_IDLE_PIECES) idle.push(piece);
}

/** A piece around an array of any size, outside the pool. */
export function pieceOf(bytes: Uint8Array): Piece {
  return { bytes, view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength) };
}
