/** What a host says it has of a generation is what is in its store: known leaves, pieces, zeros, and only synced ones to peers. */

import { Geometry } from '@diskswarm/chunk';
import { type ChunkId, type GenerationId, type PageId, type PieceIndex, ZERO_ID } from '@diskswarm/core';
import { compareLeaves, type LeafChange } from '@diskswarm/manifest';
import test from 'ava';
import { DiskPages } from '../src/agent/disk-pages.ts';
import { GenerationView } from '../src/agent/generation-view.ts';
import { DISK, MemoryChunks, manifestOf } from './support/memory-chunks.ts';

const CHUNK_BYTES = 16_384;
const PIECES = 256 * 256 + 10;
const geometry = new Geometry(PIECES * CHUNK_BYTES, CHUNK_BYTES);
const never = { signal: new AbortController().signal };
const at = (piece: number): PieceIndex => piece as PieceIndex;

async function chunk(store: MemoryChunks, number: number, disk = DISK): Promise<ChunkId> {
  const bytes = new Uint8Array(CHUNK_BYTES).fill(number + 1);
  const { chunkIdOf } = await import('@diskswarm/chunk');
  const id = chunkIdOf(bytes);
  await store.put(id, bytes, disk);
  return id;
}

function viewOf(store: MemoryChunks, root: PageId, generation = '01'.repeat(32)): GenerationView {
  return new GenerationView(
    { disk: DISK, generation: generation as GenerationId, root, geometry },
    store,
    new DiskPages(store, DISK),
  );
}

test('what is in the store is present and durable, zeros count apart, and all known leaves make a view complete', async (t) => {
  const store = new MemoryChunks();
  const ids = new Map([
    [0, await chunk(store, 0)],
    [255, await chunk(store, 1)],
    [PIECES - 1, await chunk(store, 2)],
  ]);
  const view = viewOf(store, await manifestOf(store, PIECES, ids));
  t.false(view.complete);
  await view.learnFromStore(never);
  t.true(view.allLeavesKnown && view.complete);
  t.deepEqual([view.piecesTotal, view.piecesPresent, view.piecesZero], [PIECES, 3, PIECES - 3]);
  t.deepEqual(
    [...view.durablePieces().runs()].map(({ from, to }) => [from, to]),
    [
      [0, 1],
      [255, 256],
      [PIECES - 1, PIECES],
    ],
  );
  t.deepEqual(await view.missingIn(0), []);
});

test('a chunk of another disk does not count, and a leaf that is not here says nothing', async (t) => {
  const store = new MemoryChunks();
  const foreign = await chunk(store, 0, 'ff'.repeat(32) as typeof DISK);
  const own = await chunk(store, 1);
  const root = await manifestOf(
    store,
    PIECES,
    new Map([
      [3, foreign],
      [700, own],
    ]),
  );
  const view = viewOf(store, root);
  const leaf = Buffer.from(await view.reader.leaf(2));
  const page = [...store.chunks].find(([, { bytes }]) => leaf.equals(bytes))![0];
  store.chunks.delete(page);
  const again = viewOf(store, root);
  await again.learnFromStore(never);
  t.false(again.leafKnown(2));
  t.true(again.leafKnown(0) && again.leafKnown(3));
  t.false(again.has(at(3)) || again.has(at(700)));
  t.deepEqual(await again.missingIn(0), [{ piece: at(3), id: foreign }]);
  t.false(again.allLeavesKnown || again.complete);
  again.learnLeaf(2, leaf);
  t.true(again.has(at(700)) && again.allLeavesKnown);
  again.learnLeaf(2, leaf);
  t.is(again.piecesZero, PIECES - 2);
});

test('peers hear of a fetched piece only once it is synced, and not of one that was found damaged', async (t) => {
  const store = new MemoryChunks();
  const id = await chunk(store, 0);
  const root = await manifestOf(store, PIECES, new Map([[5, id]]));
  store.chunks.delete(id);
  const view = viewOf(store, root);
  await view.learnFromStore(never);
  t.is(view.piecesPresent, 0);
  view.markDurable(at(5));
  t.is(view.durablePieces().runCount, 0);
  t.true(view.addPiece(at(5)));
  t.false(view.addPiece(at(5)));
  t.true(view.complete && view.durablePieces().runCount === 0);
  view.markDurable(at(5));
  t.is(view.durablePieces().runCount, 1);
  view.dropPiece(at(5));
  t.true(!view.complete && view.durablePieces().runCount === 0);
});

test('the view of the next generation keeps what did not change and equals one learned from the store', async (t) => {
  const store = new MemoryChunks();
  const chunks = await Promise.all([0, 1, 2, 3].map((number) => chunk(store, number)));
  const before = new Map([
    [0, chunks[0]!],
    [300, chunks[1]!],
    [60_000, chunks[2]!],
  ]);
  const after = new Map([
    [0, chunks[0]!],
    [301, chunks[3]!],
    [60_000, ZERO_ID],
  ]);
  const [oldRoot, newRoot] = [await manifestOf(store, PIECES, before), await manifestOf(store, PIECES, after)];
  const view = viewOf(store, oldRoot);
  await view.learnFromStore(never);
  const differences: LeafChange[] = [];
  const pages = new DiskPages(store, DISK);
  for await (const change of compareLeaves({ root: oldRoot, pieces: PIECES }, { root: newRoot, pieces: PIECES }, pages))
    differences.push(change);
  const derived = view.derive(
    { ...view.subject, root: newRoot, generation: '02'.repeat(32) as GenerationId },
    differences,
  );
  const learned = viewOf(store, newRoot, '02'.repeat(32));
  await learned.learnFromStore(never);
  const facts = (of: GenerationView): unknown => [
    of.piecesPresent,
    of.piecesZero,
    of.complete,
    [...of.durablePieces().runs()],
  ];
  t.deepEqual(facts(derived), facts(learned));
  t.is(derived.piecesPresent, 2);
  t.is(view.piecesPresent, 3);
});
