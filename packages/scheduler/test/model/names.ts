/** Ids, wants and feeds that tests speak of by small numbers. */
import {
  type ChunkId,
  type DiskId,
  type HostId,
  type PieceIndex,
  PRIORITY,
  type Priority,
  pieceIndex,
} from '@diskswarm/core';
import type { Want, WantFeed } from '../../src/index.ts';

export const CHUNK = 65_536;

export const peerId = (number: number): HostId => number.toString(16).padStart(136, '0') as HostId;
export const diskId = (number: number): DiskId => number.toString(16).padStart(64, '0') as DiskId;
const ROOT = 'f'.repeat(64) as ChunkId;

export const keyOf = (disk: number, piece: number): string => `${disk}/${piece}`;

export function want(piece: number, options: { disk?: number; priority?: Priority; order?: number } = {}): Want {
  const { disk = 1, priority = PRIORITY.fault, order = piece } = options;
  const index: PieceIndex = pieceIndex(piece);
  return { key: keyOf(disk, piece), disk: diskId(disk), root: ROOT, piece: index, lengthBytes: CHUNK, priority, order };
}

/** A bulk feed of pieces `from` to `to - 1`; `taken` counts what was asked of it. */
export function bulkFeed(disk: number, from: number, to: number): WantFeed & { taken: number } {
  let next = from;
  return {
    disk: diskId(disk),
    priority: PRIORITY.bulk,
    taken: 0,
    next() {
      if (next >= to) return null;
      this.taken++;
      return want(next++, { disk, priority: PRIORITY.bulk });
    },
  };
}
