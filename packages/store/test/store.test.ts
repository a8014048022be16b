/** What a user of the store relies on: content, admissions, pins and space. */
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { type ChunkId, DiskswarmError, type Storage, ZERO_ID } from '@diskswarm/core';
import { FolderStorage, systemRandom } from '@diskswarm/core/system';
import test from 'ava';
import { PackStore } from '../src/index.ts';
import {
  admissionsOf,
  CHECKPOINT,
  chunk,
  chunks,
  DISK_A,
  DISK_B,
  DISK_C,
  damageFile,
  onHost,
  openStore,
  PACK_BYTES,
  readAll,
} from './support/fixture.ts';

async function plainBytesAt(storage: Storage, store: PackStore, id: ChunkId): Promise<Uint8Array> {
  const location = store.locate(id)!;
  const file = await storage.open(location.path, 'read');
  const bytes = new Uint8Array(location.lengthBytes);
  await file.read(bytes, location.positionBytes);
  await file.close();
  return bytes;
}

test('a chunk is here for the disks it came through, and nobody else', async (t) => {
  await onHost(1, async ({ storage }) => {
    const store = await openStore(storage);
    const one = chunk(1);
    t.false(store.has(one.id, DISK_A));
    t.is(store.locate(one.id), null);
    t.false(store.admit(one.id, DISK_A), 'nothing to admit yet');
    await t.throwsAsync(store.get(one.id), { code: 'CHUNK_NOT_FOUND' });
    await store.put(one.id, one.bytes, DISK_A);
    t.true(store.has(one.id, DISK_A));
    t.false(store.has(one.id, DISK_B));
    t.deepEqual(Buffer.from(await store.get(one.id)), Buffer.from(one.bytes));
    t.deepEqual(Buffer.from(await plainBytesAt(storage, store, one.id)), Buffer.from(one.bytes));
    t.true(store.admit(one.id, DISK_B));
    t.true(store.has(one.id, DISK_B));
    t.false(store.has(ZERO_ID, DISK_A));
    await store.close();
  });
});

test('the same chunk is stored once, however it comes', async (t) => {
  await onHost(2, async ({ storage }) => {
    const store = await openStore(storage);
    const one = chunk(1);
    await Promise.all([
      store.put(one.id, one.bytes, DISK_A),
      store.put(one.id, one.bytes, DISK_B),
      store.putMany([one, one, chunk(2)], DISK_C),
    ]);
    await store.put(one.id, one.bytes, DISK_A);
    await store.sync();
    const { chunks: count, bytes, packBytes, disks } = store.stats();
    t.is(count, 2);
    t.is(bytes, 2048);
    t.is(disks, 3);
    t.true(packBytes < 3 * 1024, 'no second copy');
    t.deepEqual(admissionsOf(store, [one, chunk(2)]), ['0: abc', '1: c']);
    await store.close();
  });
});

test('a store opens again with all it had: from the checkpoint, from the packs alone, and from a damaged checkpoint', async (t) => {
  await onHost(3, async ({ storage }) => {
    const all = chunks(60);
    const store = await openStore(storage);
    await store.putMany(all.slice(0, 40), DISK_A);
    await store.checkpoint();
    await store.putMany(all.slice(30), DISK_B);
    for (const { id } of all.slice(0, 5)) store.admit(id, DISK_C);
    await store.remove(
      DISK_A,
      all.slice(10).map(({ id }) => id),
    );
    const expected = admissionsOf(store, all);
    t.is(expected.length, 55);
    const { chunks: count, deadBytes } = store.stats();
    await store.close();
    const ways = [
      async () => {},
      () => storage.remove(CHECKPOINT),
      () => damageFile(storage, CHECKPOINT, 700),
      () => damageFile(storage, CHECKPOINT, 9),
      () => damageFile(storage, CHECKPOINT, 14),
    ];
    for (const [way, spoil] of ways.entries()) {
      await spoil();
      const again = await openStore(storage);
      t.deepEqual(admissionsOf(again, all), expected, `way ${way}`);
      t.is(again.stats().chunks, count);
      t.true(Math.abs(again.stats().deadBytes - deadBytes) < 2048);
      t.is(await readAll(again, all), 55);
      await again.close();
    }
  });
});

test('removing a disk keeps what it still needs and what others have; the rest is given back', async (t) => {
  await onHost(4, async ({ storage }) => {
    const all = chunks(120);
    const store = await openStore(storage);
    await store.putMany(all.slice(0, 60), DISK_A);
    await store.putMany(all.slice(60), DISK_B);
    for (const { id } of all.slice(50, 60)) store.admit(id, DISK_B);
    const before = store.stats();
    async function* keep() {
      for (const { id } of all.slice(0, 10)) yield id;
    }
    const withdrawn = await store.remove(DISK_A, keep());
    t.deepEqual(withdrawn, { chunks: 50, bytes: 50 * 1024 });
    const expected = admissionsOf(store, all);
    t.is(expected.length, 10 + 10 + 60);
    t.is(store.stats().packBytes >= before.packBytes, true, 'nothing is given back before reclaim');
    const { packsDeleted, bytesFreed } = await store.reclaim();
    t.true(packsDeleted >= 2);
    t.true(bytesFreed > 20 * 1024);
    t.true(store.stats().packBytes < before.packBytes - 20 * 1024);
    t.deepEqual(admissionsOf(store, all), expected);
    t.is(await readAll(store, all), 80);
    await store.close();
    await storage.remove(CHECKPOINT);
    const rebuilt = await openStore(storage);
    t.deepEqual(admissionsOf(rebuilt, all), expected, 'the packs alone still tell');
    t.is(await readAll(rebuilt, all), 80);
    await rebuilt.close();
  });
});

