/** Twenty million pieces: holes, updates and comparisons cost what changed, counted in pages and not in seconds. */
import { type PageId, type PieceIndex, ZERO_ID } from '@diskswarm/core';
import test from 'ava';
import {
  compareManifests,
  growRoot,
  ManifestBuilder,
  ManifestReader,
  type PieceChange,
  updateManifest,
} from '../src/index.ts';
import { collect, fakeId, MemoryPages } from './memory-pages.ts';

const PIECES = 20_000_000;
const LEVELS = 4;

/** Every leaf holds two ids, in one of 1000 patterns: all pages exist, and the map of them stays small. */
async function fullManifest(pages: MemoryPages): Promise<PageId> {
  const builder = new ManifestBuilder({ pieces: PIECES, sink: pages });
  for (let leaf = 0; leaf < PIECES / 256; leaf++) {
    await builder.add(fakeId(leaf % 1000));
    await builder.addZeros(254);
    await builder.add(fakeId(leaf % 7));
  }
  return builder.finish();
}

test('a full manifest: changing 500 scattered pieces and finding them again visits their paths only', async (t) => {
  const pages = new MemoryPages();
  const root = await fullManifest(pages);
  t.is(pages.puts, 78_125 + 306 + 2 + 1);
  const changes = Array.from(
    { length: 500 },
    (_, index): PieceChange => [(index * 39_999 + 17) as PieceIndex, fakeId(5000 + index)],
  );
  pages.reads = 0;
  pages.puts = 0;
  const changed = await updateManifest({ root, pieces: PIECES, source: pages, sink: pages, changes });
  const touched = 500 + 306 + 2 + 1; // Their leaves, and at most all pages above.
  t.true(
    pages.reads <= touched && pages.puts <= touched && pages.puts >= 500,
    `${pages.reads} read, ${pages.puts} put`,
  );
  pages.reads = 0;
  const found: PieceChange[] = [];
  for await (const { piece, after } of compareManifests(
    { root, pieces: PIECES },
    { root: changed, pieces: PIECES },
    pages,
  ))
    found.push([piece, after]);
  t.deepEqual(found, changes);
  t.true(pages.reads <= 2 * touched, `${pages.reads} pages read`);
});

test('one changed piece reads one path on each side', async (t) => {
  const pages = new MemoryPages();
  const piece = 13_131_313 as PieceIndex;
  const root = await updateManifest({
    root: ZERO_ID,
    pieces: PIECES,
    source: pages,
    sink: pages,
    changes: [[piece, fakeId(1)]],
  });
  t.is(pages.reads, 0);
  t.is(pages.puts, LEVELS);
  const changed = await updateManifest({
    root,
    pieces: PIECES,
    source: pages,
    sink: pages,
    changes: [[piece, fakeId(2)]],
  });
  t.is(pages.reads, LEVELS);
  t.is(pages.puts, 2 * LEVELS);
  pages.reads = 0;
  const differences = await collect(
    compareManifests({ root, pieces: PIECES }, { root: changed, pieces: PIECES }, pages),
  );
  t.deepEqual(differences, [{ piece, before: fakeId(1), after: fakeId(2) }]);
  t.is(pages.reads, 2 * LEVELS);
  pages.reads = 0;
  t.deepEqual(await collect(compareManifests({ root, pieces: PIECES }, { root, pieces: PIECES }, pages)), []);
  t.is(pages.reads, 0);
});

test('holes of terabytes cost slots, not pieces', async (t) => {
  const pages = new MemoryPages();
  const builder = new ManifestBuilder({ pieces: 2 ** 30, sink: pages });
  await builder.add(fakeId(1));
  await builder.addZeros(2 ** 30 - 2);
  await builder.add(fakeId(2));
  const reader = new ManifestReader({ root: await builder.finish(), pieces: 2 ** 30, source: pages });
  t.is(pages.puts, 7);
  const leaves = await collect(reader.leaves());
  t.deepEqual(
    leaves.map(({ leaf }) => leaf),
    [0, 2 ** 22 - 1],
  );
  t.is(pages.reads, 7);
});

test('growing by a level puts one page and reads none', async (t) => {
  const pages = new MemoryPages();
  const root = await updateManifest({
    root: ZERO_ID,
    pieces: 2 ** 24,
    source: pages,
    sink: pages,
    changes: [[99 as PieceIndex, fakeId(1)]],
  });
  pages.reads = 0;
  pages.puts = 0;
  const grown = await growRoot(root, 2 ** 24, PIECES, pages);
  t.is(pages.puts, 1);
  t.is(pages.reads, 0);
  t.is(await new ManifestReader({ root: grown, pieces: PIECES, source: pages }).idOf(99 as PieceIndex), fakeId(1));
});

test('neighbouring pieces read each page once', async (t) => {
  const pages = new MemoryPages();
  const changes = Array.from(
    { length: 512 },
    (_, index): PieceChange => [(1_000_000 * 16 + index) as PieceIndex, fakeId(index)],
  );
  const root = await updateManifest({ root: ZERO_ID, pieces: PIECES, source: pages, sink: pages, changes });
  const reader = new ManifestReader({ root, pieces: PIECES, source: pages });
  pages.reads = 0;
  for (const [piece, id] of changes) t.is(await reader.idOf(piece), id);
  t.is(pages.reads, LEVELS + 1);
});
