/** Pages come from peers: only what is missing is asked for, once, and a peer whose pages are wrong is named and not believed. */

import { Geometry } from '@diskswarm/chunk';
import {
  type ChunkId,
  DiskswarmError,
  type GenerationId,
  type PageId,
  type PieceIndex,
  ZERO_ID,
} from '@diskswarm/core';
import { ManifestReader } from '@diskswarm/manifest';
import test from 'ava';
import { DiskPages } from '../src/agent/disk-pages.ts';
import { GenerationView } from '../src/agent/generation-view.ts';
import { PageFetch, type PathSource } from '../src/agent/page-fetch.ts';
import { DISK, idOf, MemoryChunks, manifestOf } from './support/memory-chunks.ts';

const CHUNK_BYTES = 16_384;
const PIECES = 256 * 300;
const geometry = new Geometry(PIECES * CHUNK_BYTES, CHUNK_BYTES);
const never = { signal: new AbortController().signal };
const at = (piece: number): PieceIndex => piece as PieceIndex;
/** A spread of pieces over the tree. */
const IDS: ReadonlyMap<number, ChunkId> = new Map(
  [0, 1, 255, 256, 5000, 65_535, 65_536, PIECES - 1].map((piece) => [piece, idOf(piece)]),
);

type Request = Parameters<PathSource['requestPath']>[0];

/** A host with the whole manifest, one that has nothing yet, and what goes between them. */
async function twoHosts(spoil: (pages: Uint8Array[], count: number) => Uint8Array[] = (pages) => pages) {
  const there = new MemoryChunks();
  const root: PageId = await manifestOf(there, PIECES, IDS);
  const here = new MemoryChunks();
  const pages = new DiskPages(here, DISK);
  const view = new GenerationView(
    { disk: DISK, generation: '01'.repeat(32) as GenerationId, root, geometry },
    here,
    pages,
  );
  const reader = new ManifestReader({ root, pieces: PIECES, source: new DiskPages(there, DISK) });
  const asked: Request[] = [];
  const blamed: Error[] = [];
  const source: PathSource = {
    requestPath: async (request, { signal }) => {
      asked.push(request);
      signal.throwIfAborted();
      const sent = spoil(await reader.pathPages(request.piece, request.fromLevel), asked.length);
      return { pages: sent, wrong: (error) => blamed.push(error) };
    },
  };
  return { fetch: new PageFetch(pages, source), view, pages, here, asked, blamed };
}

test('a fault brings the pages of its path, the next one in the same leaf asks nobody', async (t) => {
  const { fetch, view, asked } = await twoHosts();
  t.is(await fetch.idOf(view, at(5000), never), idOf(5000));
  t.is(await fetch.idOf(view, at(5001), never), ZERO_ID);
  t.is(asked.length, 1);
  t.is(asked[0]?.fromLevel, 2);
  t.true(view.leafKnown(Math.floor(5000 / 256)));
  t.is(await fetch.idOf(view, at(0), never), idOf(0));
  t.deepEqual(
    asked.map(({ fromLevel }) => fromLevel),
    [2, 0],
  );
});

test('callers that wait for the same path share one request', async (t) => {
  const { fetch, view, asked } = await twoHosts();
  t.deepEqual(await Promise.all([0, 1, 255, 3].map((piece) => fetch.idOf(view, at(piece), never))), [
    idOf(0),
    idOf(1),
    idOf(255),
    ZERO_ID,
  ]);
  t.is(asked.length, 1);
});

test('a path that ends in a subtree of zeros is known without its pages', async (t) => {
  const { fetch, view, asked } = await twoHosts();
  t.is(await fetch.idOf(view, at(40_000), never), ZERO_ID);
  t.is(await fetch.idOf(view, at(40_001), never), ZERO_ID);
  t.is(asked.length, 1);
  t.true(view.leafKnown(Math.floor(40_000 / 256)));
});

test('the whole manifest is fetched once, zero subtrees unasked', async (t) => {
  const { fetch, view, asked, pages } = await twoHosts();
  await fetch.fetchAll(view, never);
  t.true(view.allLeavesKnown);
  t.is(view.piecesZero, PIECES - IDS.size);
  t.true(asked.length <= 6, `${asked.length} requests for 6 leaves`);
  for (const [piece, id] of IDS) t.is(await fetch.idOf(view, at(piece), never), id);
  const before = asked.length;
  await fetch.fetchAll(view, never);
  t.is(asked.length, before);
  t.true(pages.has(view.subject.root));
});

for (const [what, spoil] of [
  [
    'altered bytes',
    (pages: Uint8Array[]) =>
      pages.map((page, index) => (index === pages.length - 1 ? page.slice().fill(1, 0, 1) : page)),
  ],
  ['pages left out', (pages: Uint8Array[]) => pages.slice(0, -1)],
  ['a page too many', (pages: Uint8Array[]) => [...pages, pages[0]!]],
  ['pages of the wrong size', (pages: Uint8Array[]) => pages.map((page) => page.subarray(1))],
] as const) {
  test(`a peer that sends ${what} is blamed, nothing of it is kept, and another is asked`, async (t) => {
    const { fetch, view, asked, blamed, here } = await twoHosts((pages, count) => (count === 1 ? spoil(pages) : pages));
    t.is(await fetch.idOf(view, at(65_536), never), idOf(65_536));
    t.is(asked.length, 2);
    t.is(blamed.length, 1);
    t.is(here.chunks.size, 3);
  });
}

test('whoever gives up is not kept waiting, and does not spoil it for others', async (t) => {
  const { view, pages } = await twoHosts();
  const asked: AbortSignal[] = [];
  const second = Promise.withResolvers<void>();
  const waiting = new PageFetch(pages, {
    requestPath: (_request, { signal }) => {
      asked.push(signal);
      if (asked.length === 2) second.resolve();
      return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    },
  });
  const aborts = [0, 1, 2].map(() => new AbortController());
  const calls = aborts.map(({ signal }, piece) => waiting.idOf(view, at(piece), { signal }));
  const giveUp = async (index: number): Promise<void> => {
    aborts[index]?.abort(new DiskswarmError('ABORTED', 'given up'));
    t.is((await t.throwsAsync(calls[index]!, { instanceOf: DiskswarmError })).code, 'ABORTED');
  };
  await giveUp(2);
  t.is(asked.length, 1);
  await giveUp(0);
  await second.promise;
  t.is(asked.length, 2);
  await giveUp(1);
});
