/**
 * Where a page stands in the tree. Level 0 holds the leaves; the number of levels follows from the number of pieces,
 * so nothing about the shape is written down. Slots for pieces the disk does not have are zero.
 *
 * Spans reach 2^40, beyond 32-bit operators: only multiplication, division and floor are used.
 */
import {
  DiskswarmError,
  ID_BYTES,
  MAX_PIECES,
  PAGE_BYTES,
  PAGE_FANOUT,
  type PageId,
  type PieceIndex,
} from '@diskswarm/core';
import { pageIdOf, ZERO_PAGE } from './page.ts';

/** A page's place: `index` counts the pages of its level from the start of the disk. */
export interface PagePosition {
  readonly level: number;
  readonly index: number;
}

/** A page's place and the slot in it that leads on to one piece. */
export interface PathStep extends PagePosition {
  readonly slot: number;
}

/** Levels of a tree over `pieces` (from 1): one level is a single leaf that is also the root. */
export function levelsFor(pieces: number): number {
  if (!Number.isInteger(pieces) || pieces < 1 || pieces > MAX_PIECES) throw new RangeError(`${pieces} pieces`);
  let levels = 1;
  for (let reach = PAGE_FANOUT; reach < pieces; reach *= PAGE_FANOUT) levels++;
  return levels;
}

/** Pieces that one slot of a page at `level` stands for. */
export function slotSpan(level: number): number {
  return PAGE_FANOUT ** level;
}

/** Pages at `level` that can be other than zero. */
export function pagesAt(level: number, pieces: number): number {
  return Math.ceil(pieces / slotSpan(level + 1));
}

/** The pages from the root to the leaf of a piece. */
export function pathOf(piece: PieceIndex, levels: number): PathStep[] {
  const steps: PathStep[] = [];
  for (let level = levels - 1; level >= 0; level--) {
    const entry = Math.floor(piece / slotSpan(level));
    steps.push({ level, index: Math.floor(entry / PAGE_FANOUT), slot: entry % PAGE_FANOUT });
  }
  return steps;
}

/** Throws FORMAT_INVALID unless `page` has the size of a page and is zero beyond the last piece. */
export function checkPageShape(page: Uint8Array, { level, index }: PagePosition, pieces: number): void {
  if (page.length !== PAGE_BYTES) refuse({ level, index }, `${page.length} bytes`);
  const used = Math.ceil(pieces / slotSpan(level)) - index * PAGE_FANOUT;
  if (used >= PAGE_FANOUT) return;
  const start = Math.max(0, used) * ID_BYTES;
  if (Buffer.compare(page.subarray(start), ZERO_PAGE.subarray(start)) === 0) return;
  refuse({ level, index }, 'it names pieces beyond the end of the disk');
}

/** Checks a page from outside: CHUNK_CORRUPT unless it hashes to `id`, FORMAT_INVALID as `checkPageShape`. */
export function verifyPage(id: PageId, page: Uint8Array, position: PagePosition, pieces: number): void {
  if (page.length !== PAGE_BYTES) refuse(position, `${page.length} bytes`);
  const actual = pageIdOf(page);
  if (actual !== id) {
    throw new DiskswarmError('CHUNK_CORRUPT', `manifest page ${id} hashes to ${actual}`, {
      data: { expected: id, actual },
    });
  }
  checkPageShape(page, position, pieces);
}

function refuse({ level, index }: PagePosition, why: string): never {
  throw new DiskswarmError('FORMAT_INVALID', `manifest page ${index} of level ${level}: ${why}`, {
    data: { level, index },
  });
}
