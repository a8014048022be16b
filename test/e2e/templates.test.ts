/**
 * Templates and clones over real agents: published at one host, cloned at others, fetched from whoever has a chunk, retired
 * and lost on the way.
 */
import path from 'node:path';
import test from 'ava';
import { NbdClient, pattern } from './nbd.ts';
import { CHUNK_BYTES, copyOf, DISK, firstDifference, MIB, startNetwork, statusOf, trackerArgs } from './network.ts';
import { eventually, Host, type Json, temporaryFolder } from './processes.ts';

/** Exports the clone; the caller closes the client. */
async function clientOf(host: Host, name: string): Promise<NbdClient> {
  const { socket, exportName } = (await host.call('disk.attach', { name, readOnly: false, socket: null })) as Json;
  return NbdClient.connect(String(socket), String(exportName));
}

async function isSame(client: NbdClient, content: Buffer, chunk: number): Promise<boolean> {
  const at = chunk * CHUNK_BYTES;
  const { errno, data } = await client.request(0, at, CHUNK_BYTES);
  return errno === 0 && data.equals(content.subarray(at, at + CHUNK_BYTES));
}

async function readAll(host: Host, name: string, folder: string): Promise<Buffer> {
  const { uri } = (await host.call('disk.attach', { name, readOnly: false, socket: null })) as Json;
  const bytes = await copyOf(String(uri), folder);
  await host.call('disk.detach', { name });
  return bytes;
}

test.serial('a template at one host, clones at two others, which bring it to each other', async (t) => {
  const { hosts, content, folder } = await startNetwork(t, ['home', 'lab1', 'lab2'], { sizeBytes: 16 * MIB });
  const [home, lab1, lab2] = hosts as [Host, Host, Host];
  const early = await home.run(['disk', 'clone', DISK, 'mine']);
  t.like(early, { exitCode: 1, errorCode: 'TEMPLATE_NOT_FOUND' });
  t.like(await home.ok('disk', 'publish', DISK), { name: DISK, sequence: 1 });
  for (const lab of [lab1, lab2]) await home.invite(lab, DISK, 'reader');
  await Promise.all([lab1.connectedTo(lab2), lab1.connectedTo(home), lab2.connectedTo(home)]);

  const clone = await lab1.ok('disk', 'clone', `${DISK}@1`, 'one');
  t.like(clone, { name: 'one', sizeBytes: 16 * MIB, sequence: 1, ownerHostId: lab1.id });
  t.like(clone.base as Json, { name: DISK, sequence: 1, independent: false });
  t.is(firstDifference(await readAll(lab1, 'one', folder), content), -1);

  // What lab1 has lab2 may have from it: home is not needed.
  await eventually('lab1 claims all', async () => {
    const { peers } = (await lab2.call('peer.ls', {})) as { peers: Json[] };
    return peers.some(({ hostId, piecesClaimed }) => hostId === lab1.id && Number(piecesClaimed) >= 150);
  });
  await home.stop();
  await lab2.ok('disk', 'clone', DISK, 'two');
  t.is(firstDifference(await readAll(lab2, 'two', folder), content), -1);
  const { bytesBySource } = await statusOf(lab2);
  t.true((bytesBySource[lab1.id] ?? 0) > 5 * MIB, 'most of it came from the other clone');

  // Clones are disks of their own.
  const client = await clientOf(lab1, 'one');
  t.is(await client.write(3 * CHUNK_BYTES, pattern(CHUNK_BYTES, 9)), 0);
  t.is(await client.flush(), 0);
  await client.close();
  t.like(await lab1.ok('disk', 'seal', 'one'), { sequence: 2, changedPieces: 1 });
  await lab1.daemon!.crash();
  await lab1.start({ args: [] });
  const written = Buffer.from(content);
  written.set(pattern(CHUNK_BYTES, 9), 3 * CHUNK_BYTES);
  await lab1.call('disk.detach', { name: 'one' });
  t.is(firstDifference(await readAll(lab1, 'one', folder), written), -1);
  t.is(firstDifference(await readAll(lab2, 'two', folder), content), -1);
});

