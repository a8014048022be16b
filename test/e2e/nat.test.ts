/** Hosts behind NATs of their own: they meet in a DHT and punch through, or go through a host that both reach. */
import fs from 'node:fs';
import path from 'node:path';
import { makeNatWorld, type NatKind, type NatWorld, type Place } from '@diskswarm/nat-world';
import test, { type ExecutionContext } from 'ava';
import { pattern } from './nbd.ts';
import { DISK, exported, firstDifference, MIB, pull } from './network.ts';
import { eventually, Host, type Json, temporaryFolder } from './processes.ts';

/** A world that goes away with the test, after the hosts in it. */
async function worldOf(t: ExecutionContext, kinds: readonly NatKind[]): Promise<NatWorld> {
  const world = await makeNatWorld(kinds);
  t.teardown(() => world.close());
  return world;
}

/** Starts the agent at its place, in the DHT. */
function startAt(host: Host, world: NatWorld, { prefix, address }: Place): Promise<unknown> {
  const bootstrap = world.bootstrap.flatMap((each) => ['--bootstrap', each]);
  return host.start({ prefix, args: ['--listen', `${address}:0`, '--dht', ...bootstrap] });
}

interface Pair {
  readonly folder: string;
  readonly content: Buffer;
  readonly home: Host;
  readonly office: Host;
}

/** A disk at home, which office may have. */
async function twoHosts(t: ExecutionContext, world: NatWorld): Promise<Pair> {
  const folder = temporaryFolder(t);
  const image = path.join(folder, 'image.raw');
  const content = pattern(8 * MIB, 9);
  fs.writeFileSync(image, content);
  const home = new Host(t, folder, 'home');
  const office = new Host(t, folder, 'office');
  await home.start();
  await home.ok('owner', 'init');
  await home.ok('disk', 'import', image, '--name', DISK);
  await home.stop();
  await Promise.all([startAt(home, world, world.behind[0]!), startAt(office, world, world.behind[1]!)]);
  return { folder, content, home, office };
}

test.serial('two hosts behind two NATs punch through, and a disk moves', async (t) => {
  const world = await worldOf(t, ['steady', 'steady']);
  const { folder, content, home, office } = await twoHosts(t, world);
  await home.invite(office, DISK);
  await office.connectedTo(home);
  const { peers } = (await office.call('peer.ls', {})) as { peers: Json[] };
  t.regex(String(peers[0]?.address), /^[0-9a-f]{64}\.dht:1$/);
  await pull(office);
  t.is(firstDifference(await exported(office, folder), content), -1);
  await office.ok('disk', 'take', DISK);
  t.like(await office.info(DISK), { epoch: 2, ownerHostId: office.id });
});

test.serial('two NATs that cannot be punched: the hosts go through one of the same roster', async (t) => {
  const world = await worldOf(t, ['random', 'random']);
  const { folder, content, home, office } = await twoHosts(t, world);
  const keeper = new Host(t, folder, 'keeper');
  await startAt(keeper, world, world.open);
  await home.invite(keeper, DISK, 'reader');
  await home.invite(office, DISK);
  await Promise.all([keeper.connectedTo(home), keeper.connectedTo(office)]);
  await office.connectedTo(home);
  const { peers } = (await office.call('peer.ls', {})) as { peers: Json[] };
  t.is(peers.find((peer) => peer.hostId === home.id)?.address, `${home.id}.relay:1`);
  await pull(office);
  t.is(firstDifference(await exported(office, folder), content), -1);
  await office.ok('disk', 'take', DISK);
  t.like(await office.info(DISK), { epoch: 2, ownerHostId: office.id });

  // Home goes, and comes back with another key: the host between dials the one it had, in vain.
  await home.stop();
  await eventually('the keeper has lost home', async () => {
    const now = (await keeper.call('peer.ls', {})) as { peers: Json[] };
    return now.peers.every((peer) => peer.hostId !== home.id);
  });
  await startAt(home, world, world.behind[0]!);
  await Promise.all([keeper.connectedTo(home), office.connectedTo(home)]);
  t.true(keeper.daemon!.running);

  // Without the host between them they are apart, and together again once it is back.
  await keeper.stop();
  await eventually('office has lost home', async () => {
    const now = (await office.call('peer.ls', {})) as { peers: Json[] };
    return now.peers.length === 0;
  });
  await startAt(keeper, world, world.open);
  await office.connectedTo(home);
});
