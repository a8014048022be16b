/** Who is let in: everybody else sees the same silence; rosters spread; who breaks rules is kept away. */
import { createHostKeys } from '@diskswarm/identity';
import test, { type ExecutionContext } from 'ava';
import { LANE_DEADLINE_MS } from '../src/limits.ts';
import { RawPeer } from './helpers/raw-peer.ts';
import { generationOne, piece, TestDisk } from './helpers/test-host.ts';
import { connectedPair, serveAll, World } from './helpers/world.ts';

/** The connection was read from and never answered, and ended at the deadline. */
async function sawSilence(t: ExecutionContext, world: World, peer: RawPeer): Promise<void> {
  await world.clock.until(() => peer.closedUs !== null, 30_000);
  t.is(peer.receivedBytes, 0);
  // From the accept (one link delay before the dial returned) to the deadline, and back over the link.
  t.true(Math.abs(peer.livedMs! - LANE_DEADLINE_MS) <= 12, `${peer.livedMs} ms`);
}

test('nothing said, garbage, a foreign secret, half a proof: the same silence, with disks and without', async (t) => {
  const world = new World();
  const home = await world.host('home');
  const empty = await world.host('empty');
  const disk = new TestDisk(home.id, world.random);
  home.join(disk);
  for (const address of ['home:1', 'empty:1']) {
    const attempts: ((peer: RawPeer) => Uint8Array)[] = [
      () => new Uint8Array(0),
      () => new Uint8Array(100_000).fill(0x47),
      (peer) => peer.proof(world.random.bytes(32)),
      (peer) => peer.proof(disk.secret, 'responder'),
      (peer) => peer.proof(disk.secret).subarray(0, 31),
    ];
    for (const bytes of attempts) {
      const peer = (await RawPeer.dial(world, address)).start();
      peer.connection.write([bytes(peer)]);
      await sawSilence(t, world, peer);
    }
  }
  t.deepEqual(empty.swarm.peers(), []);
});

test('behind a true proof: a foreign host, a replayed hello, garbage: silence, and no session', async (t) => {
  const world = new World();
  const home = await world.host('home');
  const disk = new TestDisk(home.id, world.random);
  const member = createHostKeys(world.random);
  disk.grant(member.hostId);
  home.join(disk);
  const stranger = createHostKeys(world.random);
  const foreign = world.random.bytes(32);
  const attempts: ((peer: RawPeer) => Uint8Array)[] = [
    (peer) => peer.hello(stranger),
    (peer) => peer.hello(member, 'control', foreign),
    () => new Uint8Array(3000).fill(255),
    () => Uint8Array.of(0, 0),
    // A bulk lane of a session that does not exist.
    (peer) => peer.hello(member, 'bulk'),
  ];
  for (const [index, bytes] of attempts.entries()) {
    const peer = (await RawPeer.dial(world, 'home:1')).start();
    peer.connection.write([peer.proof(disk.secret)]);
    await world.clock.advance(50);
    const greeted = peer.receivedBytes;
    t.true(greeted > 32);
    peer.connection.write([bytes(peer)]);
    await world.clock.until(() => peer.closedUs !== null, 30_000);
    t.is(peer.receivedBytes, greeted);
    if (index < 4) t.true(Math.abs(peer.livedMs! - LANE_DEADLINE_MS) <= 12);
    t.deepEqual(home.swarm.peers(), []);
  }
});

test('a host that answers without the proof gets nothing but silence either', async (t) => {
  const world = new World();
  const office = await world.host('office');
  const disk = new TestDisk(office.id, world.random);
  office.join(disk);
  let answered: RawPeer | null = null;
  await world.network.transport('home').listen('home:1', (connection) => {
    answered = new RawPeer(world, connection).start();
    connection.write([new Uint8Array(500).fill(3)]);
  });
  office.swarm.addPeerAddress(disk.genesis.disk, 'home:1', 'peer');
  await world.clock.until(() => answered !== null && answered.closedUs !== null, 30_000);
  t.is(answered!.receivedBytes, 32);
  t.deepEqual(office.swarm.peers(), []);
});

