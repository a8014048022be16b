/**
 * The pages of one path as a peer sent them, each verified against the id its parent names, before any of them is used.
 */
import { type ChunkId, DiskswarmError, type PageId, type PieceIndex, ZERO_ID } from '@diskswarm/core';
import { levelsFor, pathOf, verifyPage } from './layout.ts';
import { idAt } from './page.ts';
import type { NamedPage } from './reader.ts';

/** What is known before, and what came. */
export interface PathAnswer {
  readonly pieces: number;
  readonly piece: PieceIndex;
  /** The uppermost page that is asked for: the root, or the first missing page below pages already here. */
  readonly from: { readonly level: number; readonly id: PageId };
  /** Untrusted, from that page downwards. */
  readonly pages: readonly Uint8Array[];
}

/** Verified pages and where they lead. */
export interface VerifiedPath {
  readonly pages: readonly (NamedPage & { readonly bytes: Uint8Array })[];
  /** The piece's id, or null while a page is missing. */
  readonly chunk: ChunkId | null;
  /** The first page that was not sent, or null when the path is complete. */
  readonly missing: NamedPage | null;
}

/** Throws CHUNK_CORRUPT or FORMAT_INVALID when any page is wrong, beyond the disk, or one too many. */
export function verifyPath({ pieces, piece, from, pages }: PathAnswer): VerifiedPath {
  const levels = levelsFor(pieces);
  if (piece >= pieces || from.level >= levels)
    throw new RangeError(`piece ${piece} of ${pieces} from level ${from.level} of ${levels}`);
  const verified: (NamedPage & { readonly bytes: Uint8Array })[] = [];
  let id: ChunkId = from.id;
  let missing: NamedPage | null = null;
  for (const { level, index, slot } of pathOf(piece, from.level + 1)) {
    if (id === ZERO_ID) break;
    const bytes = pages[verified.length];
    if (bytes === undefined) {
      missing = { level, index, id };
      break;
    }
    verifyPage(id, bytes, { level, index }, pieces);
    verified.push({ level, index, id, bytes });
    id = idAt(bytes, slot);
  }
  if (pages.length > verified.length) {
    throw new DiskswarmError('FORMAT_INVALID', `${pages.length} pages where the path has ${verified.length}`, {
      data: { piece, pages: pages.length },
    });
  }
  return { pages: verified, chunk: missing === null ? id : null, missing };
}
