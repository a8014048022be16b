/** Two agents on a simulated network: what an older generation shows can be had for as long as somebody shows it. */
import { createSimulation, withSimulatedGlobals } from '@diskswarm/sim';
import test from 'ava';

test('a read-only export of an older generation gets its chunks from hosts that connect later', async (t) => {
  const simulation = createSimulation(1);
  await withSimulatedGlobals(simulation, async () => {
    const { never, OneHost } = await import('./support/agent.ts');
    await simulation.run(async () => {
      const home = new OneHost(simulation);
      const office = new OneHost(simulation, 'office');
      await home.agent.start();
      await office.agent.start();
      const disk = await home.import((piece) => 1 + (piece % 200));
      const joined = await office.join();
      await joined.changed.until(() => joined.content.head !== null, never);
      await office.attach(true);
      t.deepEqual(await office.read(3), new Uint8Array(16).fill(4));
      await home.attach();
      await home.write(7, 0xee);
      const { generation } = await disk.seal(never);
      await joined.changed.until(() => joined.content.head?.subject.generation === generation.id, never);
      t.deepEqual(await office.read(4), new Uint8Array(16).fill(5));
      await office.restart();
      t.is(office.attachment.spec.mode, 'read-only');
      for (const piece of [5, 7, 299])
        t.deepEqual(await office.read(piece), new Uint8Array(16).fill(1 + (piece % 200)));
      await office.agent.stop();
      await home.agent.stop();
    });
  });
});
