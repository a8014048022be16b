/** The bytes of manifests: golden roots, shape of the tree, and pages that break the rules. */
import { type ChunkId, fromHex, hasCode, PAGE_BYTES, type PieceIndex, toHex, ZERO_ID } from '@diskswarm/core';
import test from 'ava';
import {
  compareManifests,
  growRoot,
  idAt,
  levelsFor,
  ManifestBuilder,
  ManifestReader,
  pageIdOf,
  pagesAt,
  pathOf,
  setIdAt,
  updateManifest,
} from '../src/index.ts';
import golden from './fixtures/manifests.json' with { type: 'json' };
import { collect, fakeId, MemoryPages } from './memory-pages.ts';

for (const { name, pieces, ids, root, pages: expected } of golden) {
  test(`golden: ${name}`, async (t) => {
    const pages = new MemoryPages();
    const changes = Object.entries(ids).map(([piece, id]) => [Number(piece) as PieceIndex, id as ChunkId] as const);
    t.is(await updateManifest({ root: ZERO_ID, pieces, source: pages, sink: pages, changes }), root as ChunkId);
    t.deepEqual([...pages.pages.keys()].sort(), [...expected].sort() as ChunkId[]);
  });
}

test('a page is 256 raw ids and nothing else', async (t) => {
  const pages = new MemoryPages();
  const builder = new ManifestBuilder({ pieces: 3, sink: pages });
  await builder.add(fakeId(1));
  await builder.addZeros(1);
  await builder.add(fakeId(2));
  const page = pages.pages.get(await builder.finish())!;
  t.is(toHex(page), fakeId(1) + '00'.repeat(32) + fakeId(2) + '00'.repeat(32 * 253));
});

test('levels, pages and paths follow from the number of pieces', (t) => {
  t.deepEqual([1, 256, 257, 65_536, 65_537, 2 ** 24, 2 ** 24 + 1, 2 ** 30].map(levelsFor), [1, 1, 2, 2, 3, 3, 4, 4]);
  t.deepEqual(
    [0, 1, 2, 3].map((level) => pagesAt(level, 20_000_000)),
    [78_125, 306, 2, 1],
  );
  t.deepEqual(pathOf(19_999_999 as PieceIndex, 4), [
    { level: 3, index: 0, slot: 1 },
    { level: 2, index: 1, slot: 49 },
    { level: 1, index: 305, slot: 44 },
    { level: 0, index: 78_124, slot: 255 },
  ]);
  for (const pieces of [0, -1, 1.5, 2 ** 30 + 1]) t.throws(() => levelsFor(pieces), { instanceOf: RangeError });
});

test('a disk of zeros has the zero root and no pages', async (t) => {
  const pages = new MemoryPages();
  const builder = new ManifestBuilder({ pieces: 2 ** 30, sink: pages });
  await builder.addZeros(2 ** 30);
  t.is(await builder.finish(), ZERO_ID);
  t.is(pages.puts, 0);
  t.is(await growRoot(ZERO_ID, 5, 2 ** 30, pages), ZERO_ID);
  t.is(await new ManifestReader({ root: ZERO_ID, pieces: 2 ** 30, source: pages }).idOf(12_345 as PieceIndex), ZERO_ID);
});

test('pages that name pieces beyond the disk are refused by everything that reads', async (t) => {
  const pages = new MemoryPages();
  const leaf = Buffer.alloc(PAGE_BYTES);
  setIdAt(leaf, 5, fakeId(1));
  const root = pageIdOf(leaf);
  await pages.put(root, leaf);
  const at = 0 as PieceIndex;
  const invalid = async (run: () => Promise<unknown>): Promise<void> =>
    void t.true(hasCode(await t.throwsAsync(run), 'FORMAT_INVALID'));
  const reader = new ManifestReader({ root, pieces: 5, source: pages });
  await invalid(() => reader.idOf(at));
  await invalid(() => reader.pathPages(at, 0));
  await invalid(() => collect(reader.leaves()));
  await invalid(() => collect(compareManifests({ root, pieces: 5 }, { root: ZERO_ID, pieces: 5 }, pages)));
  await invalid(() => updateManifest({ root, pieces: 5, source: pages, sink: pages, changes: [[at, fakeId(2)]] }));
  t.is(idAt(await new ManifestReader({ root, pieces: 6, source: pages }).leaf(0), 5), fakeId(1));
});

test('an inner page whose tail names something is refused', async (t) => {
  const pages = new MemoryPages();
  const inner = Buffer.alloc(PAGE_BYTES);
  setIdAt(inner, 2, fakeId(1));
  await pages.put(pageIdOf(inner), inner);
  const error = await t.throwsAsync(() =>
    new ManifestReader({ root: pageIdOf(inner), pieces: 512, source: pages }).idOf(0 as PieceIndex),
  );
  t.true(hasCode(error, 'FORMAT_INVALID'));
});

test('setting the zero id clears a slot', (t) => {
  const page = new Uint8Array(PAGE_BYTES);
  setIdAt(page, 255, fakeId(3));
  t.deepEqual(page.slice(255 * 32), fromHex(fakeId(3)));
  t.is(idAt(page, 255), fakeId(3));
  setIdAt(page, 255, ZERO_ID);
  t.is(pageIdOf(page), ZERO_ID);
});

test('misuse is a programmer error', async (t) => {
  const pages = new MemoryPages();
  const builder = new ManifestBuilder({ pieces: 2, sink: pages });
  await builder.add(fakeId(1));
  await t.throwsAsync(() => builder.finish(), { instanceOf: RangeError });
  await t.throwsAsync(() => builder.addZeros(2), { instanceOf: RangeError });
  const twice = [1, 1].map((piece) => [piece as PieceIndex, fakeId(1)] as const);
  await t.throwsAsync(() => updateManifest({ root: ZERO_ID, pieces: 9, source: pages, sink: pages, changes: twice }), {
    instanceOf: RangeError,
  });
  await t.throwsAsync(() => growRoot(fakeId(1), 9, 8, pages), { instanceOf: RangeError });
  t.throws(() => pageIdOf(new Uint8Array(32)), { instanceOf: RangeError });
});
