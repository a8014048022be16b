/**
 * How hosts find each other: by a tracker, by --peer, on the LAN or in a DHT without one, and again after either side was away.
 */
import fs from 'node:fs';
import path from 'node:path';
import { startDht } from '@diskswarm/nat-world';
import test from 'ava';
import { pattern } from './nbd.ts';
import { DISK, exported, firstDifference, MIB, pull, seal, startNetwork, trackerArgs, writeDisk } from './network.ts';
import { eventually, Host, type Json, temporaryFolder } from './processes.ts';

test.serial('--peer does without a tracker, also when the invitation has an address that is no more', async (t) => {
  const folder = temporaryFolder(t);
  const image = path.join(folder, 'image.raw');
  const content = pattern(4 * MIB, 5);
  fs.writeFileSync(image, content);
  const home = new Host(t, folder, 'home');
  const office = new Host(t, folder, 'office');
  await Promise.all([home.start(), office.start(), home.ok('owner', 'init')]);
  await home.ok('disk', 'import', image, '--name', DISK);
  const { invitation } = await home.ok('disk', 'grant', DISK, '--host', office.id, '--role', 'reader');
  // Home comes back at another port: the address in the invitation leads nowhere.
  await home.stop();
  await home.start();
  await office.stop();
  await office.start({ args: ['--peer', home.daemon!.listen] });
  const joined = await office.run(['disk', 'join', '-', '--name', 'mine'], `${invitation}\n`);
  t.like(joined, { exitCode: 0, document: { name: 'mine', role: 'reader' } });
  await office.call('disk.pull', { name: 'mine' });
  t.deepEqual(
    ((await office.call('peer.ls', {})) as { peers: Json[] }).peers.map(({ hostId }) => hostId),
    [home.id],
  );
  const file = path.join(folder, 'mine.raw');
  await office.call('disk.export', { name: 'mine', sequence: null, path: file, format: 'raw' });
  t.is(firstDifference(fs.readFileSync(file), content), -1);
});

test.serial('--lan does without a tracker and without an address, also after a host came back elsewhere', async (t) => {
  const folder = temporaryFolder(t);
  const image = path.join(folder, 'image.raw');
  const content = pattern(2 * MIB, 6);
  fs.writeFileSync(image, content);
  const args = ['--lan'];
  const home = new Host(t, folder, 'home');
  const office = new Host(t, folder, 'office');
  await Promise.all([home.start(), office.start({ args }), home.ok('owner', 'init')]);
  await home.ok('disk', 'import', image, '--name', DISK);
  const { invitation } = await home.ok('disk', 'grant', DISK, '--host', office.id, '--role', 'reader');
  // Home comes back at another port: the address in the invitation leads nowhere.
  await home.stop();
  await office.ok('disk', 'join', String(invitation));
  await home.start({ args });
  await office.connectedTo(home);
  await home.daemon?.crash();
  await home.start({ args });
  await office.connectedTo(home);
  await pull(office);
  t.is(firstDifference(await exported(office, folder), content), -1);
});

test.serial(
  '--dht does without a tracker and without an address, also after a host came back with another key',
  async (t) => {
    const folder = temporaryFolder(t);
    const image = path.join(folder, 'image.raw');
    const content = pattern(8 * MIB, 7);
    fs.writeFileSync(image, content);
    const dht = await startDht('127.0.0.1');
    t.teardown(() => dht.close());
    const args = ['--dht', ...dht.bootstrap.flatMap((node) => ['--bootstrap', node])];
    const home = new Host(t, folder, 'home');
    const office = new Host(t, folder, 'office');
    await Promise.all([home.start(), office.start({ args }), home.ok('owner', 'init')]);
    await home.ok('disk', 'import', image, '--name', DISK);
    const { invitation } = await home.ok('disk', 'grant', DISK, '--host', office.id, '--role', 'writer');
    // Home comes back at another port: the address in the invitation leads nowhere.
    await home.stop();
    await office.ok('disk', 'join', String(invitation));
    await home.start({ args });
    await office.connectedTo(home);
    const { peers } = (await office.call('peer.ls', {})) as { peers: Json[] };
    t.regex(String(peers[0]?.address), /^[0-9a-f]{64}\.dht:1$/);
    await pull(office);
    t.is(firstDifference(await exported(office, folder), content), -1);

    // Nothing tells office that home has ended; home finds office, and what is said then goes to the new run.
    await home.daemon?.crash();
    await home.start({ args });
    await home.connectedTo(office);
    await office.ok('disk', 'take', DISK);
    t.like(await office.info(DISK), { epoch: 2, ownerHostId: office.id });
  },
);

test.serial('hosts that were away meet again by the tracker, and news reaches those that were not there', async (t) => {
  const { folder, tracker, hosts, content } = await startNetwork(t, ['home', 'office', 'lab']);
  const [home, office, lab] = hosts as [Host, Host, Host];
  await home.invite(office, DISK);
  await home.invite(lab, DISK, 'reader');
  await Promise.all([office.connectedTo(home), lab.connectedTo(home), lab.connectedTo(office)]);
  await pull(lab);
  await lab.stop();
  await office.ok('disk', 'take', DISK);
  await writeDisk(office, content, [{ at: MIB, bytes: pattern(MIB, 8) }]);
  t.is(await seal(office), 2);
  await eventually('home hears of it', async () => (await home.info(DISK)).sequence === 2);
  await pull(home);
  await office.stop();

  await lab.start({ args: trackerArgs(tracker) });
  await lab.ok('disk', 'wait', DISK, '--sequence', '2', '--timeout', '50');
  t.like(await lab.info(DISK), { epoch: 2, ownerHostId: office.id });
  await pull(lab);
  t.is(firstDifference(await exported(lab, folder), content), -1);
});
