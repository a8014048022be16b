/** Building, updating, growing, reading and comparing, against a plain list of ids. */
import { type ChunkId, type PageId, type PieceIndex, ZERO_ID } from '@diskswarm/core';
import test from 'ava';
import fc from 'fast-check';
import {
  compareManifests,
  growRoot,
  ManifestBuilder,
  ManifestReader,
  type PieceChange,
  updateManifest,
} from '../src/index.ts';
import { collect, fakeId, MemoryPages } from './memory-pages.ts';

/** Sparse content: the ids that are not zero, by piece. */
type Content = Map<number, ChunkId>;

const entry = (pieces: number): fc.Arbitrary<[number, number]> =>
  fc.tuple(fc.nat(pieces - 1), fc.integer({ min: 1, max: 50 }));
const contentOf = (entries: readonly [number, number][]): Content =>
  new Map(entries.map(([piece, number]) => [piece, fakeId(number)]));
const sizes = fc.oneof(
  fc.integer({ min: 1, max: 600 }),
  fc.constantFrom(255, 256, 257, 65_535, 65_536, 65_537, 70_000),
);
const sized = <T>(make: (pieces: number) => fc.Arbitrary<T>): fc.Arbitrary<{ pieces: number; value: T }> =>
  sizes.chain((pieces) => make(pieces).map((value) => ({ pieces, value })));

async function build(content: Content, pieces: number, sink: MemoryPages): Promise<PageId> {
  const builder = new ManifestBuilder({ pieces, sink });
  for (const piece of [...content.keys()].sort((a, b) => a - b)) {
    await builder.addZeros(piece - builder.position);
    await builder.add(content.get(piece)!);
  }
  await builder.addZeros(pieces - builder.position);
  return builder.finish();
}

const changesOf = (content: Content): PieceChange[] =>
  [...content].sort(([a], [b]) => a - b).map(([piece, id]) => [piece as PieceIndex, id]);

test('a reader finds every id that was added, and zeros elsewhere', async (t) => {
  await fc.assert(
    fc.asyncProperty(
      sized((pieces) => fc.array(entry(pieces), { maxLength: 40 })),
      async ({ pieces, value }) => {
        const pages = new MemoryPages();
        const content = contentOf(value);
        const reader = new ManifestReader({ root: await build(content, pieces, pages), pieces, source: pages });
        for (const piece of [
          0,
          pieces - 1,
          ...content.keys(),
          ...[...content.keys()].map((piece) => Math.max(0, piece - 1)),
        ]) {
          t.is(await reader.idOf(piece as PieceIndex), content.get(piece) ?? ZERO_ID);
        }
        const leaves: number[] = [];
        for await (const { leaf } of reader.leaves()) leaves.push(leaf);
        t.deepEqual(
          leaves,
          [...new Set([...content.keys()].map((piece) => Math.floor(piece / 256)))].sort((a, b) => a - b),
        );
      },
    ),
    { numRuns: 60 },
  );
});

test('zeros added one by one, in runs or left to an update give the same root', async (t) => {
  await fc.assert(
    fc.asyncProperty(
      sized((pieces) => fc.array(entry(pieces), { maxLength: 20 })),
      async ({ pieces, value }) => {
        const pages = new MemoryPages();
        const content = contentOf(value);
        const root = await build(content, pieces, pages);
        const builder = new ManifestBuilder({ pieces, sink: pages });
        for (let piece = 0; piece < pieces; piece++) await builder.add(content.get(piece) ?? ZERO_ID);
        t.is(await builder.finish(), root);
        t.is(
          await updateManifest({ root: ZERO_ID, pieces, source: pages, sink: pages, changes: changesOf(content) }),
          root,
        );
      },
    ),
    { numRuns: 20 },
  );
});

test('an update is what building the new content gives, and the comparison names exactly its changes', async (t) => {
  const both = (pieces: number): fc.Arbitrary<[[number, number][], [number, number][]]> =>
    fc.tuple(
      fc.array(entry(pieces), { maxLength: 30 }),
      fc.array(fc.tuple(fc.nat(pieces - 1), fc.nat(50)), { maxLength: 30 }),
    );
  await fc.assert(
    fc.asyncProperty(sized(both), async ({ pieces, value: [start, edits] }) => {
      const pages = new MemoryPages();
      const before = contentOf(start);
      const edited: Content = new Map(edits.map(([piece, number]) => [piece, number === 0 ? ZERO_ID : fakeId(number)]));
      const after: Content = new Map([...before, ...edited].filter(([, id]) => id !== ZERO_ID));
      for (const [piece, id] of edited) if (id === ZERO_ID) after.delete(piece);
      const root = await build(before, pieces, pages);
      const updated = await updateManifest({ root, pieces, source: pages, sink: pages, changes: changesOf(edited) });
      t.is(updated, await build(after, pieces, pages));
      const expected = [...new Set([...before.keys(), ...after.keys()])]
        .filter((piece) => before.get(piece) !== after.get(piece))
        .sort((a, b) => a - b)
        .map((piece) => ({
          piece: piece as PieceIndex,
          before: before.get(piece) ?? ZERO_ID,
          after: after.get(piece) ?? ZERO_ID,
        }));
      t.deepEqual(await collect(compareManifests({ root, pieces }, { root: updated, pieces }, pages)), expected);
    }),
    { numRuns: 60 },
  );
});

test('a grown disk keeps its content, shares its pages and compares with its old self', async (t) => {
  const grown = fc.tuple(
    sized((pieces) => fc.array(entry(pieces), { maxLength: 20 })),
    fc.constantFrom(0, 1, 300, 66_000, 17_000_000),
  );
  await fc.assert(
    fc.asyncProperty(grown, async ([{ pieces, value }, more]) => {
      const pages = new MemoryPages();
      const content = contentOf(value);
      const root = await build(content, pieces, pages);
      const larger = pieces + more;
      const lifted = await growRoot(root, pieces, larger, pages);
      t.is(lifted, await build(content, larger, new MemoryPages()));
      t.deepEqual(await collect(compareManifests({ root, pieces }, { root: lifted, pieces: larger }, pages)), []);
      if (more === 0) return;
      const last = (larger - 1) as PieceIndex;
      const changed = await updateManifest({
        root: lifted,
        pieces: larger,
        source: pages,
        sink: pages,
        changes: [[last, fakeId(7)]],
      });
      const difference = { piece: last, before: ZERO_ID, after: fakeId(7) };
      t.deepEqual(await collect(compareManifests({ root, pieces }, { root: changed, pieces: larger }, pages)), [
        difference,
      ]);
    }),
    { numRuns: 40 },
  );
});

test('leaves that differ are asked for several at a time, and not all at once', async (t) => {
  const pages = new MemoryPages();
  const pieces = 100 * 256;
  const content = contentOf(Array.from({ length: 100 }, (_, leaf) => [leaf * 256, leaf + 1]));
  const root = await build(content, pieces, pages);
  let [waiting, most] = [0, 0];
  const far = {
    get: async (id: PageId): Promise<Uint8Array> => {
      most = Math.max(most, ++waiting);
      await new Promise(setImmediate);
      waiting--;
      return pages.get(id);
    },
  };
  const found = await collect(compareManifests({ root: ZERO_ID, pieces }, { root, pieces }, far));
  t.deepEqual(
    found.map(({ piece, after }) => [piece, after]),
    [...content],
  );
  t.true(most >= 10 && most <= 20, `${most} at once`);
});
