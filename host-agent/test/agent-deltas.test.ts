/** Two agents on a simulated network: what changed travels as what differs, and what changed again before it came is not sent. */
import { createSimulation, withSimulatedGlobals } from '@diskswarm/sim';
import test, { type ExecutionContext } from 'ava';
import type { ManagedDisk } from '../src/agent/managed-disk.ts';
import type { OneHost } from './support/agent.ts';

interface Two {
  readonly home: OneHost;
  readonly office: OneHost;
  /** The disk at home, where its guest writes, and at office. */
  readonly disk: ManagedDisk;
  readonly copy: ManagedDisk;
}

const never = { signal: new AbortController().signal };

/** Home writes a disk that office, a member, has all of. */
function twoHosts(title: string, seed: number, run: (t: ExecutionContext, two: Two) => Promise<void>): void {
  test(title, async (t) => {
    const simulation = createSimulation(seed);
    await withSimulatedGlobals(simulation, async () => {
      const { OneHost } = await import('./support/agent.ts');
      await simulation.run(async () => {
        const home = new OneHost(simulation);
        const office = new OneHost(simulation, 'office');
        await home.agent.start();
        await office.agent.start();
        const disk = await home.import((piece) => 1 + (piece % 200));
        const copy = await office.join();
        await copy.changed.until(() => copy.content.head !== null, never);
        await copy.completion.complete(never);
        await home.attach();
        await run(t, { home, office, disk, copy });
        await office.agent.stop();
        await home.agent.stop();
      });
    });
  });
}

const packing = (of: ManagedDisk) => of.peers.links()[0]!.channel.packing;

/** Seals what home wrote; resolves when office knows it. */
async function sealed({ disk, copy }: Two, { transient = false } = {}): Promise<string> {
  const { generation } = await disk.seal({ ...never, transient });
  await copy.changed.until(() => copy.content.head?.subject.generation === generation.id, never);
  return generation.id;
}

async function written({ home }: Two, pieces: number, fill: number): Promise<void> {
  for (let piece = 0; piece < pieces; piece++) await home.write(piece, fill);
}

twoHosts('a block that a guest wrote moves alone, generation after generation', 1, async (t, two) => {
  const { disk, copy, office } = two;
  for (const fill of [0xe1, 0xe2]) {
    await written(two, 10, fill);
    await sealed(two);
    await copy.completion.complete(never);
  }
  const { deltas } = packing(copy).received;
  t.is(deltas.count, 20);
  t.true(deltas.bytes < 20 * 4200, `${deltas.bytes} bytes for 20 blocks of 4 KiB`);
  t.is(deltas.bytes + deltas.savedBytes, 20 * 16_384);
  t.deepEqual(packing(disk).sent.deltas, deltas);
  await office.attach(true);
  for (let piece = 0; piece < 10; piece++) {
    const content = await office.read(piece, 16_384);
    t.true(content.subarray(0, 4096).every((byte) => byte === 0xe2));
    t.true(content.subarray(4096).every((byte) => byte === 1 + piece));
  }
});

twoHosts('a guest that waits for a chunk gets it as a delta too', 2, async (t, two) => {
  const { office, copy } = two;
  await written(two, 3, 0xe3);
  await sealed(two);
  await office.attach(true);
  t.deepEqual(await office.read(2), new Uint8Array(16).fill(0xe3));
  const { deltas } = packing(copy).received;
  t.is(deltas.count, 1);
});

twoHosts(
  'a chunk written again before it was sent is not sent twice; what was under way is taken back',
  3,
  async (t, two) => {
    const { home, disk, copy } = two;
    // 20 Mbit/s: the 100 blocks of a round take about a sixth of a second.
    home.simulation.network.setRates('home', { upBytesPerSecond: 2_500_000 });
    const asked = new Map<string, number>();
    const { server } = disk.peers;
    const read = server.readPiece.bind(server);
    server.readPiece = (generation, ...rest) => {
      asked.set(generation, (asked.get(generation) ?? 0) + 1);
      return read(generation, ...rest);
    };
    await written(two, 100, 0xa1);
    const first = await sealed(two, { transient: true });
    const complete = copy.completion.complete(never);
    await written(two, 100, 0xa2);
    const second = await sealed(two, { transient: true });
    const ofFirst = asked.get(first) ?? 0;
    await complete;
    const [left, came] = [packing(disk).sent.deltas.count, packing(copy).received.deltas.count];
    t.log(`${ofFirst} chunks of the first round were read, ${left - 100} left, ${came - 100} came in time`);
    t.is(asked.get(second), 100);
    t.is(asked.get(first), ofFirst, 'nothing of the round before is read any more');
    t.true(left < 150, 'most of the round before was never sent, and what was taken back does not count');
    t.true(came >= 100 && came <= left);
  },
);
