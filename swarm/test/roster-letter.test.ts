/** Hosts whose rosters differ: they meet at once where the newer one admits both, and silence stays for everybody else. */
import { createHostKeys } from '@diskswarm/identity';
import type { RosterLetter } from '@diskswarm/wire';
import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import { LANE_DEADLINE_MS } from '../src/limits.ts';
import { encodeLetter, LetterReader } from '../src/roster-letter.ts';
import { RawPeer } from './helpers/raw-peer.ts';
import { TestDisk, TestHost, type TestMembership } from './helpers/test-host.ts';
import { World } from './helpers/world.ts';

interface Scene {
  readonly world: World;
  readonly disk: TestDisk;
  /** Was away when hotel was invited. */
  readonly office: TestHost;
  readonly atOffice: TestMembership;
  readonly hotel: TestHost;
  readonly atHotel: TestMembership;
}

/** Home, which knows both, is off. */
async function scene(): Promise<Scene> {
  const world = new World();
  const office = await world.host('office');
  const hotel = await world.host('hotel');
  const disk = new TestDisk(createHostKeys(world.random).hostId, world.random);
  disk.grant(office.id);
  const atOffice = office.join(disk);
  disk.grant(hotel.id);
  const atHotel = hotel.join(disk);
  return { world, disk, office, atOffice, hotel, atHotel };
}

const MEET_MS = 2_000;

test('a newcomer that dials a host with an older roster is let in at once, and brings the newer one', async (t) => {
  const { world, disk, office, atOffice, hotel, atHotel } = await scene();
  t.false(atOffice.admits(hotel.id));
  hotel.swarm.addPeerAddress(disk.genesis.disk, 'office:1', 'tracker');
  t.true(await world.clock.until(() => atHotel.ready.length === 1 && atOffice.ready.length === 1, MEET_MS));
  t.true(atOffice.admits(hotel.id));
  t.deepEqual(hotel.swarm.peers()[0]?.lanes, ['control', 'bulk', 'memory']);
  t.deepEqual([...office.misbehaviour, ...hotel.misbehaviour], []);
});

test('so is a host with an older roster that dials the newcomer', async (t) => {
  const { world, disk, office, atOffice, hotel, atHotel } = await scene();
  office.swarm.addPeerAddress(disk.genesis.disk, 'hotel:1', 'tracker');
  t.true(await world.clock.until(() => atHotel.ready.length === 1 && atOffice.ready.length === 1, MEET_MS));
  t.true(atOffice.admits(hotel.id));
  t.deepEqual([...office.misbehaviour, ...hotel.misbehaviour], []);
});

test('both dial at the same moment: one session', async (t) => {
  const { world, disk, office, atOffice, hotel, atHotel } = await scene();
  hotel.swarm.addPeerAddress(disk.genesis.disk, 'office:1', 'tracker');
  office.swarm.addPeerAddress(disk.genesis.disk, 'hotel:1', 'tracker');
  t.true(await world.clock.until(() => atHotel.ready.length === 1 && atOffice.ready.length === 1, MEET_MS));
  await world.clock.advance(60_000);
  t.is(atHotel.ready.length, 1);
  t.is(office.swarm.peers().length, 1);
});

test('a banned newcomer, one that the newer roster revokes, and one in no roster meet silence', async (t) => {
  const { world, disk, office, atOffice, hotel, atHotel } = await scene();
  office.swarm.ban(hotel.id, 600_000, 'a test');
  hotel.swarm.addPeerAddress(disk.genesis.disk, 'office:1', 'tracker');
  t.false(await world.clock.until(() => office.swarm.peers().length > 0, 30_000));
  t.false(atOffice.admits(hotel.id), 'nor is its roster read');
  office.swarm.unban(hotel.id);
  t.true(await world.clock.until(() => atHotel.ready.length === 1, 120_000));

  // Hotel is away while it is revoked; it shows its older roster in vain, and is shown none.
  const [older, secret] = [disk.roster, disk.secret];
  await hotel.swarm.stop();
  atOffice.take(disk.revoke(hotel.id));
  const stranger = createHostKeys(world.random);
  for (const keys of [hotel.keys, stranger]) {
    for (const letter of ['shown', 'wanted'] as const) {
      const peer = await greeted(world, secret);
      const before = peer.receivedBytes;
      peer.connection.write([peer.hello(keys, 'control', peer.connection.binding, { letter })]);
      if (letter === 'shown') peer.connection.write([encodeLetter(older.bytes)]);
      await endsInSilence(t, world, peer, before);
    }
  }
  t.is(atOffice.roster.sequence, disk.roster.sequence);
  t.deepEqual(office.swarm.peers(), []);
});

