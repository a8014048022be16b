/** What the simulated disk loses and keeps: crashes, power cuts, failed syncs, full disks. */
import { hasCode, type Storage, type StorageFile, writeAtomically } from '@diskswarm/core';
import test from 'ava';
import { createSimulation, ProcessGone, type SimHost, type Simulation } from '../src/index.ts';

const SEEDS = Array.from({ length: 60 }, (_, seed) => seed);

async function content(storage: Storage, path: string): Promise<Uint8Array | null> {
  if ((await storage.stat(path)) === null) return null;
  const file = await storage.open(path, 'read');
  const bytes = new Uint8Array(file.sizeBytes());
  await file.read(bytes, 0);
  return bytes;
}

/** A file whose name and first content are durable. */
async function durableFile(host: SimHost, bytes: Uint8Array): Promise<StorageFile> {
  const file = await host.storage.open('f', 'create');
  await file.write([bytes], 0);
  await file.sync();
  await host.storage.syncFolder('');
  return file;
}

function scenario(seed: number, run: (host: SimHost, simulation: Simulation) => Promise<void>): Promise<void> {
  const simulation = createSimulation(seed);
  return simulation.run(() => run(simulation.host('home'), simulation));
}

test('a crash of the process keeps what the kernel was handed', async (t) => {
  for (const seed of SEEDS.slice(0, 10)) {
    await scenario(seed, async (host) => {
      const file = await host.storage.open('f', 'create');
      await file.write([new Uint8Array(5000).fill(1)], 0);
      file.writeSync(new Uint8Array(10).fill(2), 5000);
      host.crash();
      t.deepEqual(await content(host.storage, 'f'), new Uint8Array(5010).fill(1, 0, 5000).fill(2, 5000));
    });
  }
});

test('a power cut keeps what was synced, whatever came after', async (t) => {
  for (const seed of SEEDS) {
    await scenario(seed, async (host) => {
      const file = await durableFile(host, new Uint8Array(4096).fill(1));
      await file.write([new Uint8Array(4096).fill(2)], 4096);
      void file.sync();
      host.powerCut();
      const after = await content(host.storage, 'f');
      t.deepEqual(after?.subarray(0, 4096), new Uint8Array(4096).fill(1));
    });
  }
});

test('over many seeds an unsynced overwrite is kept, lost and torn at sectors, and nothing else', async (t) => {
  const outcomes = new Set<string>();
  for (const seed of SEEDS) {
    await scenario(seed, async (host) => {
      const file = await durableFile(host, new Uint8Array(8192).fill(1));
      await file.write([new Uint8Array(4096).fill(2)], 0);
      host.powerCut();
      const after = (await content(host.storage, 'f'))!;
      t.is(after.length, 8192);
      const sectors = Array.from(
        { length: 16 },
        (_, sector) => new Set(after.subarray(sector * 512, (sector + 1) * 512)),
      );
      t.true(sectors.every((values) => values.size === 1));
      const values = sectors.map(([value]) => value);
      t.true(values.slice(8).every((value) => value === 1));
      const kept = values.filter((value) => value === 2).length;
      outcomes.add(kept === 0 ? 'lost' : kept === 8 ? 'kept' : 'torn');
    });
  }
  t.deepEqual([...outcomes].sort(), ['kept', 'lost', 'torn']);
});

test('unsynced names are kept or lost, synced ones always kept', async (t) => {
  const seen = new Set<string>();
  for (const seed of SEEDS) {
    await scenario(seed, async (host) => {
      const { storage } = host;
      await storage.makeFolder('d');
      await storage.syncFolder('');
      await writeAtomically(storage, 'd/known', Buffer.from('1'));
      await (await storage.open('d/new', 'create')).close();
      await storage.rename('d/known', 'd/renamed');
      host.powerCut();
      const names = await host.storage.list('d');
      t.is(names.filter((name) => name === 'known' || name === 'renamed').length, 1);
      seen.add(names.join());
    });
  }
  t.deepEqual([...seen].sort(), ['known', 'known,new', 'new,renamed']);
});

test('an atomic replacement leaves the old or the new content at every stopping point', async (t) => {
  const replace = (storage: Storage, value: number): Promise<void> =>
    writeAtomically(storage, 'f', new Uint8Array(3000).fill(value));
  const seen = new Set<number>();
  for (const how of ['crash', 'power cut'] as const) {
    for (const seed of SEEDS.slice(0, 20)) {
      for (let stop = 0; stop < 7; stop++) {
        await scenario(seed, async (host, simulation) => {
          await replace(host.storage, 1);
          host.disk.stopAfter(stop, how);
          const { incarnation } = host;
          void replace(host.storage, 2).catch((error: unknown) => t.true(error instanceof ProcessGone));
          await new Promise<void>((resolve) => void simulation.clock.setTimer(1000, resolve));
          t.is(host.incarnation - incarnation, stop < 6 ? 1 : 0);
          const after = (await content(host.storage, 'f'))!;
          t.true(after.length === 3000 && new Set(after).size === 1);
          seen.add(after[0]!);
        });
      }
    }
  }
  t.deepEqual([...seen].sort(), [1, 2]);
});