test('rosters spread from host to host, and with them who is let in', async (t) => {
  const { world, disk, home, office, atHome, atOffice } = await connectedPair();
  const hotel = await world.host('hotel');
  const old = disk.roster;
  disk.grant(hotel.id);
  atHome.take(disk.roster);
  t.true(await world.clock.until(() => atOffice.roster.sequence === disk.roster.sequence));
  const atHotel = hotel.join(disk);
  hotel.swarm.addPeerAddress(disk.genesis.disk, 'office:1', 'peer');
  t.true(await world.clock.until(() => atHotel.ready.length === 1));
  t.is(atHotel.ready[0]!.host, office.id);

  // A host that was away brings an older roster and leaves with the newer one.
  await hotel.swarm.stop();
  const late = await world.host('late');
  disk.grant(late.id);
  const atLate = late.join(disk);
  atHome.take(disk.roster);
  await world.clock.advance(100);
  t.true(old.sequence < disk.roster.sequence);
  late.swarm.addPeerAddress(disk.genesis.disk, 'home:1', 'peer');
  t.true(await world.clock.until(() => atLate.ready.length === 1));
  t.is(atOffice.roster.sequence, disk.roster.sequence);
  t.deepEqual(home.misbehaviour, []);
});

test('a revoked host hears of it, is served nothing, and cannot come back', async (t) => {
  const { world, disk, home, office, atHome, atOffice } = await connectedPair();
  const channel = atOffice.ready[0]!;
  const served: number[] = [];
  atHome.server = {
    ...atHome.server,
    readPiece: async (_generation, index) => {
      served.push(index);
      return null;
    },
  };
  disk.revoke(office.id);
  atHome.take(disk.roster);
  t.truthy(channel.request({ generation: generationOne, piece: piece(0), lane: 'control' }));
  t.true(await world.clock.until(() => atOffice.closed.length === 1));
  t.is(atOffice.roster.sequence, disk.roster.sequence);
  t.false(atOffice.admits(office.id));
  t.deepEqual(served, []);
  await world.clock.advance(200_000);
  t.deepEqual(home.swarm.peers(), []);
  t.deepEqual(atHome.ready, []);
});

test('a member that was away during a rotation is still met, by its old secret, and catches up', async (t) => {
  const { world, disk, home, office, atHome, atOffice } = await connectedPair();
  const third = createHostKeys(world.random);
  disk.grant(third.hostId);
  atHome.take(disk.roster);
  await world.clock.advance(100);
  await office.swarm.stop();
  await world.clock.advance(100);
  disk.revoke(third.hostId);
  atHome.take(disk.roster);
  t.is(home.swarm.peers().length, 0);
  await office.swarm.start({ listen: 'office:1' });
  t.true(await world.clock.until(() => atOffice.ready.length === 1, 120_000));
  t.is(atOffice.roster.sequence, disk.roster.sequence);
  t.deepEqual(Buffer.from(atOffice.secrets()[0]!), Buffer.from(disk.secret));
});

test('a member that breaks the protocol is cut off and kept away, until its ban ends or is lifted', async (t) => {
  const world = new World();
  const home = await world.host('home');
  const disk = new TestDisk(home.id, world.random);
  const keys = createHostKeys(world.random);
  disk.grant(keys.hostId);
  home.join(disk);
  const attacks: Record<string, Uint8Array> = {
    'a frame of 64 KiB': Uint8Array.of(0, 1, 0xff, 0xff, 0),
    'a channel that nobody opened': Uint8Array.of(0, 9, 0, 0, 1),
    'garbage on channel 0': Uint8Array.of(0, 0, 0, 3, 0, 1, 0x78),
    'an answer that nobody waits for': Buffer.concat([
      Uint8Array.of(0, 0, 0, 30, 0, 29),
      Buffer.from('d7:channeli1e4:kind7:refusede', 'latin1'),
    ]),
  };
  for (const [name, bytes] of Object.entries(attacks)) {
    const peer = await RawPeer.dial(world, 'home:1');
    t.truthy(await peer.prove(keys, disk.genesis.disk, disk.secret), name);
    await world.clock.advance(10);
    peer.connection.write([bytes]);
    t.true(await world.clock.until(() => peer.closedUs !== null, 100), name);
    t.deepEqual(
      home.swarm.bans().map(({ host }) => host),
      [keys.hostId],
      name,
    );
    const again = (await RawPeer.dial(world, 'home:1')).start();
    again.connection.write([again.proof(disk.secret), again.hello(keys)]);
    await world.clock.until(() => again.closedUs !== null, 30_000);
    t.true(Math.abs(again.livedMs! - LANE_DEADLINE_MS) <= 12, name);
    t.true(home.swarm.unban(keys.hostId));
    t.false(home.swarm.unban(keys.hostId));
  }
  t.is(home.misbehaviour.length, Object.keys(attacks).length);
  home.swarm.ban(keys.hostId, 1000, 'for a second');
  await world.clock.advance(1001);
  t.deepEqual(home.swarm.bans(), []);
});

