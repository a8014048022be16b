/**
 * The order in which guests of a disk touched its pieces, kept for the next host: what was recorded last goes first.
 *
 * A hint and nothing more: a wrong one costs order, never correctness.
 */
import type { DiskId, PieceIndex } from '@diskswarm/core';
import { decodeTrace, encodeTrace } from '@diskswarm/trace';
import { MAX_TRACE_PIECES } from './attachment-resolver.ts';
import { diskKey } from './disk-records.ts';
import type { MetaTable } from './meta-table.ts';

/** Largest encoded trace; longer ones are cut at their end. */
const MAX_TRACE_BYTES = 200 * 1024;
/** A session that touched fewer pieces (a look at the partition table) says nothing about the next boot. */
const MIN_RECORDED_PIECES = 8;
const ANY_PIECE = 2 ** 30;

export class DiskTrace {
  readonly #meta: MetaTable;
  readonly #key: string;
  #taking = false;

  constructor(meta: MetaTable, disk: DiskId) {
    this.#meta = meta;
    this.#key = diskKey(disk, 'trace');
  }

  /** What peers are told; null before anything was recorded. */
  get bytes(): Uint8Array | null {
    return this.#meta.get(this.#key);
  }

  /** Pieces in the order of their first touch. */
  pieces(maxPieces: number): PieceIndex[] {
    const bytes = this.bytes;
    if (bytes === null) return [];
    return decode(bytes, ANY_PIECE).filter((piece) => piece < maxPieces);
  }

  /** Puts what a guest touched before what was known. */
  async record(touched: readonly PieceIndex[]): Promise<void> {
    if (touched.length < MIN_RECORDED_PIECES) return;
    const merged = [...new Set([...touched, ...this.pieces(ANY_PIECE)])];
    let pieces = merged.slice(0, MAX_TRACE_PIECES);
    let bytes = encodeTrace(pieces);
    while (bytes.length > MAX_TRACE_BYTES) {
      pieces = pieces.slice(0, Math.floor(pieces.length * 0.9));
      bytes = encodeTrace(pieces);
    }
    await this.#meta.commitHint({ [this.#key]: bytes });
  }

  /** Takes a peer's trace in the place of ours, one at a time: what comes while one is written is passed over. FORMAT_INVALID when it does not fit the disk. */
  async take(bytes: Uint8Array, maxPieces: number): Promise<void> {
    decode(bytes, maxPieces);
    const known = this.bytes;
    if (this.#taking || (known !== null && Buffer.compare(known, bytes) === 0)) return;
    this.#taking = true;
    try {
      await this.#meta.commitHint({ [this.#key]: new Uint8Array(bytes) });
    } finally {
      this.#taking = false;
    }
  }
}

function decode(bytes: Uint8Array, maxPieces: number): PieceIndex[] {
  return decodeTrace(bytes, { maxPieces, maxEntries: MAX_TRACE_PIECES, maxBytes: MAX_TRACE_BYTES });
}
