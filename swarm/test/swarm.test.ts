/** Hosts in memory: they meet, prove themselves, share disks, ask and answer. */
import { hasCode, PAGE_BYTES } from '@diskswarm/core';
import test from 'ava';
import { TestClock, TestRandom } from './helpers/test-clock.ts';
import {
  chunkOf,
  generationOne,
  offered,
  piece,
  rootOne,
  runs,
  TestDisk,
  TestHost,
  type TestMembership,
} from './helpers/test-host.ts';
import { TestNetwork } from './helpers/test-network.ts';

interface World {
  readonly clock: TestClock;
  readonly random: TestRandom;
  readonly network: TestNetwork;
  host(name: string, limits?: { uploadBytesPerSecond?: number; downloadBytesPerSecond?: number }): Promise<TestHost>;
}

function makeWorld(seed = 1): World {
  const clock = new TestClock();
  const random = new TestRandom(seed);
  const network = new TestNetwork(clock, random);
  return {
    clock,
    random,
    network,
    host: async (name, limits) => {
      const host = new TestHost(network.transport(name), clock, random, limits);
      await host.swarm.start({ listen: `${name}:1` });
      return host;
    },
  };
}

interface Pair {
  readonly world: World;
  readonly home: TestHost;
  readonly office: TestHost;
  readonly disk: TestDisk;
  readonly atHome: TestMembership;
  readonly atOffice: TestMembership;
}

/** Home serves generation one (all pieces), office has dialled it. */
async function connected(pieces = 100, limits = {}): Promise<Pair> {
  const world = makeWorld();
  const home = await world.host('home', limits);
  const office = await world.host('office');
  const disk = new TestDisk(home.id, world.random);
  disk.grant(office.id);
  const atHome = home.join(disk);
  const atOffice = office.join(disk);
  atHome.server = {
    readPiece: async (_generation, index) => chunkOf(index, 65_536),
    readPath: async (_root, _piece, fromLevel) =>
      Array.from({ length: fromLevel + 1 }, () => new Uint8Array(PAGE_BYTES).fill(9)),
  };
  office.swarm.addPeerAddress(disk.genesis.disk, 'home:1', 'peer');
  await world.clock.until(() => atHome.ready.length > 0 && atOffice.ready.length > 0);
  atHome.ready[0]?.openGeneration(offered(pieces));
  await world.clock.until(() => atOffice.generations.length > 0);
  return { world, home, office, disk, atHome, atOffice };
}

test('two hosts meet: a generation, claims, a piece, a path, a trace, a hand-over message', async (t) => {
  const { world, home, office, atHome, atOffice } = await connected();
  const channel = atOffice.ready[0]!;
  t.is(channel.host, home.id);
  t.is(channel.address, 'home:1');
  t.deepEqual(channel.lanes, ['control', 'bulk']);
  t.deepEqual(atOffice.generations, [offered(100)]);

  atHome.ready[0]!.sendClaims(generationOne, runs([0, 90]), runs([90, 100]));
  atHome.ready[0]!.sendTrace(generationOne, Uint8Array.of(5, 6));
  atHome.ready[0]!.sendOwnership(Uint8Array.of(7));
  const fault = channel.request({ generation: generationOne, piece: piece(3), lane: 'control' });
  const bulk = channel.request({ generation: generationOne, piece: piece(99), lane: 'bulk' });
  const pages = channel.requestPath({ root: rootOne, piece: piece(3), fromLevel: 1 });
  await world.clock.until(() => atOffice.pieces.length === 2 && atOffice.traces.length === 1);
  t.deepEqual(
    new Map(atOffice.pieces.map(({ token, bytes }) => [token, bytes[0]])),
    new Map([
      [fault!, 3],
      [bulk!, 99],
    ]),
  );
  t.is((await pages)?.length, 2);
  t.deepEqual(atOffice.claims, [{ generation: generationOne, has: runs([0, 90]), lacks: runs([90, 100]) }]);
  t.deepEqual(atOffice.traces, [Uint8Array.of(5, 6)]);
  t.deepEqual(atOffice.ownership, [Uint8Array.of(7)]);
  t.is(channel.received.totalBytes, 2 * 65_536);
  t.is(atHome.ready[0]!.sent.totalBytes, 2 * 65_536);
  t.true(channel.rttUs! > 0);
  t.deepEqual(
    office.swarm.peers().map(({ host, lanes }) => [host, lanes]),
    [[home.id, ['control', 'bulk']]],
  );
  t.deepEqual(home.misbehaviour.concat(office.misbehaviour), []);
});
