/** Where a torrent's pieces lie: windows on a generation that is given away, and the scratch file of one that is fetched. */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { ScratchStore } from '../src/torrent/scratch-store.ts';
import { SeedStore } from '../src/torrent/seed-store.ts';
import type { PieceStore } from '../src/torrent/webtorrent-client.ts';

const KIB = 1024;

function get(store: PieceStore, piece: number, options?: { offset?: number; length?: number }): Promise<Uint8Array> {
  return new Promise((resolve, reject) =>
    store.get(piece, options, (error, bytes) => (error === null ? resolve(bytes as Uint8Array) : reject(error))),
  );
}

function put(store: PieceStore, piece: number, bytes: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) =>
    store.put(piece, bytes, (error) => (error === null ? resolve() : reject(error))),
  );
}

function seedStore(
  bytes: Uint8Array,
  pieceBytes: number,
): { store: SeedStore; reads: [number, number][]; spent: () => number } {
  const reads: [number, number][] = [];
  let spent = 0;
  const store = new SeedStore({
    sizeBytes: bytes.length,
    pieceBytes,
    read: async (offset, length) => {
      reads.push([offset, length]);
      if (offset + length > bytes.length) throw new RangeError('beyond the end');
      return bytes.slice(offset, offset + length);
    },
    spend: async (length) => {
      spent += length;
    },
  });
  return { store, reads, spent: () => spent };
}

test('any part of any piece, also across windows and at the end', async (t) => {
  const bytes = randomBytes(1700 * KIB + 512);
  for (const pieceBytes of [64 * KIB, 1024 * KIB]) {
    const { store } = seedStore(bytes, pieceBytes);
    for (let piece = 0; piece * pieceBytes < bytes.length; piece++) {
      const expected = bytes.subarray(piece * pieceBytes, (piece + 1) * pieceBytes);
      t.true(expected.equals(await get(store, piece)));
      const part = { offset: Math.floor(expected.length / 3), length: Math.floor(expected.length / 2) };
      t.true(expected.subarray(part.offset, part.offset + part.length).equals(await get(store, piece, part)));
    }
  }
});

test('blocks of a window are one read, and every byte is paid for', async (t) => {
  const { store, reads, spent } = seedStore(randomBytes(512 * KIB), 512 * KIB);
  for (let block = 0; block < 32; block++) await get(store, 0, { offset: block * 16 * KIB, length: 16 * KIB });
  t.deepEqual(reads, [
    [0, 256 * KIB],
    [256 * KIB, 256 * KIB],
  ]);
  t.is(spent(), 512 * KIB);
});

test('who reads in order finds the next window read', async (t) => {
  const { store, reads } = seedStore(randomBytes(1024 * KIB), 1024 * KIB);
  const starts = (): number[] => reads.map(([offset]) => offset / KIB);
  await get(store, 0, { offset: 0, length: 16 * KIB });
  t.deepEqual(starts(), [0], 'one window alone is no order');
  await get(store, 0, { offset: 256 * KIB, length: 16 * KIB });
  t.deepEqual(starts(), [0, 256, 512]);
  await get(store, 0, { offset: 512 * KIB, length: 16 * KIB });
  await get(store, 0, { offset: 768 * KIB, length: 16 * KIB });
  t.deepEqual(starts(), [0, 256, 512, 768], 'and each is read once');
});

test('what lies outside is refused, and nothing is written', async (t) => {
  const { store, reads } = seedStore(randomBytes(100 * KIB), 64 * KIB);
  for (const [piece, offset, length] of [
    [0, 0, 65 * KIB],
    [1, 0, 64 * KIB],
    [1, 36 * KIB, 1],
    [2, 0, 1],
    [0, -1, 2],
    [0, 0, 0],
  ] as const)
    await t.throwsAsync(get(store, piece, { offset, length }));
  await t.throwsAsync(put(store, 0, new Uint8Array(1)));
  t.deepEqual(reads, []);
});

test('a read that failed is tried again by the next', async (t) => {
  let fails = true;
  const store = new SeedStore({
    sizeBytes: 10,
    pieceBytes: 16 * KIB,
    read: async () => {
      if (fails) throw new Error('no');
      return new Uint8Array(10);
    },
    spend: async () => {},
  });
  await t.throwsAsync(get(store, 0));
  fails = false;
  t.is((await get(store, 0)).length, 10);
});

async function scratch(
  t: ExecutionContext,
): Promise<{ file: string; openStore: (from: number, length: number) => Promise<ScratchStore> }> {
  const folder = mkdtempSync(path.join(tmpdir(), 'dst-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const file = path.join(folder, 'part');
  const openStore = async (offsetBytes: number, lengthBytes: number): Promise<ScratchStore> => {
    const handle = await open(file, 'a').then(async (made) => {
      await made.close();
      return open(file, 'r+');
    });
    t.teardown(() => handle.close());
    const { size } = await handle.stat();
    return new ScratchStore(handle, { offsetBytes, lengthBytes, pieceBytes: 16 * KIB, root: null }, size);
  };
  return { file, openStore };
}

test('the scratch file has the bytes of the one file, and none of those around it', async (t) => {
  const { file, openStore } = await scratch(t);
  const all = randomBytes(80 * KIB);
  const [offset, length] = [10_000, 50_000];
  const store = await openStore(offset, length);
  for (const piece of [3, 0, 2, 1, 4]) await put(store, piece, all.subarray(piece * 16 * KIB, (piece + 1) * 16 * KIB));
  t.true(readFileSync(file).equals(all.subarray(offset, offset + length)));
});

test('after a restart whole pieces are offered again; what is not kept, or not there, is an error', async (t) => {
  const { openStore } = await scratch(t);
  const all = randomBytes(80 * KIB);
  const before = await openStore(10_000, 60_000);
  for (const piece of [0, 1, 2]) await put(before, piece, all.subarray(piece * 16 * KIB, (piece + 1) * 16 * KIB));
  const store = await openStore(10_000, 60_000);
  for (const piece of [1, 2])
    t.true(all.subarray(piece * 16 * KIB, (piece + 1) * 16 * KIB).equals(await get(store, piece)));
  await t.throwsAsync(get(store, 0), undefined, 'it begins before the file');
  await t.throwsAsync(get(store, 3), undefined, 'it did not come');
  await t.throwsAsync(get(store, 4), undefined, 'it reaches beyond the file');
});
