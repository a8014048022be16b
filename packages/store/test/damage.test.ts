/** Disks that change bytes, refuse reads, fail syncs and fill up: what is lost, what is reported, what goes on. */
import test from 'ava';
import type { Damage } from '../src/index.ts';
import {
  admissionsOf,
  CHECKPOINT,
  chunk,
  chunks,
  DISK_A,
  DISK_B,
  damageFile,
  onHost,
  openStore,
  readAll,
} from './support/fixture.ts';

test('a chunk that is damaged is not served, is dropped for good, and can come again', async (t) => {
  await onHost(9, async ({ storage }) => {
    const all = chunks(5);
    const damages: Damage[] = [];
    const store = await openStore(storage, damages);
    await store.putMany(all, DISK_A);
    await store.sync();
    const { path: pack, positionBytes } = store.locate(all[2]!.id)!;
    await damageFile(storage, pack, positionBytes + 500);
    await t.throwsAsync(store.get(all[2]!.id), { code: 'CHUNK_CORRUPT' });
    t.deepEqual(damages, [{ id: all[2]!.id, path: pack, positionBytes, lengthBytes: 1024, kind: 'changed' }]);
    t.false(store.has(all[2]!.id, DISK_A));
    await store.close();
    await storage.remove(CHECKPOINT);
    const again = await openStore(storage);
    t.deepEqual(admissionsOf(again, all), ['0: a', '1: a', '3: a', '4: a']);
    await again.put(all[2]!.id, all[2]!.bytes, DISK_A);
    t.is(await readAll(again, all), 5);
    await again.close();
    await storage.remove(CHECKPOINT);
    const last = await openStore(storage);
    t.is(await readAll(last, all), 5);
    await last.close();
  });
});

test('a place the disk cannot read stays until somebody can do without it', async (t) => {
  await onHost(10, async ({ storage, disk }) => {
    const damages: Damage[] = [];
    const store = await openStore(storage, damages);
    const one = chunk(1);
    await store.put(one.id, one.bytes, DISK_A);
    disk.fail({ operation: 'read', pathPrefix: 'store/packs' });
    await t.throwsAsync(store.get(one.id), { code: 'READ_FAILED' });
    t.deepEqual(damages, []);
    t.deepEqual(Buffer.from(await store.get(one.id)), Buffer.from(one.bytes));
    store.forget(one.id);
    t.is(damages[0]!.kind, 'unreadable');
    await t.throwsAsync(store.get(one.id), { code: 'CHUNK_NOT_FOUND' });
    await store.put(one.id, one.bytes, DISK_A);
    t.is((await store.get(one.id)).length, 1024);
    await store.close();
  });
});

test('verify on a disk that reports errors names every chunk and forgets none', async (t) => {
  await onHost(12, async ({ storage, disk }) => {
    const all = chunks(20);
    const damages: Damage[] = [];
    const store = await openStore(storage, damages);
    await store.putMany(all, DISK_A);
    await store.sync();
    disk.fail({ operation: 'read', pathPrefix: 'store/packs', times: 1000 });
    const { damagedCount, damages: found } = await store.verify();
    t.is(damagedCount, 20);
    t.true(found.every(({ kind }) => kind === 'unreadable'));
    t.deepEqual(damages, []);
    disk.heal();
    t.is((await store.verify()).damagedCount, 0);
    t.is(await readAll(store, all), 20);
    await store.close();
  });
});

test('a reclaim on a disk that reports errors keeps the pack that it could not copy', async (t) => {
  await onHost(13, async ({ storage, disk }) => {
    const all = chunks(10);
    const store = await openStore(storage, []);
    for (const each of all) await store.put(each.id, each.bytes, DISK_B);
    await store.putMany(all.slice(0, 2), DISK_A);
    await store.putMany(chunks(60).slice(10), DISK_B);
    await store.sync();
    await store.remove(DISK_B);
    const { path } = store.locate(all[0]!.id)!;
    disk.fail({ operation: 'read', pathPrefix: path });
    await store.reclaim();
    t.is(store.locate(all[0]!.id)?.path, path);
    await store.reclaim();
    t.not(store.locate(all[0]!.id)?.path, path);
    t.is(await readAll(store, all), 2);
    await store.close();
  });
});

