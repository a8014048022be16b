/** From frozen layers to a generation: what changes, what does not, what is missing. */
import { chunkIdOf } from '@diskswarm/chunk';
import { DiskswarmError, hasCode, type PieceIndex, ZERO_ID } from '@diskswarm/core';
import { ManifestReader } from '@diskswarm/manifest';
import test from 'ava';
import { openFrozenLayer } from '../src/frozen-layer.ts';
import { type SealOptions, sealOverlay } from '../src/seal.ts';
import { frozenClock, noise, TestDisk } from './support/test-disk.ts';

const CHUNK = 16384;

async function optionsOf(disk: TestDisk): Promise<SealOptions> {
  const names = await disk.overlay.freeze();
  const { base, geometry } = disk;
  return {
    layers: await Promise.all(names.map(({ path }) => openFrozenLayer(disk.storage.process(), path))),
    geometry,
    root: base.root,
    source: base.source,
    sink: base.sink,
    store: base.store,
    remainder: (piece) => base.remainder(piece),
    clock: frozenClock,
  };
}

test('only pieces whose content differs are changed; zeros become the zero id', async (t) => {
  const content = noise(300 * CHUNK + 512, 1);
  const disk = await TestDisk.of(content);
  await disk.write(5 * CHUNK, content.subarray(5 * CHUNK, 6 * CHUNK)); // The same again.
  await disk.write(7 * CHUNK + 100, noise(10, 2));
  await disk.write(280 * CHUNK, noise(CHUNK, 3));
  await disk.write(281 * CHUNK, new Uint8Array(CHUNK));
  await disk.view.trim(290 * CHUNK, 2 * CHUNK);
  await disk.write(300 * CHUNK, noise(512, 4));
  disk.view.commit();
  const changed: [number, string][] = [];
  const sealed = await sealOverlay({ ...(await optionsOf(disk)), onChanged: (piece, id) => changed.push([piece, id]) });
  t.deepEqual(
    changed.map(([piece]) => piece),
    [7, 280, 281, 290, 291, 300],
  );
  t.is(sealed.changedPieces, 6);
  t.deepEqual(sealed.changedLeaves, [0, 1]);
  t.is(sealed.newChunkBytes, 3 * CHUNK);
  const reader = new ManifestReader({ root: sealed.root, pieces: disk.geometry.pieces, source: disk.base.source });
  t.is(await reader.idOf(281 as PieceIndex), ZERO_ID);
  t.is(await reader.idOf(290 as PieceIndex), ZERO_ID);
  const last = new Uint8Array(CHUNK);
  last.set(noise(512, 4));
  t.is(await reader.idOf(300 as PieceIndex), chunkIdOf(last));
  t.is(await reader.idOf(8 as PieceIndex), chunkIdOf(content.subarray(8 * CHUNK, 9 * CHUNK)));
});

test('writes during a seal go to the next generation', async (t) => {
  const content = noise(40 * CHUNK, 1);
  const disk = await TestDisk.of(content);
  await disk.write(0, noise(4096, 2));
  const options = await optionsOf(disk);
  const before = content.slice();
  before.set(noise(4096, 2), 0);
  content.set(before);
  await disk.write(0, noise(4096, 3));
  await disk.write(CHUNK, noise(100, 4));
  const sealed = await sealOverlay(options);
  t.deepEqual(sealed.changedLeaves, [0]);
  t.is(sealed.changedPieces, 1);
  disk.base.root = sealed.root;
  const reader = new ManifestReader({ root: sealed.root, pieces: 40, source: disk.base.source });
  t.is(await reader.idOf(0 as PieceIndex), chunkIdOf(before.subarray(0, CHUNK)));
  disk.view.rebase(sealed.changedLeaves);
  await disk.overlay.dropFrozen(0, disk.generation);
  content.set(noise(4096, 3), 0);
  content.set(noise(100, 4), CHUNK);
  t.deepEqual(await disk.readAll(), content);
  t.is(disk.overlay.dirtyBytes, 8192);
  t.is((await disk.seal())?.changedPieces, 2);
  t.true(disk.overlay.isClean);
  t.deepEqual(await disk.readAll(), content);
  t.is(await disk.seal(), null, 'nothing was written since');
});

test('a seal without the rest of partly written chunks names them and loses nothing', async (t) => {
  const content = noise(40 * CHUNK, 1);
  const disk = await TestDisk.of(content);
  for (const piece of [3, 9, 20]) await disk.write(piece * CHUNK, noise(4096, piece));
  await disk.write(30 * CHUNK, noise(CHUNK, 30));
  const options = await optionsOf(disk);
  const remainder: SealOptions['remainder'] = (piece) => {
    if (piece === 9) return disk.base.remainder(piece);
    return Promise.reject(new DiskswarmError('CHUNK_NOT_FOUND', 'its holders are away'));
  };
  const error = await t.throwsAsync(sealOverlay({ ...options, remainder }));
  t.true(hasCode(error, 'SEAL_NEEDS_CHUNKS'));
  t.deepEqual((error as DiskswarmError).data, { count: 2, pieces: [3, 20] });
  for (const piece of [3, 9, 20]) content.set(noise(4096, piece), piece * CHUNK);
  content.set(noise(CHUNK, 30), 30 * CHUNK);
  t.deepEqual(await disk.readAll(), content);
  await disk.write(3 * CHUNK + 4096, noise(4096, 7));
  content.set(noise(4096, 7), 3 * CHUNK + 4096);
  t.is((await disk.seal())?.changedPieces, 4, 'both layers are sealed once the holders are back');
  t.deepEqual(await disk.readAll(), content);
});

