/**
 * How a disk is cut: fixed offsets, one power-of-two chunk size, the last chunk padded with zeros (design D1).
 *
 * Offsets stay below 2^53, so plain numbers hold them; divisions never go through 32-bit operators.
 */
import {
  DiskswarmError,
  MAX_CHUNK_BYTES,
  MAX_DISK_BYTES,
  MAX_PIECES,
  MIN_CHUNK_BYTES,
  type PieceIndex,
  SECTOR_BYTES,
} from '@diskswarm/core';

/** Pieces `from` to `to - 1`; empty when both are equal. */
export interface PieceRange {
  readonly from: PieceIndex;
  readonly to: PieceIndex;
}

/** A checked chunk size in bytes; throws BAD_CHUNK_SIZE unless it is a power of two from 16 KiB to 1 MiB. */
export function parseChunkSize(bytes: number): number {
  const inRange = Number.isSafeInteger(bytes) && bytes >= MIN_CHUNK_BYTES && bytes <= MAX_CHUNK_BYTES;
  if (inRange && (bytes & (bytes - 1)) === 0) return bytes;
  throw new DiskswarmError(
    'BAD_CHUNK_SIZE',
    `${bytes} is no power of two from ${MIN_CHUNK_BYTES} to ${MAX_CHUNK_BYTES}`,
    {
      data: { chunkSizeBytes: bytes },
    },
  );
}

/** Positions of pieces in a disk of one size. */
export class Geometry {
  /** Bytes of the disk as the guest sees it. */
  readonly sizeBytes: number;
  readonly chunkSizeBytes: number;
  /** Pieces the disk is cut into; the last may lie partly outside. */
  readonly pieces: number;

  /** Throws BAD_CHUNK_SIZE, BAD_IMAGE (size not a positive multiple of 512) or LIMIT_EXCEEDED. */
  constructor(sizeBytes: number, chunkSizeBytes: number) {
    this.chunkSizeBytes = parseChunkSize(chunkSizeBytes);
    if (!Number.isSafeInteger(sizeBytes) || sizeBytes <= 0 || sizeBytes % SECTOR_BYTES !== 0) {
      throw new DiskswarmError('BAD_IMAGE', `a disk of ${sizeBytes} bytes is no positive multiple of ${SECTOR_BYTES}`, {
        data: { sizeBytes },
      });
    }
    this.sizeBytes = sizeBytes;
    this.pieces = Math.ceil(sizeBytes / chunkSizeBytes);
    if (sizeBytes > MAX_DISK_BYTES || this.pieces > MAX_PIECES) {
      throw new DiskswarmError(
        'LIMIT_EXCEEDED',
        `a disk of ${sizeBytes} bytes in chunks of ${chunkSizeBytes} is too large`,
        {
          data: { sizeBytes, chunkSizeBytes, maxDiskBytes: MAX_DISK_BYTES, maxPieces: MAX_PIECES },
        },
      );
    }
  }

  /** The piece that holds byte `offsetBytes` of the disk. */
  pieceOf(offsetBytes: number): PieceIndex {
    if (!(offsetBytes >= 0 && offsetBytes < this.sizeBytes))
      throw new RangeError(`offset ${offsetBytes} outside the disk`);
    return Math.floor(offsetBytes / this.chunkSizeBytes) as PieceIndex;
  }

  /** Offset of a piece's first byte. */
  startOf(piece: PieceIndex): number {
    this.#check(piece);
    return piece * this.chunkSizeBytes;
  }

  /** Bytes of the piece that lie inside the disk: the chunk size, or less for the last piece. */
  lengthOf(piece: PieceIndex): number {
    this.#check(piece);
    return Math.min(this.chunkSizeBytes, this.sizeBytes - piece * this.chunkSizeBytes);
  }

  /** The pieces that a byte range touches. */
  piecesIn(offsetBytes: number, lengthBytes: number): PieceRange {
    const end = offsetBytes + lengthBytes;
    if (!(offsetBytes >= 0 && lengthBytes >= 0 && end <= this.sizeBytes))
      throw new RangeError(`${lengthBytes} bytes at ${offsetBytes} outside the disk`);
    const from = Math.floor(offsetBytes / this.chunkSizeBytes) as PieceIndex;
    return { from, to: lengthBytes === 0 ? from : (Math.ceil(end / this.chunkSizeBytes) as PieceIndex) };
  }

  #check(piece: PieceIndex): void {
    if (!(Number.isInteger(piece) && piece >= 0 && piece < this.pieces))
      throw new RangeError(`piece ${piece} of ${this.pieces}`);
  }
}