test.serial('a template that is retired while its clones fetch loses nothing', async (t) => {
  const { hosts, content, tracker } = await startNetwork(t, ['home', 'lab1', 'lab2'], { sizeBytes: 8 * MIB });
  const [home, lab1, lab2] = hosts as [Host, Host, Host];
  await home.ok('disk', 'publish', DISK);
  for (const lab of [lab1, lab2]) await home.invite(lab, DISK, 'reader');
  await lab1.connectedTo(lab2);
  for (const lab of [lab1, lab2]) await lab.ok('disk', 'clone', DISK, 'mine');
  const one = await clientOf(lab1, 'mine');
  const two = await clientOf(lab2, 'mine');
  t.true(await isSame(one, content, 1));
  t.true(await isSame(two, content, 2));
  const pinned = await home.run(['disk', 'rm', DISK]);
  t.is(pinned.errorCode, 'TEMPLATE_PINNED');
  t.deepEqual((await home.ok('disk', 'retire', DISK)).sequences, [1]);
  t.is((await home.run(['disk', 'retire', DISK])).errorCode, 'TEMPLATE_NOT_FOUND');
  await eventually('lab1 hears of it', async () => {
    const { templates } = await lab1.info(DISK);
    return (templates as Json[]).every(({ retired }) => retired);
  });
  t.is((await lab1.run(['disk', 'clone', DISK, 'late'])).errorCode, 'TEMPLATE_NOT_FOUND');
  t.true(await isSame(one, content, 3), 'the clone goes on');
  t.is((await lab1.run(['disk', 'rm', DISK])).errorCode, 'TEMPLATE_IN_USE');

  // Home drops it all the same: what a clone's host has is still to be had, and nothing else.
  await eventually('lab2 claims its chunk', async () => {
    const { peers } = (await lab1.call('peer.ls', {})) as { peers: Json[] };
    return peers.some(({ hostId, piecesClaimed }) => hostId === lab2.id && Number(piecesClaimed) > 0);
  });
  await home.stop();
  t.true(await isSame(one, content, 2), 'from the other clone');
  const waiting = isSame(one, content, 5);
  const info = await eventually('it says what it waits for', async () => {
    const { base } = await lab1.info('mine');
    return (base as Json).waitingPieces === 1 && (base as Json);
  });
  t.is(info.independent, false);
  await home.start({ args: trackerArgs(tracker) });
  t.true(await waiting);
  await Promise.all([one.close(), two.close()]);
  await lab1.ok('disk', 'pull', 'mine');
  t.like((await lab1.info('mine')).base as Json, { independent: true, waitingPieces: 0 });
  await lab1.ok('disk', 'rm', '--force', DISK);
  t.is(
    (await lab1.info('mine')).piecesPresent,
    Number((await lab1.info('mine')).piecesTotal) - Number((await lab1.info('mine')).piecesZero),
  );
});

test.serial('who is not in the roster has no template, and a clone is given on without it', async (t) => {
  const { hosts, content } = await startNetwork(t, ['home', 'lab'], { sizeBytes: 4 * MIB });
  const [home, lab] = hosts as [Host, Host];
  await home.ok('disk', 'publish', DISK);
  t.is((await lab.run(['disk', 'clone', DISK, 'mine'])).errorCode, 'DISK_NOT_FOUND');
  // A clone of the same owner may be given to somebody who does not have the template.
  await home.ok('disk', 'clone', DISK, 'given');
  await home.ok('disk', 'pull', 'given');
  await home.invite(lab, 'given', 'writer');
  await lab.ok('disk', 'take', 'given');
  t.like((await lab.info('given')).base as Json, { name: null, sequence: null });
  await lab.ok('disk', 'wait', 'given', '--complete', '--timeout', '60');
  const client = await clientOf(lab, 'given');
  t.true(await isSame(client, content, 1));
  await client.close();

  // A host of another owner is refused the owner's work.
  const folder = temporaryFolder(t);
  const stranger = new Host(t, folder, 'stranger', path.join(folder, 'stranger'));
  await Promise.all([stranger.start(), stranger.ok('owner', 'init')]);
  const { invitation } = await home.ok('disk', 'grant', DISK, '--host', stranger.id, '--role', 'reader');
  await stranger.ok('disk', 'join', String(invitation));
  t.is((await stranger.run(['disk', 'retire', DISK])).errorCode, 'OWNER_MISMATCH');
  // But whoever may read a template may have a clone of his own.
  t.like(await stranger.ok('disk', 'clone', DISK, 'own'), { name: 'own', ownerHostId: stranger.id });
});
