/** The metadata table over power cuts, full disks and rewrites: whole changes, or none. */
import { createSimulation } from '@diskswarm/sim';
import test from 'ava';
import { MetaTable } from '../src/agent/meta-table.ts';

const bytes = (text: string): Uint8Array => Buffer.from(text);
const text = (value: Uint8Array | null): string | null => (value === null ? null : Buffer.from(value).toString());

test('what was committed survives a power cut, several keys together or not at all', async (t) => {
  for (let stop = 0; stop < 40; stop++) {
    const simulation = createSimulation(stop + 1);
    await simulation.run(async () => {
      const host = simulation.host('home');
      const table = await MetaTable.open(host.storage, 'meta.journal');
      await host.storage.syncFolder('');
      host.disk.stopAfter(stop, 'power cut');
      let committed = -1;
      const work = (async () => {
        for (let round = 0; round < 5; round++) {
          await table.commit({
            'a/left': bytes(`${round}`),
            'a/right': bytes(`${round}`),
            [`b/${round}`]: bytes('x'),
            [`b/${round - 1}`]: null,
          });
          committed = round;
        }
      })().catch(() => {});
      await Promise.race([work, new Promise<void>((resolve) => simulation.clock.setTimer(60_000, resolve))]);
      host.disk.heal();
      host.powerCut();
      const again = await MetaTable.open(host.storage, 'meta.journal');
      t.is(text(again.get('a/left')), text(again.get('a/right')));
      const found = Number(text(again.get('a/left')) ?? -1);
      t.true(found >= committed, `${found} after ${committed} was committed`);
      t.deepEqual(again.keys('b/'), found < 0 ? [] : [`b/${found}`]);
    });
  }
});

test('on a full disk a change within the reserve is taken, and the caller is told so', async (t) => {
  const simulation = createSimulation(2);
  await simulation.run(async () => {
    const { disk, storage } = simulation.host('home');
    const table = await MetaTable.open(storage, 'meta.journal');
    await storage.syncFolder('');
    await table.commit({ before: Buffer.from('1') });
    disk.capacityBytes -= disk.freeBytes;
    // Beyond the slack of the reserve's last block.
    for (let index = 0; index < 5; index++) await table.commit({ [`key ${index}`]: new Uint8Array(64 * 1024) });
    simulation.host('home').powerCut();
    const again = await MetaTable.open(simulation.host('home').storage, 'meta.journal');
    t.is(again.keys('key').length, 5);
  });
});

test('changes that come while the journal is rewritten are taken too', async (t) => {
  const simulation = createSimulation(3);
  await simulation.run(async () => {
    const table = await MetaTable.open(simulation.host('home').storage, 'meta.journal');
    await Promise.all(
      Array.from({ length: 60 }, (_, index) =>
        table.commit({ same: new Uint8Array(512 * 1024), [`key ${index}`]: new Uint8Array(1) }),
      ),
    );
    t.is(table.keys('key').length, 60);
    await table.close();
  });
});

test('hints leave the reserve of a full disk to what must be recorded', async (t) => {
  const simulation = createSimulation(4);
  await simulation.run(async () => {
    const { disk, storage } = simulation.host('home');
    const table = await MetaTable.open(storage, 'meta.journal');
    const large = new Uint8Array(150 * 1024);
    await table.commitHint({ hint: large });
    await table.commit({ another: large });
    await table.commitHint({ hint: bytes('newer') });
    disk.capacityBytes -= disk.freeBytes;
    await table.commit({ needed: large });
    for (let round = 0; round < 10; round++) {
      t.is((await t.throwsAsync<Error & { code: string }>(table.commitHint({ hint: large })))?.code, 'DISK_FULL');
    }
    await table.commit({ 'needed too': large });
    t.is(text(table.get('hint')), 'newer');
    disk.capacityBytes = 2 ** 40;
    await table.commit({ room: bytes('again') });
    await t.notThrowsAsync(table.commitHint({ hint: large }));
  });
});
