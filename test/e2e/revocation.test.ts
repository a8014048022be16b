/**
 * A host that was revoked learns nothing of what comes later, whatever it still holds; the others go on under a new secret.
 */
import fs from 'node:fs';
import path from 'node:path';
import { systemRandom } from '@diskswarm/core/system';
import { createHostKeys } from '@diskswarm/identity';
import test, { type ExecutionContext } from 'ava';
import { becomeMember, Liar, RawMember } from './liar.ts';
import { NbdClient, pattern } from './nbd.ts';
import { eventually, Host, type Json, temporaryFolder } from './processes.ts';

const MIB = 1024 * 1024;
const CHUNK = 65_536;

/** Home owns a disk that `names` have joined. */
async function hosts(t: ExecutionContext, names: readonly string[]): Promise<{ content: Buffer; all: Host[] }> {
  const folder = temporaryFolder(t);
  const all = ['home', ...names].map((name) => new Host(t, folder, name));
  const [home, ...others] = all as [Host, ...Host[]];
  const content = pattern(4 * MIB, 1);
  fs.writeFileSync(path.join(folder, 'image.raw'), content);
  await Promise.all([...all.map((host) => host.start()), home.ok('owner', 'init')]);
  await home.ok('disk', 'import', path.join(folder, 'image.raw'), '--name', 'desktop');
  for (const other of others) await home.invite(other, 'desktop');
  for (const other of others) await other.connectedTo(home);
  return { content, all };
}

async function writeAndSeal(host: Host, offset: number, bytes: Buffer): Promise<Json> {
  const { socket } = await host.ok('disk', 'attach', 'desktop');
  const client = await NbdClient.connect(String(socket), 'desktop');
  if ((await client.write(offset, bytes)) !== 0) throw new Error('the write failed');
  await client.close();
  const sealed = await host.ok('disk', 'seal', 'desktop');
  await host.ok('disk', 'detach', 'desktop');
  return sealed;
}

test('a revoked host is told, and then hears and gets nothing more; the others seal, learn and take as before', async (t) => {
  const { content, all } = await hosts(t, ['office', 'hotel']);
  const [home, office, hotel] = all as [Host, Host, Host];
  await hotel.ok('disk', 'pull', 'desktop');
  await home.ok('disk', 'revoke', 'desktop', '--host', hotel.id);
  await eventually('hotel knows', async () => (await hotel.info('desktop')).revoked);
  await eventually('hotel has no peers', async () =>
    ((await hotel.call('peer.ls', {})) as { peers: Json[] }).peers.every(
      ({ disks }) => (disks as string[]).length === 0,
    ),
  );
  const added = pattern(CHUNK, 42);
  const sealed = await writeAndSeal(home, 0, added);
  t.is((await office.ok('disk', 'wait', 'desktop', '--sequence', '2', '--timeout', '40')).root, sealed.root);
  await office.ok('disk', 'take', 'desktop');
  t.is((await office.info('desktop')).ownerHostId, office.id);
  t.is((await writeAndSeal(office, CHUNK, added)).sequence, 3);
  t.is((await home.ok('disk', 'wait', 'desktop', '--sequence', '3', '--timeout', '40')).epoch, 2);
  // Its own agent says so, for everything that would need the others.
  const info = await hotel.info('desktop');
  t.deepEqual([info.sequence, info.epoch, info.ownerHostId, info.revoked], [1, 1, home.id, true]);
  for (const command of [
    ['take', 'desktop'],
    ['attach', 'desktop'],
    ['grant', 'desktop', '--host', createHostKeys(systemRandom).hostId],
  ]) {
    const { exitCode, errorCode, errorMessage } = await hotel.run(['disk', ...command]);
    t.is(exitCode, 1, `${command[0]}: ${errorMessage}`);
    t.true(
      errorCode === 'REVOKED' || (command[0] === 'attach' && errorCode === 'NOT_OWNER'),
      `${command[0]}: ${errorCode}`,
    );
  }
  // What it had before stays readable; started again it is as outside as before.
  await hotel.stop();
  await hotel.start();
  const { socket } = await hotel.ok('disk', 'attach', 'desktop', '--read-only');
  const client = await NbdClient.connect(String(socket), 'desktop');
  t.true((await client.read(0, content.length)).equals(content));
  await client.close();
  t.is((await hotel.info('desktop')).sequence, 1);
});

test('the old secret and the old invitation open nothing; a host that was away gets in and learns the new secret', async (t) => {
  const { content, all } = await hosts(t, ['office', 'hotel']);
  const [home, office, hotel] = all as [Host, Host, Host];
  const member = await becomeMember(home, 'desktop', 'reader');
  const { invitation: oldLine } = await home.ok('disk', 'grant', 'desktop', '--host', hotel.id, '--role', 'writer');
  const insider = await Liar.meet(t, member, home, content, {});
  await eventually('the insider is in', () => insider.ready.size > 0);
  await office.stop();
  await home.ok('disk', 'revoke', 'desktop', '--host', hotel.id);
  await home.ok('disk', 'revoke', 'desktop', '--host', member.keys.hostId);
  await eventually('the insider is out', () => insider.ready.size === 0);
  const sealed = await writeAndSeal(home, 0, pattern(CHUNK, 43));
  // It dials on, as a host, and with bare proofs of what it knows: nobody answers it as a member.
  const raw = await RawMember.dial(t, member, home);
  await eventually('the port hangs up', () => raw.isOver);
  t.is(insider.ready.size, 0);
  t.false(insider.heard.some(({ generation }) => generation !== member.head.id));
  // Hotel forgets all and joins again with the line it still has.
  await hotel.ok('disk', 'rm', 'desktop', '--force');
  await hotel.run(['disk', 'join', String(oldLine)]);
  await office.start();
  t.is((await office.ok('disk', 'wait', 'desktop', '--sequence', '2', '--timeout', '30')).root, sealed.root);
  await office.ok('disk', 'pull', 'desktop');
  t.deepEqual(
    ((await home.call('peer.ls', {})) as { peers: Json[] }).peers
      .filter(({ disks }) => (disks as string[]).length > 0)
      .map(({ hostId }) => hostId),
    [office.id],
  );
  const again = (await hotel.ok('disk', 'ls')).disks as Json[];
  t.true(
    again.every(({ sequence }) => sequence === 0),
    JSON.stringify(again),
  );
  const fresh = await becomeMember(home, 'desktop', 'reader');
  t.notDeepEqual(fresh.invitation.secret, member.invitation.secret);
});
