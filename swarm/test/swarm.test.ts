/** Hosts in memory: they meet, share disks, ask, answer, give up, come back. */
import { type GenerationId, hasCode } from '@diskswarm/core';
import test from 'ava';
import { chunkOf, generationOne, offered, piece, rootOne, runs, TestDisk } from './helpers/test-host.ts';
import { connectedPair, serveAll, World } from './helpers/world.ts';

test('two hosts meet: a generation, claims, a piece, a path, a trace, a hand-over message', async (t) => {
  const { world, home, office, atHome, atOffice } = await connectedPair();
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
    new Map(atOffice.pieces.map(({ token, bytes }) => [token, bytes])),
    new Map([
      [fault!, new Uint8Array(chunkOf(3, 65_536))],
      [bulk!, new Uint8Array(chunkOf(99, 65_536))],
    ]),
  );
  t.is((await pages)?.length, 2);
  t.deepEqual(atOffice.claims, [{ generation: generationOne, has: runs([0, 90]), lacks: runs([90, 100]) }]);
  t.deepEqual(atOffice.traces, [Uint8Array.of(5, 6)]);
  t.deepEqual(atOffice.ownership, [Uint8Array.of(7)]);
  t.is(channel.received.totalBytes, 2 * 65_536);
  t.true(channel.received.bytesPerSecond > 0);
  t.is(atHome.ready[0]!.sent.totalBytes, 2 * 65_536);
  t.true(channel.rttUs! > 0);
  t.deepEqual(
    office.swarm.peers().map(({ host, lanes }) => [host, lanes]),
    [[home.id, ['control', 'bulk', 'memory']]],
  );
  t.deepEqual(home.misbehaviour.concat(office.misbehaviour), []);
});

test('the side that was dialled asks as well, also about a generation the other opened', async (t) => {
  const { world, atHome, atOffice } = await connectedPair();
  serveAll(atOffice);
  t.true(atHome.ready[0]!.knows(generationOne));
  t.truthy(atHome.ready[0]!.request({ generation: generationOne, piece: piece(1), lane: 'control' }));
  const other = '02'.repeat(32) as GenerationId;
  atOffice.ready[0]!.openGeneration(offered(50, other));
  await world.clock.until(() => atHome.generations.length === 1);
  t.truthy(atHome.ready[0]!.request({ generation: other, piece: piece(49), lane: 'bulk' }));
  t.true(await world.clock.until(() => atHome.pieces.length === 2));
});

test('what cannot be asked is not: unknown generation, piece beyond its end, asked already', async (t) => {
  const { atOffice } = await connectedPair();
  const channel = atOffice.ready[0]!;
  const ask = (index: number, generation = generationOne): number | null =>
    channel.request({ generation, piece: piece(index), lane: 'control' });
  t.is(ask(0, '0f'.repeat(32) as GenerationId), null);
  t.is(ask(100), null);
  t.truthy(ask(99));
  t.is(ask(99), null);
  t.truthy(channel.request({ generation: generationOne, piece: piece(99), lane: 'bulk' }));
});

test('a piece that is not served, or cannot be read, is rejected; so is a path', async (t) => {
  const { world, atHome, atOffice } = await connectedPair();
  atHome.server = { ...atHome.server, readPiece: async () => null, readPath: async () => null };
  const channel = atOffice.ready[0]!;
  const token = channel.request({ generation: generationOne, piece: piece(0), lane: 'control' })!;
  const pages = channel.requestPath({ root: rootOne, piece: piece(0), fromLevel: 0 });
  t.true(await world.clock.until(() => atOffice.rejected.length === 1));
  t.deepEqual(atOffice.rejected, [token]);
  t.is(await pages, null);
  t.is(channel.outstanding, 0);
});