test('a roster that does not verify ends the session', async (t) => {
  const { world, disk, home, atHome, atOffice } = await connectedPair();
  const forged = disk.roster.bytes.slice();
  forged[forged.length - 20]! ^= 1;
  atOffice.ready[0]!.sendRoster(forged);
  t.true(await world.clock.until(() => atHome.closed.length === 1));
  t.is(home.misbehaviour.length, 1);
  t.is(atHome.roster.sequence, disk.roster.sequence);
});

test('the user of a channel can call a peer a liar: it is cut off', async (t) => {
  const { world, home, office, atOffice } = await connectedPair();
  atOffice.ready[0]!.misbehaved('sent wrong bytes');
  t.deepEqual(
    office.swarm.bans().map(({ host, reason }) => [host, reason]),
    [[home.id, 'sent wrong bytes']],
  );
  await world.clock.advance(30_000);
  t.deepEqual(office.swarm.peers(), []);
});

test('a host that never reads is dropped before it fills the memory', async (t) => {
  const { world, home, atHome, atOffice } = await connectedPair();
  serveAll(atHome);
  world.network.link('home').rate = 1000;
  for (let count = 0; count < 200 && atHome.closed.length === 0; count++) {
    atHome.ready[0]!.sendTrace(generationOne, new Uint8Array(200_000));
    await world.clock.advance(1);
  }
  t.is(atHome.closed.length, 1);
  t.is(atHome.closed[0]!.error?.code, 'LIMIT_EXCEEDED');
  t.deepEqual(home.swarm.bans(), []);
  t.is(atOffice.traces.length, 0);
});

test('property: garbage inside a proven channel ends the session or changes nothing; the host goes on', async (t) => {
  let ended = 0;
  for (let seed = 1; seed <= 25; seed++) {
    const { world, home, office, atHome, atOffice } = await connectedPair({ seed });
    const { random } = world;
    const [control, , bulk] = world.network.connections;
    for (let count = 0; count < 5; count++) {
      const body = random.bytes(1 + random.below(60));
      // Mostly a plausible head, so that every layer gets its share: length, kind, index, begin, length.
      const kinds = [0, 1, 2, 3, 4, 5, 6, 7, 8, 13, 14, 16, 17, 20];
      const kind = kinds[random.below(kinds.length)]!;
      const message =
        random.below(4) === 0 ? body : Buffer.concat([Uint8Array.of(0, 0, 0, body.length + 1, kind), body]);
      const channel = random.below(3);
      const head = Uint8Array.of(0, channel, (message.length - 1) >> 8, (message.length - 1) & 255);
      (random.below(2) === 0 ? control : bulk)!.write([head, message]);
      await world.clock.advance(5);
    }
    await world.clock.advance(1000);
    if (atHome.closed.length > 0) {
      ended += 1;
      t.deepEqual([...new Set(home.misbehaviour.map(({ code }) => code))].length, 1);
      home.swarm.unban(office.id);
    }
    t.true(
      await world.clock.until(() => atHome.ready.length === 1 && atOffice.ready.length === 1, 120_000),
      `seed ${seed}`,
    );
  }
  t.true(ended >= 12, `${ended} of 25`);
});
