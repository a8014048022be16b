/** Two agents on a simulated network: what a guest touched at one is known at the other, which fetches that first. */
import { createSimulation, withSimulatedGlobals } from '@diskswarm/sim';
import test, { type ExecutionContext } from 'ava';
import { DiskTrace } from '../src/agent/disk-trace.ts';
import type { ManagedDisk } from '../src/agent/managed-disk.ts';
import type { OneHost } from './support/agent.ts';

const never = { signal: new AbortController().signal };
const FIRST_BOOT = [250, 3, 120, 121, 7, 9, 200, 11, 1, 299];
const SECOND_BOOT = [30, 31, 32, 33, 34, 35, 36, 37];

function twoHosts(title: string, run: (t: ExecutionContext, home: OneHost, office: OneHost) => Promise<void>): void {
  test(title, async (t) => {
    const simulation = createSimulation(1);
    await withSimulatedGlobals(simulation, async () => {
      const { OneHost } = await import('./support/agent.ts');
      await simulation.run(async () => {
        const [home, office] = [new OneHost(simulation), new OneHost(simulation, 'office')];
        await home.agent.start();
        await office.agent.start();
        await home.import((piece) => 1 + (piece % 200));
        await run(t, home, office);
        await office.agent.stop();
        await home.agent.stop();
      });
    });
  });
}

/** A guest reads these pieces, and is gone. */
async function boot(host: OneHost, pieces: readonly number[], writes = false): Promise<void> {
  await host.attach(!writes);
  for (const piece of pieces) await host.read(piece);
  if (writes) await host.write(0, 0xee);
  if (writes) await host.disk.seal(never);
  await host.disk.detach();
}

function traceAt(host: OneHost, disk: ManagedDisk): readonly number[] {
  return new DiskTrace(host.agent.env.meta, disk.disk).pieces(300);
}

twoHosts('a host that joins after a boot was recorded knows its order', async (t, home, office) => {
  await boot(home, FIRST_BOOT);
  const copy = await office.join();
  await copy.completion.complete(never);
  t.deepEqual(traceAt(office, copy), FIRST_BOOT);
  t.deepEqual(office.warnings, []);
});

twoHosts('a boot that wrote is known with the generation that it made', async (t, home, office) => {
  const copy = await office.join();
  await copy.completion.complete(never);
  await boot(home, SECOND_BOOT, true);
  const made = home.disk.records.head!;
  await copy.changed.until(() => copy.content.head?.subject.generation === made.id, never);
  await copy.completion.complete(never);
  t.deepEqual(traceAt(office, copy).slice(0, SECOND_BOOT.length), SECOND_BOOT);
});

twoHosts(
  'of a newer generation only what changed is fetched, whatever the last boot touched',
  async (t, home, office) => {
    await boot(home, FIRST_BOOT);
    const copy = await office.join();
    await copy.completion.complete(never);
    const { server } = home.disk.peers;
    const read = server.readPiece.bind(server);
    const asked: number[] = [];
    server.readPiece = (generation, piece, ...rest) => {
      asked.push(piece);
      return read(generation, piece, ...rest);
    };
    await home.attach();
    for (const round of [1, 2, 3]) {
      await home.write(5, 0xa0 + round);
      const { generation } = await home.disk.seal({ ...never, transient: true });
      await copy.changed.until(() => copy.content.head?.subject.generation === generation.id, never);
      await copy.completion.complete(never);
    }
    t.deepEqual(asked, [5, 5, 5]);
    await home.disk.detach();
  },
);