test('what a compacted pack said about chunks elsewhere is still said', async (t) => {
  await onHost(5, async ({ storage }) => {
    const all = chunks(60);
    const store = await openStore(storage);
    // Pack 1 has chunks of A; their admissions to B and a withdrawal from A are written behind, among chunks that die.
    await store.putMany(all.slice(0, 14), DISK_A);
    for (const { id } of all.slice(0, 14)) store.admit(id, DISK_B);
    await store.putMany(all.slice(14, 30), DISK_C);
    await store.remove(
      DISK_A,
      all.slice(0, 4).map(({ id }) => id),
    );
    await store.putMany(all.slice(30, 60), DISK_C);
    await store.remove(DISK_C);
    await store.reclaim();
    const expected = admissionsOf(store, all);
    t.deepEqual(expected.slice(0, 5), ['0: ab', '1: ab', '2: ab', '3: ab', '4: b']);
    await store.close();
    await storage.remove(CHECKPOINT);
    const rebuilt = await openStore(storage);
    t.deepEqual(admissionsOf(rebuilt, all), expected);
    await rebuilt.close();
  });
});

test('a chunk admitted while its disk is being removed stays', async (t) => {
  await onHost(6, async ({ storage }) => {
    const all = chunks(20);
    const store = await openStore(storage);
    await store.putMany(all.slice(0, 10), DISK_A);
    async function* keep() {
      // The removal is under way, and nothing is named as kept.
      await store.put(all[15]!.id, all[15]!.bytes, DISK_A);
      store.admit(all[3]!.id, DISK_A);
      yield all[0]!.id;
    }
    await store.remove(DISK_A, keep());
    t.deepEqual(admissionsOf(store, all), ['0: a', '3: a', '15: a']);
    await store.close();
  });
});

test('a dead chunk that comes again lives again, without a second copy', async (t) => {
  await onHost(7, async ({ storage }) => {
    const store = await openStore(storage);
    const one = chunk(1);
    await store.put(one.id, one.bytes, DISK_A);
    await store.remove(DISK_A);
    t.false(store.has(one.id, DISK_A));
    t.is(store.stats().chunks, 0);
    const { packBytes } = store.stats();
    await store.put(one.id, one.bytes, DISK_B);
    await store.sync();
    t.true(store.stats().packBytes - packBytes < 300);
    await store.close();
    const again = await openStore(storage);
    t.deepEqual(admissionsOf(again, [one]), ['0: b']);
    await again.close();
  });
});

test('a pin keeps locations good, also those of dead chunks', async (t) => {
  await onHost(8, async ({ storage }) => {
    const all = chunks(60);
    const store = await openStore(storage);
    await store.putMany(all, DISK_A);
    const first = store.locate(all[0]!.id)!;
    const pin = store.pin([all[0]!.id, all[1]!.id, chunk(999).id]);
    await store.remove(
      DISK_A,
      all.slice(-2).map(({ id }) => id),
    );
    await store.reclaim();
    t.deepEqual(store.locate(all[0]!.id), first);
    t.deepEqual(Buffer.from(await plainBytesAt(storage, store, all[0]!.id)), Buffer.from(all[0]!.bytes));
    t.is(store.locate(all[30]!.id), null, 'other packs are gone');
    pin.release();
    pin.release();
    await store.reclaim();
    t.is(store.locate(all[0]!.id), null);
    await store.close();
  });
});

test('many readers share few open files, beside writers, on the real file system', async (t) => {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'store-'));
  t.teardown(() => rm(folder, { recursive: true }));
  const storage = new FolderStorage(folder);
  const all = chunks(1500);
  const store = await PackStore.open(storage, { random: systemRandom, packBytes: PACK_BYTES });
  await Promise.all(
    Array.from({ length: 30 }, (_, part) => store.putMany(all.slice(part * 50, part * 50 + 50), DISK_A)),
  );
  t.true(store.stats().packs > 64, `${store.stats().packs} packs`);
  const [read] = await Promise.all([
    Promise.all(all.map(({ id }) => store.get(id))),
    store.sync(),
    store.remove(
      DISK_A,
      all.slice(0, 1000).map(({ id }) => id),
    ),
  ]);
  t.true(read.every((bytes, number) => Buffer.compare(bytes, all[number]!.bytes) === 0));
  const survivors = all.slice(0, 1000);
  const [again] = await Promise.all([
    Promise.all(survivors.map(({ id }) => store.get(id))),
    store.reclaim(),
    store.verify(),
  ]);
  t.true(again.every((bytes, number) => Buffer.compare(bytes, survivors[number]!.bytes) === 0));
  await store.close();
  const reopened = await PackStore.open(storage, { random: systemRandom });
  t.is(await readAll(reopened, all), 1000);
  await reopened.close();
});

test('wrong use is refused at once', async (t) => {
  await onHost(19, async ({ storage }) => {
    const store = await openStore(storage);
    await t.throwsAsync(store.put(ZERO_ID, new Uint8Array(4096), DISK_A), { instanceOf: RangeError });
    await t.throwsAsync(store.put(chunk(1).id, new Uint8Array(0), DISK_A), { instanceOf: RangeError });
    await store.close();
    await store.close();
    const error = await t.throwsAsync(store.put(chunk(1).id, chunk(1).bytes, DISK_A));
    t.true(error instanceof DiskswarmError);
  });
});
