/** Two ways to one host, one of them through a third: which is kept, and what becomes of what was under way. */
import type { Address } from '@diskswarm/core';
import test from 'ava';
import { relayAddressOf } from '../src/index.ts';
import type { StreamHandlers } from '../src/streams.ts';
import { generationOne, offered, piece, TestDisk } from './helpers/test-host.ts';
import { connectedPair, World } from './helpers/world.ts';

const DETOUR_KEPT_MS = 600_000;

/** Two hosts that both know a way to each other through a third; nothing is dialled yet. */
async function twoHosts(seed: number) {
  const world = new World(seed);
  const home = await world.host('home');
  const office = await world.host('office');
  const disk = new TestDisk(home.id, world.random);
  disk.grant(office.id);
  const [atHome, atOffice] = [home.join(disk), office.join(disk)];
  const detour = { home: relayAddressOf(home.id), office: relayAddressOf(office.id) };
  world.network.detours.set(detour.home, { listener: 'home:1', seenAs: detour.office });
  world.network.detours.set(detour.office, { listener: 'office:1', seenAs: detour.home });
  const add = (host: typeof home, address: Address): void =>
    host.swarm.addPeerAddress(disk.genesis.disk, address, 'dht');
  /** Addresses of the sessions, as office and home see them. */
  const ways = (): (string | undefined)[][] =>
    [office, home].map(({ swarm }) => swarm.peers().map(({ address }) => address));
  const shared = (): boolean => atHome.ready.length === 1 && atOffice.ready.length === 1;
  return { world, home, office, atHome, atOffice, detour, add, ways, shared };
}

const quiet = (): StreamHandlers => ({
  onData: () => undefined,
  onDrain: () => undefined,
  onEnd: () => undefined,
  onClose: () => undefined,
});

test('a direct way replaces one through a third host, whoever finds it, and one session is left', async (t) => {
  for (const seed of [1, 2, 3, 4]) {
    const { world, home, office, atOffice, detour, add, ways, shared } = await twoHosts(seed);
    add(office, detour.home);
    t.true(await world.clock.until(shared));
    t.deepEqual(ways(), [[detour.home], [detour.office]]);
    const finder = seed % 2 === 0 ? home : office;
    add(finder, finder === home ? 'office:1' : 'home:1');
    t.true(await world.clock.until(() => shared() && ways()[0]![0] === 'home:1'));
    t.deepEqual(ways(), [['home:1'], ['office:1']]);
    const before = world.network.dials;
    await world.clock.advance(120_000);
    t.deepEqual(ways(), [['home:1'], ['office:1']]);
    t.is(world.network.dials, before, 'nobody looks for another way');
    t.is(atOffice.closed.length, 1);
    t.deepEqual(home.misbehaviour.concat(office.misbehaviour), []);
  }
});

test('who finds the direct way at both ends at once, or with the other one, ends with it alone', async (t) => {
  for (const seed of [1, 2, 3, 4, 5, 6]) {
    const { world, home, office, detour, add, ways, shared } = await twoHosts(seed);
    if (seed % 2 === 0) {
      add(office, detour.home);
      t.true(await world.clock.until(shared));
      add(office, 'home:1');
      add(home, 'office:1');
    } else {
      add(office, detour.home);
      add(home, detour.office);
      await world.clock.advance(seed);
      add(seed % 3 === 0 ? home : office, seed % 3 === 0 ? 'office:1' : 'home:1');
    }
    await world.clock.advance(30_000);
    t.deepEqual(ways(), [['home:1'], ['office:1']], `${seed}`);
    t.true(shared(), `${seed}`);
  }
});