test('cancel: what waits is never read, what was read never told, and the piece can be asked for again', async (t) => {
  const { world, atHome, atOffice } = await connectedPair();
  const read: number[] = [];
  const gate = Promise.withResolvers<void>();
  atHome.server = {
    ...atHome.server,
    readPiece: async (_generation, index) => {
      read.push(index);
      await gate.promise;
      return chunkOf(index, 65_536);
    },
  };
  const channel = atOffice.ready[0]!;
  const tokens = Array.from(
    { length: 20 },
    (_, index) => channel.request({ generation: generationOne, piece: piece(index), lane: 'bulk' })!,
  );
  await world.clock.until(() => read.length > 0);
  for (const token of tokens) channel.cancel(token);
  channel.cancel(12_345);
  const again = channel.request({ generation: generationOne, piece: piece(19), lane: 'bulk' });
  await world.clock.advance(100);
  gate.resolve();
  await world.clock.advance(1000);
  t.true(read.length < 10);
  t.deepEqual(
    atOffice.pieces.map(({ token }) => token),
    [again!],
  );
  t.is(channel.outstanding, 0);
  t.deepEqual(atOffice.rejected, []);
});

test('a path request that is given up leaves no trace, and its late answer is no offence', async (t) => {
  const { world, office, atHome, atOffice } = await connectedPair();
  const gate = Promise.withResolvers<null>();
  atHome.server = { ...atHome.server, readPath: () => gate.promise };
  const abort = new AbortController();
  const pages = atOffice.ready[0]!.requestPath(
    { root: rootOne, piece: piece(0), fromLevel: 0 },
    { signal: abort.signal },
  );
  await world.clock.advance(50);
  abort.abort();
  t.true(hasCode(await t.throwsAsync(pages), 'ABORTED'));
  gate.resolve(null);
  await world.clock.advance(100);
  t.deepEqual(office.misbehaviour, []);
  t.is(atOffice.ready.length, 1);
});

test('disks come and go on a session, whichever side gets them first', async (t) => {
  const { world, home, office, disk, atOffice } = await connectedPair();
  const second = new TestDisk(home.id, world.random);
  second.grant(office.id);
  const third = new TestDisk(office.id, world.random);
  third.grant(home.id);
  const secondAtHome = home.join(second);
  await world.clock.advance(100);
  const secondAtOffice = office.join(second);
  const thirdAtOffice = office.join(third);
  await world.clock.advance(100);
  const thirdAtHome = home.join(third);
  const shared = [secondAtHome, secondAtOffice, thirdAtHome, thirdAtOffice];
  t.true(await world.clock.until(() => shared.every(({ ready }) => ready.length === 1)));
  t.is(world.network.dials, 3);

  home.swarm.removeDisk(disk.genesis.disk);
  t.true(await world.clock.until(() => atOffice.closed.length === 1));
  t.is(atOffice.closed[0]!.kind, 'shut');
  t.is(secondAtOffice.ready.length, 1);
  home.join(disk);
  t.true(await world.clock.until(() => atOffice.ready.length === 1));
});

test('two hosts that dial each other end with one session', async (t) => {
  for (let seed = 1; seed <= 5; seed++) {
    const world = new World(seed);
    const home = await world.host('home');
    const office = await world.host('office');
    const disk = new TestDisk(home.id, world.random);
    disk.grant(office.id);
    const atHome = home.join(disk);
    const atOffice = office.join(disk);
    home.swarm.addPeerAddress(disk.genesis.disk, 'office:1', 'tracker');
    office.swarm.addPeerAddress(disk.genesis.disk, 'home:1', 'tracker');
    await world.clock.advance(20_000);
    t.is(atHome.ready.length, 1);
    t.is(atOffice.ready.length, 1);
    const [fromHome] = home.swarm.peers();
    const [fromOffice] = office.swarm.peers();
    t.is(fromHome!.initiator, !fromOffice!.initiator);
    t.is(fromHome!.initiator, home.id < office.id);
  }
});

test('a host that is told of many others at once meets all of them, without anything else having to happen', async (t) => {
  const others = 24;
  const world = new World();
  const home = await world.host('home');
  const disk = new TestDisk(home.id, world.random);
  const names = Array.from({ length: others }, (_, index) => `lab${index}`);
  const labs = [];
  for (const name of names) labs.push(await world.host(name));
  for (const lab of labs) disk.grant(lab.id);
  for (const lab of labs) lab.join(disk);
  const atHome = home.join(disk);
  for (const name of names) home.swarm.addPeerAddress(disk.genesis.disk, `${name}:1`, 'peer');
  await world.clock.until(() => atHome.ready.length === others, 10_000);
  t.is(atHome.ready.length, others);
});