test('verify finds every damaged chunk and counts what it read', async (t) => {
  await onHost(11, async ({ storage }) => {
    const all = chunks(50);
    const damages: Damage[] = [];
    const store = await openStore(storage, damages);
    await store.putMany(all, DISK_A);
    await store.sync();
    const hit = [3, 17, 44];
    for (const number of hit) {
      const { path: pack, positionBytes } = store.locate(all[number]!.id)!;
      await damageFile(storage, pack, positionBytes + number);
    }
    // One with its header gone as well: nobody can say any more what it was.
    const nameless = store.locate(all[20]!.id)!;
    await damageFile(storage, nameless.path, nameless.positionBytes - 60, 100);
    let reports = 0;
    const result = await store.verify({ onProgress: () => reports++ });
    t.is(result.chunksChecked, 50);
    t.is(result.chunksTotal, 50);
    t.is(result.bytesChecked, 50 * 1024);
    t.is(result.damagedCount, 4);
    t.is(reports, 50);
    t.deepEqual(
      result.damages.map(({ id }) => id),
      [all[3]!.id, all[17]!.id, null, all[44]!.id],
    );
    t.deepEqual(damages, [...result.damages]);
    t.is(await readAll(store, all), 46);
    t.is((await store.verify()).damagedCount, 0);
    const controller = new AbortController();
    const stopped = store.verify({ signal: controller.signal, onProgress: () => controller.abort() });
    await t.throwsAsync(stopped, { code: 'ABORTED' });
    await store.close();
  });
});

test('a full disk refuses new chunks, keeps the old ones, and lives on', async (t) => {
  await onHost(12, async ({ storage, disk }) => {
    const all = chunks(40, 4096);
    const store = await openStore(storage);
    await store.putMany(all.slice(0, 10), DISK_A);
    await store.sync();
    disk.capacityBytes = 0;
    await t.throwsAsync(store.putMany(all.slice(10, 20), DISK_A), { code: 'DISK_FULL' });
    await t.throwsAsync(store.put(all[30]!.id, all[30]!.bytes, DISK_A), { code: 'DISK_FULL' });
    t.is(await readAll(store, all), 10);
    disk.capacityBytes = 2 ** 40;
    await store.putMany(all.slice(10), DISK_A);
    await store.sync();
    t.is(await readAll(store, all), 40);
    await store.close();
    await storage.remove(CHECKPOINT);
    const again = await openStore(storage);
    t.is(await readAll(again, all), 40);
    await again.close();
  });
});

test('room can be made on a disk that is full to the last byte', async (t) => {
  await onHost(13, async ({ storage, disk }) => {
    const all = chunks(120);
    const store = await openStore(storage);
    await store.putMany(all.slice(0, 100), DISK_A);
    await store.putMany(all.slice(100), DISK_B);
    await store.sync();
    disk.capacityBytes = 0;
    t.is((await store.remove(DISK_A)).chunks, 100);
    const { packsDeleted } = await store.reclaim();
    t.true(packsDeleted >= 5, `${packsDeleted} packs deleted`);
    disk.capacityBytes = 2 ** 40;
    await store.sync();
    await store.close();
    const again = await openStore(storage);
    t.is(await readAll(again, all), 20);
    await again.close();
  });
});

test('after a failed sync nothing more is taken until the store is opened again; reading goes on', async (t) => {
  await onHost(14, async ({ storage, disk }) => {
    const all = chunks(10);
    const store = await openStore(storage);
    await store.putMany(all.slice(0, 5), DISK_A);
    await store.sync();
    await store.putMany(all.slice(5), DISK_A);
    disk.fail({ operation: 'sync', pathPrefix: 'store/packs' });
    await t.throwsAsync(store.sync(), { code: 'WRITE_FAILED' });
    await t.throwsAsync(store.sync(), { code: 'WRITE_FAILED' });
    await t.throwsAsync(store.put(chunk(99).id, chunk(99).bytes, DISK_A), { code: 'WRITE_FAILED' });
    t.throws(() => store.admit(all[0]!.id, DISK_B), { code: 'WRITE_FAILED' });
    await t.throwsAsync(store.remove(DISK_A), { code: 'WRITE_FAILED' });
    t.is((await store.get(all[0]!.id)).length, 1024);
    await store.close();
    const again = await openStore(storage);
    const found = await readAll(again, all);
    t.true(found >= 5, `${found} chunks`);
    await again.putMany(all, DISK_A);
    t.is(await readAll(again, all), 10);
    await again.close();
  });
});

