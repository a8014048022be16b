/** What the background leaves to others on this host's line (virtual time): short queues, room for whoever needs it, no waste. */
import test from 'ava';
import { generationOne, offered, piece, TestDisk, type TestMembership } from './helpers/test-host.ts';
import { serveAll, World } from './helpers/world.ts';

const CHUNK = 65_536;
/** 20 Mbit/s. */
const SLOW = 2_500_000;
const READERS = 4;

/** Home serves four hosts that ask for all they can, with no bound of their own. */
async function manyReaders(): Promise<{ world: World; arrived(): number; rttMs(): number; fault(): Promise<number> }> {
  const world = new World();
  const home = await world.host('home');
  const disk = new TestDisk(home.id, world.random);
  const readers = [];
  for (let index = 0; index < READERS; index++) readers.push(await world.host(`reader-${index}`));
  for (const reader of readers) disk.grant(reader.id);
  const atHome = home.join(disk);
  serveAll(atHome);
  const there: TestMembership[] = readers.map((reader) => reader.join(disk));
  for (const reader of readers) reader.swarm.addPeerAddress(disk.genesis.disk, 'home:1', 'peer');
  await world.clock.until(() => atHome.ready.length === READERS);
  for (const channel of atHome.ready) channel.openGeneration(offered(4000));
  await world.clock.until(() => there.every(({ generations }) => generations.length > 0));
  Object.assign(world.network.link('home'), { rate: SLOW, delayMs: 10 });
  let asked = 0;
  let before = 0;
  const count = (): number => there.reduce((sum, { pieces }) => sum + pieces.length, 0);
  const askMore = (): void => {
    for (; asked < count() / READERS + 100 && asked < 3900; asked++)
      for (const { ready } of there)
        ready[0]!.request({ generation: generationOne, piece: piece(asked), lane: 'bulk' });
    world.clock.setTimer(100, askMore);
  };
  askMore();
  return {
    world,
    arrived: () => {
      const since = (count() - before) * CHUNK;
      before = count();
      return since;
    },
    rttMs: () => Math.max(...home.swarm.peers().map(({ rttUs }) => (rttUs ?? 0) / 1000)),
    fault: async () => {
      const since = world.clock.nowUs();
      const token = there[0]!.ready[0]!.request({ generation: generationOne, piece: piece(3950), lane: 'control' });
      await world.clock.until(() => there[0]!.pieces.some((each) => each.token === token));
      return (world.clock.nowUs() - since) / 1000;
    },
  };
}

test('a host that serves many uses its line and keeps the queue in it short', async (t) => {
  const { world, arrived, rttMs, fault } = await manyReaders();
  await world.clock.advance(5_000);
  arrived();
  await world.clock.advance(10_000);
  const bytes = arrived();
  t.true(bytes > 0.85 * 10 * SLOW, `${bytes / (10 * SLOW)} of the line`);
  // Without a pace the four lanes keep 210 ms in the line.
  t.true(rttMs() < 190, `${rttMs()} ms`);
  const ms = await fault();
  t.true(ms < 200, `a fault took ${ms} ms`);
});

test('the background makes way for what else leaves by the line, and takes it back when that ends', async (t) => {
  const { world, arrived } = await manyReaders();
  await world.clock.advance(5_000);
  // Somebody's upload that keeps 200 ms of the line's queue filled, as TCP would.
  const link = world.network.link('home');
  let sending = true;
  const fill = (): void => {
    if (!sending) return;
    const now = world.clock.nowUs();
    link.busyUntilUs = Math.max(link.busyUntilUs, now + 200_000);
    world.clock.setTimer(10, fill);
  };
  fill();
  await world.clock.advance(10_000);
  arrived();
  await world.clock.advance(10_000);
  const beside = arrived();
  t.true(beside < 0.2 * 10 * SLOW, `${beside / (10 * SLOW)} of the line beside another upload`);
  t.true(beside > 0, 'it goes on');
  sending = false;
  await world.clock.advance(10_000);
  arrived();
  await world.clock.advance(5_000);
  const after = arrived();
  t.true(after > 0.8 * 5 * SLOW, `${after / (5 * SLOW)} of the line afterwards`);
});