test('an earlier secret, under any name, shows nothing; a member that has only that is let in as ever', async (t) => {
  const { world, disk, office, atOffice, hotel } = await scene();
  atOffice.take(disk.roster);
  const left = createHostKeys(world.random);
  disk.grant(left.hostId);
  const [roster, earlier] = [disk.roster, disk.secret];
  atOffice.take(disk.revoke(left.hostId));
  const newer = disk.grant(createHostKeys(world.random).hostId);
  t.true(newer.sequence > atOffice.roster.sequence);
  const peer = await greeted(world, earlier);
  const before = peer.receivedBytes;
  const shown = { letter: 'shown' as const };
  const made = createHostKeys(world.random);
  peer.connection.write([peer.hello(made, 'control', peer.connection.binding, shown), encodeLetter(newer.bytes)]);
  await endsInSilence(t, world, peer, before);
  t.true(newer.sequence > atOffice.roster.sequence, 'it was not looked at');

  // Hotel missed the revocation: it proves the earlier secret and shows its older roster, which is read past.
  await hotel.swarm.stop();
  const again = new TestHost(world.network.transport('hotel2'), world.clock, world.random, {}, hotel.keys);
  await again.swarm.start({ listen: 'hotel2:1' });
  const atAgain = again.join(disk, roster);
  again.swarm.addPeerAddress(disk.genesis.disk, 'office:1', 'tracker');
  t.true(await world.clock.until(() => atAgain.ready.length === 1, 20_000));
  t.is(atAgain.roster.sequence, atOffice.roster.sequence);
  t.deepEqual(again.misbehaviour.concat(office.misbehaviour), []);
});

test('what a newcomer shows may be garbage, endless, forged, of another disk, or half: silence, and nothing is taken', async (t) => {
  const { world, disk, atOffice, hotel } = await scene();
  const other = new TestDisk(hotel.id, world.random);
  const forged = Buffer.from(disk.roster.bytes);
  forged[forged.length - 1]! ^= 1;
  const length = (bytes: number): Buffer => {
    const encoded = Buffer.alloc(4);
    encoded.writeUInt32BE(bytes);
    return encoded;
  };
  const letters: Uint8Array[] = [
    length(0),
    length(0xffff_ffff),
    Buffer.concat([length(256 * 1024), new Uint8Array(400_000)]),
    encodeLetter(new Uint8Array(200).fill(7)),
    encodeLetter(forged),
    encodeLetter(other.roster.bytes),
    encodeLetter(disk.roster.bytes).subarray(0, 100),
    // True, but with more behind it than a lane may say before it begins.
    Buffer.concat([encodeLetter(disk.roster.bytes), new Uint8Array(5_000)]),
  ];
  const before = atOffice.roster.sequence;
  for (const letter of letters) {
    const peer = await greeted(world, disk.secret);
    const received = peer.receivedBytes;
    peer.connection.write([peer.hello(hotel.keys, 'control', peer.connection.binding, { letter: 'shown' }), letter]);
    await endsInSilence(t, world, peer, received);
  }
  t.is(atOffice.roster.sequence, before);
  t.false(atOffice.admits(hotel.id));

  // On another lane it has no place.
  const peer = await greeted(world, disk.secret);
  const received = peer.receivedBytes;
  const wrong: { letter: RosterLetter } = { letter: 'shown' };
  peer.connection.write([
    peer.hello(hotel.keys, 'bulk', peer.connection.binding, wrong),
    encodeLetter(disk.roster.bytes),
  ]);
  await endsInSilence(t, world, peer, received);
  t.false(atOffice.admits(hotel.id));
});

test('a roster is read from pieces of any size, and what is behind it is left alone', (t) => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 1, maxLength: 3000 }),
      fc.uint8Array({ maxLength: 50 }),
      fc.integer({ min: 1, max: 700 }),
      (bundle, behind, step) => {
        const bytes = Buffer.concat([encodeLetter(bundle), behind]);
        const reader = new LetterReader();
        for (let at = 0; at < bytes.length; at += step) {
          const read = reader.push(bytes.subarray(at, at + step));
          if (read === null) continue;
          t.deepEqual(Buffer.from(read.bundle), Buffer.from(bundle));
          t.deepEqual(Buffer.concat([read.rest, bytes.subarray(at + step)]), Buffer.from(behind));
          return;
        }
        t.fail('it never was whole');
      },
    ),
  );
});

/** A host that proved the secret, and was told who it speaks with. */
async function greeted(world: World, secret: Uint8Array): Promise<RawPeer> {
  const peer = (await RawPeer.dial(world, 'office:1')).start();
  peer.connection.write([peer.proof(secret)]);
  await world.clock.advance(50);
  return peer;
}

async function endsInSilence(t: ExecutionContext, world: World, peer: RawPeer, before: number): Promise<void> {
  await world.clock.until(() => peer.closedUs !== null, 30_000);
  t.is(peer.receivedBytes, before);
  t.true(Math.abs(peer.livedMs! - LANE_DEADLINE_MS) <= 12, `${peer.livedMs} ms`);
}
