/**
 * What differs between two manifests. Equal ids name equal subtrees, so only pages that differ are read:
 * the cost follows what changed, not the size of the disk. The sizes may differ (disks grow).
 */
import { type ChunkId, PAGE_FANOUT, type PageId, type PieceIndex, ZERO_ID } from '@diskswarm/core';
import { fetchAhead } from './fetch-ahead.ts';
import { checkPageShape, levelsFor } from './layout.ts';
import { idAt, sameIdAt, ZERO_PAGE } from './page.ts';
import type { PageSource } from './page-ports.ts';
import { growRoot } from './update.ts';

/** A manifest by its root, and the pieces of its disk. */
export interface ManifestRef {
  readonly root: PageId;
  readonly pieces: number;
}

/** A leaf that differs; a zero leaf is the shared zero page. Both pages are only read. */
export interface LeafChange {
  /** Its first piece is `leaf * 256`. */
  readonly leaf: number;
  readonly before: Uint8Array;
  readonly after: Uint8Array;
}

/** A piece that differs; absent pieces of the smaller disk count as zero. */
export interface PieceDifference {
  readonly piece: PieceIndex;
  readonly before: ChunkId;
  readonly after: ChunkId;
}

/** The pieces that differ, in order. Errors are those of `source`, and FORMAT_INVALID. */
export async function* compareManifests(
  before: ManifestRef,
  after: ManifestRef,
  source: PageSource,
): AsyncGenerator<PieceDifference, void> {
  for await (const change of compareLeaves(before, after, source)) {
    for (let slot = 0; slot < PAGE_FANOUT; slot++) {
      if (sameIdAt(change.before, change.after, slot)) continue;
      yield {
        piece: (change.leaf * PAGE_FANOUT + slot) as PieceIndex,
        before: idAt(change.before, slot),
        after: idAt(change.after, slot),
      };
    }
  }
}

/** The leaves that differ, in order, several being fetched ahead; see `compareManifests`. */
export async function* compareLeaves(
  before: ManifestRef,
  after: ManifestRef,
  source: PageSource,
): AsyncGenerator<LeafChange, void> {
  const levels = levelsFor(Math.max(before.pieces, after.pieces));
  const left = await side(before, levels, source);
  const right = await side(after, levels, source);
  yield* fetchAhead(walk(left, right, levels - 1, 0), (name) => fetchChange(left, right, name));
}

/** A leaf that differs, by its place and its ids in both. */
interface LeafName {
  readonly index: number;
  readonly leftId: PageId;
  readonly rightId: PageId;
}

async function fetchChange(left: Side, right: Side, { index, leftId, rightId }: LeafName): Promise<LeafChange> {
  const [before, after] = await Promise.all([left.page(leftId, 0, index), right.page(rightId, 0, index)]);
  return { leaf: index, before, after };
}

/** One manifest, seen as if it had the levels of the larger. */
interface Side {
  readonly root: PageId;
  page(id: PageId, level: number, index: number): Promise<Uint8Array>;
}

async function side({ root, pieces }: ManifestRef, levels: number, source: PageSource): Promise<Side> {
  const lifted = new Map<PageId, Uint8Array>();
  const sink = { put: async (id: PageId, page: Uint8Array): Promise<void> => void lifted.set(id, page) };
  const reach = Math.max(pieces, PAGE_FANOUT ** (levels - 1) + 1);
  return {
    root: levelsFor(pieces) === levels ? root : await growRoot(root, pieces, reach, sink),
    async page(id, level, index) {
      if (id === ZERO_ID) return ZERO_PAGE;
      const page = lifted.get(id) ?? (await source.get(id));
      checkPageShape(page, { level, index }, pieces);
      return page;
    },
  };
}

async function* walk(
  left: Side,
  right: Side,
  level: number,
  index: number,
  leftId = left.root,
  rightId = right.root,
): AsyncGenerator<LeafName, void> {
  if (leftId === rightId) return;
  if (level === 0) {
    yield { index, leftId, rightId };
    return;
  }
  const [before, after] = await Promise.all([left.page(leftId, level, index), right.page(rightId, level, index)]);
  for (let slot = 0; slot < PAGE_FANOUT; slot++) {
    if (sameIdAt(before, after, slot)) continue;
    yield* walk(left, right, level - 1, index * PAGE_FANOUT + slot, idAt(before, slot), idAt(after, slot));
  }
}