test('a write under way when the process dies happens wholly, partly or not', async (t) => {
  const lengths = new Set<string>();
  for (const seed of SEEDS) {
    await scenario(seed, async (host) => {
      const file = await host.storage.open('f', 'create');
      void file.write([new Uint8Array(4096).fill(3)], 0);
      host.crash();
      const after = (await content(host.storage, 'f'))!;
      t.true(after.every((byte) => byte === 3) && after.length % 512 === 0);
      lengths.add(after.length === 0 ? 'none' : after.length === 4096 ? 'all' : 'part');
    });
  }
  t.deepEqual([...lengths].sort(), ['all', 'none', 'part']);
});

test('a sync under way when the process dies loses nothing for the next one', async (t) => {
  for (const seed of SEEDS) {
    await scenario(seed, async (host) => {
      const file = await durableFile(host, new Uint8Array(4096).fill(1));
      await file.write([new Uint8Array(4096).fill(2)], 0);
      void file.sync();
      host.crash();
      const again = await host.storage.open('f', 'write');
      await again.sync();
      host.powerCut();
      t.deepEqual(await content(host.storage, 'f'), new Uint8Array(4096).fill(2));
    });
  }
});

test('after a failed sync a second one succeeds and proves nothing', async (t) => {
  let lost = 0;
  for (const seed of SEEDS) {
    await scenario(seed, async (host) => {
      const file = await durableFile(host, new Uint8Array(4096).fill(1));
      await file.write([new Uint8Array(4096).fill(2)], 0);
      host.disk.fail({ operation: 'sync', pathPrefix: 'f' });
      t.true(hasCode(await t.throwsAsync(file.sync()), 'WRITE_FAILED'));
      await file.sync();
      host.powerCut();
      if ((await content(host.storage, 'f'))![0] === 1) lost++;
    });
  }
  t.is(lost, SEEDS.length);
});

test('overlapping syncs end in order: the older content never wins', async (t) => {
  for (const seed of SEEDS) {
    await scenario(seed, async (host) => {
      const file = await durableFile(host, new Uint8Array(512).fill(1));
      file.writeSync(new Uint8Array(512).fill(2), 0);
      const first = file.sync();
      file.writeSync(new Uint8Array(512).fill(3), 0);
      await Promise.all([first, file.sync()]);
      host.powerCut();
      t.is((await content(host.storage, 'f'))![0], 3);
    });
  }
});

test('EIO comes where it was planned, as often as planned', async (t) => {
  await scenario(1, async (host) => {
    const file = await durableFile(host, new Uint8Array(100));
    host.disk.fail({ operation: 'read', pathPrefix: 'f', after: 1, times: 2 });
    const codes: string[] = [];
    for (let count = 0; count < 4; count++)
      codes.push(
        await file.read(new Uint8Array(1), 0).then(
          () => 'ok',
          (error) => (error as { code: string }).code,
        ),
      );
    t.deepEqual(codes, ['ok', 'READ_FAILED', 'READ_FAILED', 'ok']);
    host.disk.fail({ operation: 'write', times: Number.POSITIVE_INFINITY });
    t.true(
      hasCode(
        t.throws(() => file.writeSync(new Uint8Array(1), 0)),
        'WRITE_FAILED',
      ),
    );
    host.disk.heal();
    t.notThrows(() => file.writeSync(new Uint8Array(1), 0));
  });
});

test('a full disk takes what fits, says DISK_FULL, and recovers when something is removed', async (t) => {
  await scenario(1, async (host) => {
    const { storage, disk } = host;
    disk.capacityBytes = 10 * 4096;
    const big = await storage.open('big', 'create');
    await big.write([new Uint8Array(6 * 4096)], 0);
    t.is(await storage.freeBytes(), 4 * 4096);
    const file = await storage.open('f', 'create');
    t.true(hasCode(await t.throwsAsync(file.write([new Uint8Array(5 * 4096).fill(1)], 0)), 'DISK_FULL'));
    t.is(file.sizeBytes(), 4 * 4096);
    t.notThrows(() => file.writeSync(new Uint8Array(4096).fill(2), 0));
    t.true(
      hasCode(
        t.throws(() => file.writeSync(new Uint8Array(1), 4 * 4096)),
        'DISK_FULL',
      ),
    );
    await storage.remove('big');
    t.is(await storage.freeBytes(), 0);
    await big.close();
    t.is(await storage.freeBytes(), 6 * 4096);
    t.notThrows(() => file.writeSync(new Uint8Array(1), 4 * 4096));
    await file.truncate(4096);
    await file.sync();
    t.is(await storage.freeBytes(), 9 * 4096);
  });
});
