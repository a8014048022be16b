/** What an overlay folder survives, and what it refuses. */
import { hasCode } from '@diskswarm/core';
import test from 'ava';
import { MAX_LAYERS, Overlay } from '../src/overlay.ts';
import { discardOverlay, inspectOverlay } from '../src/overlay-recovery.ts';
import { randomFrom } from './support/memory-storage.ts';
import { DISK, FOLDER, generationId, noise, TestDisk } from './support/test-disk.ts';

const CHUNK = 16384;

test('a dead process loses nothing acknowledged; a power cut what was not flushed', async (t) => {
  const content = noise(8 * CHUNK, 1);
  const disk = await TestDisk.of(content);
  await disk.write(0, noise(4096, 2));
  await disk.view.flush();
  content.set(noise(4096, 2), 0);
  const flushed = content.slice();
  await disk.write(8192, noise(4096, 3));
  disk.storage.crash();
  await disk.base.reopen();
  await disk.attach();
  content.set(noise(4096, 3), 8192);
  t.deepEqual(await disk.readAll(), content);
  // The map record of that write is durable since the opening, its data is not.
  disk.storage.powerCut(() => 0);
  disk.boot++;
  await disk.base.reopen();
  await disk.attach();
  t.deepEqual(await disk.readAll(), flushed);
});

test('the map does not grow with the number of discards', async (t) => {
  const content = noise(8 * CHUNK, 1);
  const disk = await TestDisk.of(content);
  const block = noise(4096, 9);
  for (let round = 0; round < 100_000; round++) {
    disk.view.trim(4096, 4096);
    disk.view.commit();
    disk.view.write(4096, block);
    disk.view.commit();
  }
  const path = `${FOLDER}/0.map`;
  const before = (await disk.storage.process().stat(path))!.sizeBytes;
  const flushing = disk.view.flush();
  await disk.write(12_288, noise(4096, 10));
  await flushing;
  await disk.write(20_480, noise(4096, 11));
  await disk.view.flush();
  const after = (await disk.storage.process().stat(path))!.sizeBytes;
  t.true(before > 4_000_000 && after < 1_500_000, `${before} became ${after}`);
  disk.storage.powerCut(() => 0);
  disk.boot++;
  await disk.base.reopen();
  await disk.attach();
  content.set(block, 4096);
  content.set(noise(4096, 10), 12_288);
  content.set(noise(4096, 11), 20_480);
  t.deepEqual(await disk.readAll(), content);
});

test('an overlay says what it is, is refused in another epoch, and can be discarded', async (t) => {
  const disk = await TestDisk.of(noise(8 * CHUNK, 1));
  const storage = disk.storage.process();
  t.like(await inspectOverlay(storage, FOLDER), {
    disk: DISK,
    epoch: 1,
    base: generationId(0),
    layers: 1,
    isClean: true,
  });
  await disk.write(0, noise(100, 2));
  await disk.seal();
  await disk.write(0, noise(100, 3));
  await disk.overlay.freeze();
  t.like(await inspectOverlay(storage, FOLDER), { base: generationId(1), layers: 2, isClean: false });
  t.is(disk.overlay.base, generationId(1));
  await disk.overlay.close();
  const { geometry } = disk;
  const options = { storage, folder: FOLDER, geometry, disk: DISK, base: generationId(1), bootId: 'boot 0' };
  t.true(hasCode(await t.throwsAsync(Overlay.open({ ...options, epoch: 2 })), 'ATTACHMENT_STATE'));
  const again = await Overlay.open({ ...options, epoch: 1 });
  t.is(again.base, generationId(1));
  t.deepEqual(again.frozen, [{ layer: 1, path: `${FOLDER}/1.map` }]);
  await again.close();
  await discardOverlay(storage, FOLDER);
  t.is(await inspectOverlay(storage, FOLDER), null);
  t.deepEqual(await storage.list(FOLDER), []);
});

test('freezing without a seal that succeeds ends at a bound, and one seal takes all layers', async (t) => {
  const content = noise(8 * CHUNK, 1);
  const disk = await TestDisk.of(content);
  for (let layer = 1; layer < MAX_LAYERS; layer++) {
    await disk.write(layer * 512, noise(512, layer));
    content.set(noise(512, layer), layer * 512);
    await disk.overlay.freeze();
  }
  t.is((await disk.overlay.freeze()).length, MAX_LAYERS - 1, 'nothing new to freeze');
  await disk.write(0, noise(512, 77));
  content.set(noise(512, 77), 0);
  t.is((await disk.overlay.freeze()).length, MAX_LAYERS - 1, 'no room for another layer');
  t.deepEqual(await disk.readAll(), content);
  await disk.overlay.close();
  await disk.attach();
  t.deepEqual(await disk.readAll(), content);
});

test('a freeze that meets a full disk changes nothing', async (t) => {
  const content = noise(8 * CHUNK, 1);
  const disk = await TestDisk.of(content, { marginBytes: -1e12 });
  await disk.write(0, noise(4096, 2));
  content.set(noise(4096, 2), 0);
  disk.storage.capacityBytes = disk.storage.usedBytes();
  t.true(hasCode(await t.throwsAsync(disk.overlay.freeze()), 'DISK_FULL'));
  t.deepEqual(disk.overlay.frozen, []);
  disk.storage.capacityBytes = Number.POSITIVE_INFINITY;
  await disk.write(4096, noise(4096, 3));
  content.set(noise(4096, 3), 4096);
  t.is((await disk.seal())?.changedPieces, 1);
  t.deepEqual(await disk.readAll(), content);
});

test('a damaged map is refused, never guessed at', async (t) => {
  const disk = await TestDisk.of(noise(8 * CHUNK, 1));
  for (let block = 0; block < 20; block++) await disk.write(block * 4096, noise(4096, block));
  await disk.view.flush();
  await disk.overlay.close();
  const file = await disk.storage.process().open(`${FOLDER}/0.map`, 'write');
  file.writeSync(new Uint8Array([1, 2, 3]), 200);
  t.true(hasCode(await t.throwsAsync(disk.attach()), 'JOURNAL_CORRUPT'));
});

test('a map sync that fails poisons too, whatever happens to the marker file', async (t) => {
  const content = noise(8 * CHUNK, 1);
  const disk = await TestDisk.of(content);
  await disk.write(0, noise(4096, 2));
  disk.storage.fault = (operation, path) => operation === 'sync' && path.endsWith('.map');
  t.true(hasCode(await t.throwsAsync(disk.view.flush()), 'WRITE_FAILED'));
  disk.storage.fault = null;
  await t.throwsAsync(disk.overlay.freeze(), { message: /cannot be written/ });
  await disk.overlay.close();
  disk.storage.powerCut(randomFrom(3));
  disk.boot++;
  await disk.base.reopen();
  await disk.attach();
  const found = await disk.read(0, 4096);
  t.true(Buffer.compare(found, content.subarray(0, 4096)) === 0 || Buffer.compare(found, noise(4096, 2)) === 0);
  t.deepEqual(await disk.storage.process().list(FOLDER), ['0.data', '0.map']);
});