test('a session with an open stream stays; when the stream is over, the direct way is taken', async (t) => {
  const { world, home, office, detour, add, ways, shared } = await twoHosts(1);
  home.onStream = quiet;
  add(office, detour.home);
  t.true(await world.clock.until(() => shared() && office.swarm.peers()[0]!.lanes.length === 3));
  let cut = false;
  const stream = office.swarm.openStream(home.id, 'move', () => ({
    ...quiet(),
    onClose: () => {
      cut = true;
    },
  }));
  await world.clock.advance(1_000);
  add(office, 'home:1');
  add(home, 'office:1');
  await world.clock.advance(60_000);
  t.deepEqual(ways(), [[detour.home], [detour.office]]);
  t.false(cut);
  stream.destroy();
  await world.clock.advance(1_000);
  // The next look at addresses.
  add(office, 'home:2');
  t.true(await world.clock.until(() => shared() && ways()[0]![0] === 'home:1', 120_000));
});

test('a session that something depends on stays at either end, until nothing does', async (t) => {
  for (const seed of [1, 2]) {
    const { world, home, office, atOffice, detour, add, ways, shared } = await twoHosts(seed);
    add(office, detour.home);
    t.true(await world.clock.until(shared));
    const letGo = [office.swarm.keepWay(home.id), office.swarm.keepWay(home.id), home.swarm.keepWay(office.id)];
    add(office, 'home:1');
    add(home, 'office:1');
    await world.clock.advance(60_000);
    t.deepEqual(ways(), [[detour.home], [detour.office]]);
    const [first, ...others] = letGo;
    first!();
    first!();
    await world.clock.advance(60_000);
    t.deepEqual(ways(), [[detour.home], [detour.office]], 'one of two lets go, twice');
    t.is(atOffice.closed.length, 0);
    for (const each of others) each();
    t.true(await world.clock.until(() => shared() && ways()[0]![0] === 'home:1', 5_000), 'without another address');
  }
});

test('a host that comes back is let in, whatever depended on the session it lost', async (t) => {
  const { world, home, office, detour, add, ways, shared } = await twoHosts(1);
  add(office, detour.home);
  t.true(await world.clock.until(shared));
  home.swarm.keepWay(office.id);
  // As a host whose session broke without a word to the other one.
  office.swarm.ban(home.id, 1, 'none');
  office.swarm.unban(home.id);
  t.true(await world.clock.until(shared, 60_000));
  t.deepEqual(ways(), [[detour.home], [detour.office]]);
});

test('a limit of the link to a host holds on the way that replaces the one it was set on', async (t) => {
  const pair = await connectedPair({ pieces: 400 });
  const { home, office, atHome, atOffice, world } = pair;
  home.swarm.splitLink(office.id, { bytesPerSecond: 100_000, backgroundPart: 0.5 });
  office.swarm.ban(home.id, 1, 'none');
  office.swarm.unban(home.id);
  t.true(
    await world.clock.until(
      () => atOffice.closed.length === 1 && [atHome, atOffice].every(({ ready }) => ready.length === 1),
      60_000,
    ),
  );
  atHome.ready[0]!.openGeneration(offered(400));
  t.true(await world.clock.until(() => atOffice.generations.length === 2));
  const before = atOffice.pieces.length;
  for (let index = 0; index < 400; index++)
    atOffice.ready[0]!.request({ generation: generationOne, piece: piece(index), lane: 'bulk' });
  await world.clock.advance(10_000);
  const bytes = (atOffice.pieces.length - before) * 65_536;
  t.true(bytes > 500_000 && bytes < 1_600_000, `${bytes} bytes in ten seconds`);
});

test('a direct way that breaks before it carries anything is not taken again at once', async (t) => {
  const { world, office, detour, add, ways, shared } = await twoHosts(1);
  add(office, detour.home);
  t.true(await world.clock.until(shared));
  world.network.cutAddress = 'home:1';
  add(office, 'home:1');
  await world.clock.until(() => world.network.cuts > 0);
  t.true(await world.clock.until(() => shared() && ways()[0]![0] === detour.home, 60_000), 'back on the way it had');
  const { cuts } = world.network;
  await world.clock.advance(DETOUR_KEPT_MS / 2);
  t.is(world.network.cuts, cuts);
  t.deepEqual(ways()[0], [detour.home]);
});