test('a lost connection comes back, and what waited is told', async (t) => {
  const { world, atHome, atOffice } = await connectedPair();
  atHome.server = { ...atHome.server, readPiece: () => new Promise(() => {}) };
  const channel = atOffice.ready[0]!;
  channel.request({ generation: generationOne, piece: piece(0), lane: 'control' });
  const pages = channel.requestPath({ root: rootOne, piece: piece(0), fromLevel: 0 });
  world.network.cutAll();
  const told = t.throwsAsync(pages, { message: /gone/ });
  t.true(await world.clock.until(() => atOffice.closed.length === 1 && atHome.closed.length === 1));
  await told;
  t.is(atOffice.closed[0]!.kind, 'session');
  t.false(channel.ready);
  t.is(channel.request({ generation: generationOne, piece: piece(0), lane: 'control' }), null);
  t.true(await world.clock.until(() => atHome.ready.length === 1 && atOffice.ready.length === 1, 10_000));
});

test('an address where nobody is costs few dials, and a host that comes back is found', async (t) => {
  const { world, home, office, disk, atOffice } = await connectedPair();
  await home.swarm.stop();
  await home.swarm.stop();
  await world.clock.until(() => atOffice.closed.length === 1);
  world.network.dials = 0;
  await world.clock.advance(600_000);
  t.true(world.network.dials >= 8 && world.network.dials <= 25, `${world.network.dials}`);
  await home.swarm.start({ listen: 'home:1' });
  t.true(await world.clock.until(() => atOffice.ready.length === 1, 90_000));
  t.is(office.swarm.channels(disk.genesis.disk).length, 1);
});

test('a peer that falls silent is given up', async (t) => {
  const { world, atOffice } = await connectedPair();
  world.network.silence();
  t.true(await world.clock.until(() => atOffice.closed.length === 1, 90_000));
  t.regex(atOffice.closed[0]!.error!.message, /silent/);
});

test('an idle session stays', async (t) => {
  const { world, atHome, atOffice } = await connectedPair();
  await world.clock.advance(600_000);
  t.is(atOffice.closed.length + atHome.closed.length, 0);
});

test('when the indexes of a channel are used up, it is opened anew', async (t) => {
  const { world, atHome, atOffice } = await connectedPair();
  const channel = atHome.ready[0]!;
  const huge = '05'.repeat(32) as GenerationId;
  t.false(channel.openGeneration(offered(2 ** 30, huge)));
  t.is(atHome.closed[0]!.kind, 'renewed');
  t.true(await world.clock.until(() => atHome.ready.length === 1 && atOffice.ready.length === 1));
  t.true(atHome.ready[0]!.openGeneration(offered(2 ** 30, huge)));
  await world.clock.until(() => atOffice.generations.length === 2);
  t.truthy(atOffice.ready[0]!.request({ generation: huge, piece: piece(2 ** 30 - 1), lane: 'control' }));
  t.true(await world.clock.until(() => atOffice.pieces.length === 1));
});

test('a generation with a history that no message has room for arrives with all of it', async (t) => {
  const { world, atHome, atOffice, home, office } = await connectedPair();
  const epochs = Array.from({ length: 3000 }, (_, index) =>
    Uint8Array.from({ length: 450 }, (_byte, at) => index + at),
  );
  const later = { ...offered(100, '06'.repeat(32) as GenerationId), epochs };
  t.true(atHome.ready[0]!.openGeneration(later));
  t.true(await world.clock.until(() => atOffice.generations.length === 2));
  t.deepEqual(atOffice.generations[1]?.epochs, epochs);
  const next = offered(100, '07'.repeat(32) as GenerationId);
  atHome.ready[0]!.openGeneration(next);
  t.true(await world.clock.until(() => atOffice.generations.length === 3));
  t.deepEqual(atOffice.generations[2]?.epochs, next.epochs);
  t.deepEqual(home.misbehaviour.concat(office.misbehaviour), []);
});

test('a host that dials itself notices', async (t) => {
  const world = new World();
  const home = await world.host('home');
  const disk = new TestDisk(home.id, world.random);
  home.join(disk);
  home.swarm.addPeerAddress(disk.genesis.disk, 'home:1', 'peer');
  await world.clock.advance(300_000);
  t.is(world.network.dials, 1);
  t.deepEqual(home.swarm.peers(), []);
});