test('remainders are asked for ahead, within a bound', async (t) => {
  const disk = await TestDisk.of(noise(200 * CHUNK, 1));
  for (let piece = 0; piece < 200; piece++) await disk.write(piece * CHUNK, noise(512, piece));
  const options = await optionsOf(disk);
  let running = 0;
  let most = 0;
  const remainder: SealOptions['remainder'] = async (piece) => {
    most = Math.max(most, ++running);
    for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
    running--;
    return disk.base.remainder(piece);
  };
  const sealed = await sealOverlay({ ...options, remainder });
  t.is(sealed.changedPieces, 200);
  t.true(most > 8 && most <= 32, `${most} at once`);
});

/** A store that takes its time. */
function slowStore(disk: TestDisk, fails: (put: number) => boolean = () => false) {
  const seen = { running: 0, most: 0, puts: 0 };
  const put: SealOptions['store']['put'] = async (id, bytes) => {
    const number = ++seen.puts;
    seen.most = Math.max(seen.most, ++seen.running);
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
    seen.running--;
    if (fails(number)) throw new DiskswarmError('DISK_FULL', 'no room');
    await disk.base.store.put(id, bytes);
  };
  return { seen, store: { put } };
}

test('chunks go to the store several at once, within a bound, and all are there when the seal is done', async (t) => {
  const disk = await TestDisk.of(noise(200 * CHUNK, 1));
  const written = noise(200 * CHUNK, 2);
  await disk.write(0, written);
  const { seen, store } = slowStore(disk);
  const sealed = await sealOverlay({ ...(await optionsOf(disk)), store });
  t.is(seen.running, 0);
  t.true(seen.most > 8 && seen.most <= 32, `${seen.most} at once`);
  const reader = new ManifestReader({ root: sealed.root, pieces: disk.geometry.pieces, source: disk.base.source });
  for (let piece = 0; piece < 200; piece++) {
    const content = written.subarray(piece * CHUNK, (piece + 1) * CHUNK);
    t.is(await reader.idOf(piece as PieceIndex), chunkIdOf(content), `piece ${piece}`);
    t.deepEqual(disk.base.chunks.get(chunkIdOf(content)), content, `chunk of piece ${piece}`);
  }
});

test('a chunk that the store does not take, be it the last, fails the seal, and no other is on its way then', async (t) => {
  for (const failing of [1, 60, 200]) {
    const disk = await TestDisk.of(noise(200 * CHUNK, 1));
    await disk.write(0, noise(200 * CHUNK, 2));
    const { seen, store } = slowStore(disk, (put) => put === failing);
    const error = await t.throwsAsync(sealOverlay({ ...(await optionsOf(disk)), store }));
    t.true(hasCode(error, 'DISK_FULL'));
    t.is(seen.running, 0);
    t.true(seen.puts < failing + 64, `${seen.puts} put after the failure of ${failing}`);
  }
});

test('a seal can be given up', async (t) => {
  const disk = await TestDisk.of(noise(40 * CHUNK, 1));
  await disk.write(0, noise(512, 2));
  const controller = new AbortController();
  const remainder: SealOptions['remainder'] = (_piece, { signal }) =>
    new Promise((_, reject) => {
      signal.addEventListener('abort', () => reject(new DiskswarmError('ABORTED', 'given up')));
      controller.abort();
    });
  const error = await t.throwsAsync(sealOverlay({ ...(await optionsOf(disk)), remainder, signal: controller.signal }));
  t.true(hasCode(error, 'ABORTED'));
});

test('discarding and sealing a 1 TiB disk looks only at what is there', async (t) => {
  const disk = new TestDisk({ sizeBytes: 2 ** 40, chunkSizeBytes: 65536 });
  await disk.attach();
  await disk.write(2 ** 39, noise(65536, 1));
  await disk.seal();
  await disk.view.trim(0, 2 ** 40);
  disk.view.commit();
  let pages = 0;
  const options = await optionsOf(disk);
  const source: SealOptions['source'] = {
    get: (id) => {
      pages++;
      return options.source.get(id);
    },
  };
  const sealed = await sealOverlay({ ...options, source });
  t.is(sealed.root, ZERO_ID);
  t.is(sealed.changedPieces, 1);
  t.true(pages < 20, `${pages} pages read`);
});

test('a layer that still takes writes is not sealed', async (t) => {
  const disk = await TestDisk.of(noise(4 * CHUNK, 1));
  await disk.write(0, noise(4096, 1));
  const error = await t.throwsAsync(openFrozenLayer(disk.storage.process(), 'disks/d/overlay/0.map'));
  t.true(hasCode(error, 'JOURNAL_CORRUPT'));
});