test('a write that fails fails what queued behind it too, and what comes later', async (t) => {
  await onHost(17, async ({ storage, disk }) => {
    // More than one batch: these are at most as large as a pack.
    const all = chunks(60);
    const store = await openStore(storage);
    await store.putMany(all.slice(0, 5), DISK_A);
    await store.sync();
    disk.fail({ operation: 'write', pathPrefix: 'store/packs' });
    const put = await Promise.allSettled(all.slice(5, 55).map(({ id, bytes }) => store.put(id, bytes, DISK_A)));
    t.deepEqual(
      put.map((each) => each.status === 'rejected' && (each.reason as { code: string }).code),
      put.map(() => 'WRITE_FAILED'),
    );
    for (const { id, bytes } of all.slice(55))
      await t.throwsAsync(store.put(id, bytes, DISK_A), { code: 'WRITE_FAILED' });
    t.is(await readAll(store, all), 5);
    disk.heal();
    await store.close();
    const again = await openStore(storage);
    t.is(await readAll(again, all), 5);
    await again.putMany(all, DISK_A);
    t.is(await readAll(again, all), 60);
    await again.close();
  });
});

test('what a store knows after it was opened survives a power cut, even if an earlier sync failed', async (t) => {
  for (let seed = 100; seed < 112; seed++) {
    await onHost(seed, async (host) => {
      const all = chunks(30);
      const store = await openStore(host.storage);
      await store.putMany(all.slice(0, 5), DISK_A);
      await store.sync();
      await store.putMany(all.slice(5), DISK_A);
      host.disk.fail({ operation: 'sync', pathPrefix: 'store/packs', times: 2 });
      await t.throwsAsync(store.sync(), { code: 'WRITE_FAILED' });
      host.crash();
      host.disk.heal();
      const again = await openStore(host.storage);
      const found = admissionsOf(again, all);
      t.true(found.length >= 5);
      host.powerCut();
      const last = await openStore(host.storage);
      t.deepEqual(admissionsOf(last, all), found, `seed ${seed}`);
      t.is(await readAll(last, all), found.length);
    });
  }
});

test('damage in the log before a mark is reported and costs only what it hit', async (t) => {
  await onHost(15, async ({ storage }) => {
    const all = chunks(30);
    const store = await openStore(storage);
    for (let number = 0; number < 30; number += 3) {
      await store.putMany(all.slice(number, number + 3), DISK_A);
      await store.sync();
    }
    const { path: pack, positionBytes } = store.locate(all[4]!.id)!;
    await store.close();
    await storage.remove(CHECKPOINT);
    await damageFile(storage, pack, positionBytes - 40);
    const damages: Damage[] = [];
    const again = await openStore(storage, damages);
    t.deepEqual(
      damages.map(({ id, path: where, kind }) => ({ id, where, kind })),
      [{ id: null, where: pack, kind: 'changed' }],
    );
    t.is(await readAll(again, all), 29);
    await again.put(all[4]!.id, all[4]!.bytes, DISK_A);
    t.is(await readAll(again, all), 30);
    await again.close();
  });
});

test('packs that lost their headers are still read with the nonce of the others', async (t) => {
  await onHost(16, async ({ storage }) => {
    const all = chunks(40);
    const store = await openStore(storage);
    await store.putMany(all, DISK_A);
    await store.close();
    await storage.remove(CHECKPOINT);
    await damageFile(storage, 'store/packs/00000002.pack', 3);
    const damages: Damage[] = [];
    const again = await openStore(storage, damages);
    t.is(damages.length, 1);
    t.is(await readAll(again, all), 40);
    await again.close();
  });
});

test('when nothing can be told from anything, nothing is overwritten', async (t) => {
  await onHost(17, async ({ storage }) => {
    const all = chunks(5);
    const store = await openStore(storage);
    await store.putMany(all, DISK_A);
    await store.close();
    await storage.remove(CHECKPOINT);
    await damageFile(storage, 'store/packs/00000001.pack', 3);
    const before = await storage.stat('store/packs/00000001.pack');
    const damages: Damage[] = [];
    const again = await openStore(storage, damages);
    t.is(damages.length, 1);
    t.is(again.stats().chunks, 0);
    await again.putMany(all, DISK_A);
    t.is(await readAll(again, all), 5);
    t.deepEqual(await storage.stat('store/packs/00000001.pack'), before);
    await again.close();
  });
});

test('a pack of a newer version is refused', async (t) => {
  await onHost(18, async ({ storage }) => {
    const store = await openStore(storage);
    await store.put(chunk(1).id, chunk(1).bytes, DISK_A);
    await store.close();
    const { crc32 } = await import('node:zlib');
    const file = await storage.open('store/packs/00000001.pack', 'write');
    const header = Buffer.alloc(32);
    await file.read(header, 0);
    header.writeUInt32LE(2, 8);
    header.writeUInt32LE(crc32(header.subarray(0, 28)), 28);
    await file.write([header], 0);
    await t.throwsAsync(openStore(storage), { code: 'STATE_VERSION' });
  });
});
