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
          await table.commit({ 'a/left': bytes(`${round}`), 'a/right': bytes(`${round}`), [`b/${round}`]: bytes('x'), [`b/${round - 1}`]: null });
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
