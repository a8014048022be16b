/** Pages of one path between two hosts: what is missing, what is served, what is believed. */
import { hasCode, PAGE_BYTES, type PageId, type PieceIndex, ZERO_ID } from '@diskswarm/core';
import test from 'ava';
import fc from 'fast-check';
import { ManifestReader, updateManifest, verifyPath } from '../src/index.ts';
import { fakeId, MemoryPages } from './memory-pages.ts';

const PIECES = 20_000_000;
const PIECE = 17_000_001 as PieceIndex;
const HOLE = 17_000_002 as PieceIndex;
const FAR_HOLE = 3 as PieceIndex;

async function manifest(): Promise<{ pages: MemoryPages; root: PageId; reader: ManifestReader }> {
  const pages = new MemoryPages();
  const root = await updateManifest({
    root: ZERO_ID,
    pieces: PIECES,
    source: pages,
    sink: pages,
    changes: [[PIECE, fakeId(1)]],
  });
  return { pages, root, reader: new ManifestReader({ root, pieces: PIECES, source: pages }) };
}

test('what one host lacks is what another serves, and then nothing is missing', async (t) => {
  const { root, reader } = await manifest();
  const here = new MemoryPages();
  const local = new ManifestReader({ root, pieces: PIECES, source: here });
  const missing = await local.missingOnPath(PIECE);
  t.deepEqual(missing, { level: 3, index: 0, id: root });
  const answer = verifyPath({ pieces: PIECES, piece: PIECE, from: missing!, pages: await reader.pathPages(PIECE, 3) });
  t.is(answer.chunk, fakeId(1));
  t.is(answer.missing, null);
  for (const { id, bytes } of answer.pages) await here.put(id, bytes);
  t.is(await local.missingOnPath(PIECE), null);
  t.is(await local.idOf(PIECE), fakeId(1));
});

test('a path may start below pages that are here', async (t) => {
  const { root, reader } = await manifest();
  const all = await reader.pathPages(PIECE, 3);
  const here = new MemoryPages();
  const upper = verifyPath({ pieces: PIECES, piece: PIECE, from: { level: 3, id: root }, pages: all.slice(0, 2) });
  t.is(upper.chunk, null);
  for (const { id, bytes } of upper.pages) await here.put(id, bytes);
  const missing = await new ManifestReader({ root, pieces: PIECES, source: here }).missingOnPath(PIECE);
  t.deepEqual(missing, upper.missing);
  t.is(missing?.level, 1);
  const lower = verifyPath({
    pieces: PIECES,
    piece: PIECE,
    from: missing!,
    pages: await reader.pathPages(PIECE, missing!.level),
  });
  t.is(lower.chunk, fakeId(1));
  t.deepEqual(
    lower.pages.map(({ level, index }) => ({ level, index })),
    [
      { level: 1, index: 259 },
      { level: 0, index: 66_406 },
    ],
  );
});

test('a hole ends the path early', async (t) => {
  const { root, reader } = await manifest();
  const near = verifyPath({
    pieces: PIECES,
    piece: HOLE,
    from: { level: 3, id: root },
    pages: await reader.pathPages(HOLE, 3),
  });
  t.is(near.chunk, ZERO_ID);
  t.is(near.pages.length, 4);
  const far = await reader.pathPages(FAR_HOLE, 3);
  t.is(far.length, 1);
  t.is(verifyPath({ pieces: PIECES, piece: FAR_HOLE, from: { level: 3, id: root }, pages: far }).chunk, ZERO_ID);
});

test('any altered byte is noticed', async (t) => {
  const { root, reader } = await manifest();
  const pages = await reader.pathPages(PIECE, 3);
  fc.assert(
    fc.property(fc.nat(3), fc.nat(PAGE_BYTES - 1), fc.integer({ min: 1, max: 255 }), (which, at, flip) => {
      const forged = pages.map((page) => page.slice());
      forged[which]![at]! ^= flip;
      const error = t.throws(() =>
        verifyPath({ pieces: PIECES, piece: PIECE, from: { level: 3, id: root }, pages: forged }),
      );
      t.true(hasCode(error, 'CHUNK_CORRUPT') || hasCode(error, 'FORMAT_INVALID'));
    }),
  );
});

test('pages of the wrong size or number are refused', async (t) => {
  const { root, reader } = await manifest();
  const pages = await reader.pathPages(PIECE, 3);
  const from = { level: 3, id: root };
  for (const forged of [
    [...pages, pages[0]!],
    [pages[0]!.subarray(1)],
    [new Uint8Array(0)],
    [new Uint8Array(PAGE_BYTES * 2)],
  ]) {
    t.true(
      hasCode(
        t.throws(() => verifyPath({ pieces: PIECES, piece: PIECE, from, pages: forged })),
        'FORMAT_INVALID',
      ),
    );
  }
  const other = t.throws(() => verifyPath({ pieces: PIECES, piece: PIECE, from, pages: [pages[1]!] }));
  t.true(hasCode(other, 'CHUNK_CORRUPT'));
});

test('a source that fails for another reason is not taken for a missing page', async (t) => {
  const source = { get: (): Promise<Uint8Array> => Promise.reject(new Error('disk on fire')) };
  await t.throwsAsync(() => new ManifestReader({ root: fakeId(1), pieces: 5, source }).missingOnPath(0 as PieceIndex), {
    message: 'disk on fire',
  });
});
