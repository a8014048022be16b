/** The owner's key file, and the records that are signed with it on the way to the agent. */
import fs from 'node:fs';
import path from 'node:path';
import { fromHex } from '@diskswarm/core';
import { systemRandom } from '@diskswarm/core/system';
import {
  createHostKeys,
  createOwner,
  decodeEpochRecord,
  decodeGenesis,
  decodeOwnerFile,
  encodeOwnerFile,
  memberOf,
  openRosterSecret,
  parseInvitation,
  recoveryHashOf,
  takeRoster,
  verifyEpochChain,
  verifyRoster,
} from '@diskswarm/identity';
import test, { type ExecutionContext } from 'ava';
import type { NewDiskRecords } from '../src/control/methods.ts';
import type { ControlHandlers } from '../src/control/server.ts';
import { Home } from './support/cli-process.ts';
import { fakeAgent, makeDisk } from './support/fake-agent.ts';

/** A home with a disk whose owner file is in place, and an agent that keeps what it is told. */
async function homeWithDisk(
  t: ExecutionContext,
  handlers: Partial<ControlHandlers> = {},
): Promise<{ home: Home; disk: ReturnType<typeof makeDisk>; rosters: string[] }> {
  const home = new Home(t);
  const disk = makeDisk();
  const rosters: string[] = [];
  fs.mkdirSync(path.dirname(home.ownerFile));
  fs.writeFileSync(home.ownerFile, disk.ownerFile);
  await fakeAgent(t, home.state, {
    'host.id': async () => ({ hostId: disk.keys.hostId }),
    'disk.ownerView': async () => disk.view,
    'disk.applyRoster': async ({ rosterBundle }) => {
      rosters.push(rosterBundle);
      return { sequence: 2 };
    },
    ...handlers,
  });
  return { home, disk, rosters };
}

test.serial('init, backup, loss and restore bring the same key back; nothing is overwritten', async (t) => {
  const home = new Home(t);
  const backup = path.join(home.folder, 'backup');
  const made = await home.json(['owner', 'init']);
  t.is(made.code, 0);
  t.is(fs.statSync(home.ownerFile).mode & 0o777, 0o600);
  t.is(fs.statSync(path.dirname(home.ownerFile)).mode & 0o777, 0o700);
  const original = fs.readFileSync(home.ownerFile);
  t.is((await home.json(['owner', 'init'])).error?.code, 'OWNER_FILE_EXISTS');
  t.deepEqual(fs.readFileSync(home.ownerFile), original);

  t.like(await home.json(['owner', 'backup', backup]), { code: 0, publicKey: made.publicKey, recovery: true });
  const first = decodeOwnerFile(original, 'word');
  t.deepEqual(decodeOwnerFile(fs.readFileSync(backup), 'word'), first);
  const everyday = decodeOwnerFile(fs.readFileSync(home.ownerFile), 'word');
  t.is(everyday.recoverySeed, null);
  t.deepEqual(recoveryHashOf(everyday), recoveryHashOf(first));
  t.is((await home.json(['owner', 'backup', backup])).error?.code, 'OWNER_FILE_EXISTS');
  t.is((await home.json(['owner', 'restore', backup])).error?.code, 'OWNER_FILE_EXISTS');

  fs.rmSync(home.ownerFile);
  t.is((await home.json(['owner', 'backup', `${backup}2`])).error?.code, 'OWNER_FILE_MISSING');
  const wrong = await home.json(['owner', 'restore', backup], { env: { DISKSWARM_PASSPHRASE: 'other' } });
  t.is(wrong.error?.code, 'PASSPHRASE_WRONG');
  t.false(fs.existsSync(home.ownerFile));
  t.like(await home.json(['owner', 'restore', backup]), { code: 0, publicKey: made.publicKey });
  t.deepEqual(decodeOwnerFile(fs.readFileSync(home.ownerFile), 'word').signingSeed, first.signingSeed);
  t.deepEqual(fs.readdirSync(path.dirname(home.ownerFile)), ['owner.key']);
});

test.serial('the passphrase comes from a file too, and is never taken from nowhere', async (t) => {
  const home = new Home(t);
  const file = path.join(home.folder, 'passphrase');
  fs.writeFileSync(file, 'from a file\nsecond line\n');
  const env = { DISKSWARM_PASSPHRASE: '' };
  const missing = await home.json(['owner', 'init'], { env });
  t.like(missing, { code: 2, error: { code: 'INVALID_ARGUMENT' } });
  t.is((await home.json(['owner', 'init', '--passphrase-file', file], { env })).code, 0);
  t.notThrows(() => decodeOwnerFile(fs.readFileSync(home.ownerFile), 'from a file'));
  fs.writeFileSync(file, '\n');
  const empty = await home.json(['owner', 'backup', 'x', '--passphrase-file', file], { env });
  t.is(empty.error?.code, 'INVALID_ARGUMENT');
});

test.serial('an owner file in a state folder is refused', async (t) => {
  const home = new Home(t);
  const inside = await home.json(['owner', 'init', '--owner-file', path.join(home.state, 'owner.key')]);
  t.like(inside, { code: 2, error: { code: 'INVALID_ARGUMENT' } });
  t.deepEqual(fs.readdirSync(home.state), []);
});

test.serial('import hands the agent records that hold together, and the absolute path', async (t) => {
  const seen: { records: NewDiskRecords; path: string; chunkSizeBytes: number; format: string }[] = [];
  const { home, disk } = await homeWithDisk(t, {
    'disk.ls': async () => ({ disks: [disk.info] }),
    'disk.import': async (params) => {
      seen.push(params);
      return { ...disk.info, name: params.name, importedBytes: 4096, newBytes: 4096 };
    },
  });
  const image = path.join(home.folder, 'image.raw');
  fs.writeFileSync(image, Buffer.alloc(4096));
  const imported = await home.json(['disk', 'import', 'image.raw', '--name', 'new', '--chunk-size', '128K']);
  t.like(imported, { code: 0, name: 'new', importedBytes: 4096 });
  const [params] = seen;
  if (params === undefined) return t.fail('the agent was not asked');
  t.like(params, { path: image, format: 'raw', chunkSizeBytes: 131_072 });
  const genesis = decodeGenesis(fromHex(params.records.genesis));
  t.deepEqual(genesis.owner, disk.owner.publicKey);
  t.is(genesis.chunkSizeBytes, 131_072);
  const roster = verifyRoster(fromHex(params.records.rosterBundle), genesis);
  t.is(memberOf(roster, disk.keys.hostId)?.role, 'writer');
  t.is(openRosterSecret(roster, disk.keys).length, 32);
  const chain = verifyEpochChain([decodeEpochRecord(fromHex(params.records.grant), genesis)], genesis, roster);
  t.is(chain.current.owner, disk.keys.hostId);

  t.is((await home.json(['disk', 'import', 'image.raw', '--name', 'debian'])).error?.code, 'NAME_EXISTS');
  t.is((await home.json(['disk', 'import', 'none.raw', '--name', 'new'])).error?.code, 'BAD_IMAGE');
  t.is(
    (await home.json(['disk', 'import', 'image.raw', '--name', 'new', '--chunk-size', '8K'])).error?.code,
    'BAD_CHUNK_SIZE',
  );
  fs.rmSync(home.ownerFile);
  t.is((await home.json(['disk', 'import', 'image.raw', '--name', 'new'])).error?.code, 'OWNER_FILE_MISSING');
  t.is(seen.length, 1);
});

test.serial('grant lists the host and prints a line that it alone can use', async (t) => {
  const { home, disk, rosters } = await homeWithDisk(t);
  const invited = createHostKeys(systemRandom);
  const genesis = decodeGenesis(fromHex(disk.view.genesis));
  const granted = await home.run(['disk', 'grant', 'debian', '--host', invited.hostId, '--role', 'writer']);
  t.is(granted.code, 0, granted.stderr);
  t.regex(granted.stdout, /^dsw1\S+\n$/);
  const invitation = parseInvitation(granted.stdout, invited);
  t.is(invitation.name, 'debian');
  t.deepEqual(invitation.trackers, disk.view.trackers);
  t.deepEqual(invitation.addresses, disk.view.addresses);
  t.deepEqual(invitation.secret, fromHex(disk.view.swarmSecret));
  t.throws(() => parseInvitation(granted.stdout, createHostKeys(systemRandom)), { code: 'INVITATION_INVALID' });
  const roster = verifyRoster(fromHex(rosters[0] as string), genesis);
  t.is(memberOf(roster, invited.hostId)?.role, 'writer');
  t.is(takeRoster(verifyRoster(fromHex(disk.view.rosterBundle), genesis), roster).verdict, 'newer');

  // Asked again for a host that is listed already: another line, no other roster.
  const again = await home.json(['disk', 'grant', 'debian', '--host', disk.keys.hostId, '--role', 'writer']);
  t.like(again, { code: 0, role: 'writer', rosterSequence: 1 });
  t.is(rosters.length, 1);
  const reader = await home.json(['disk', 'grant', 'debian', '--host', invited.hostId]);
  t.is(reader.role, 'reader');
  const demoted = await home.json(['disk', 'grant', 'debian', '--host', disk.keys.hostId, '--role', 'reader']);
  t.like(demoted, { code: 2, error: { code: 'INVALID_ARGUMENT' } });
});

test.serial('revoke replaces the secret; a host without access cannot be revoked', async (t) => {
  const { home, disk, rosters } = await homeWithDisk(t);
  const genesis = decodeGenesis(fromHex(disk.view.genesis));
  t.is(
    (await home.json(['disk', 'revoke', 'debian', '--host', createHostKeys(systemRandom).hostId])).error?.code,
    'INVALID_ARGUMENT',
  );
  t.like(await home.json(['disk', 'revoke', 'debian', '--host', disk.keys.hostId]), {
    code: 0,
    revoked: true,
    rosterSequence: 2,
  });
  const roster = verifyRoster(fromHex(rosters[0] as string), genesis);
  t.deepEqual(memberOf(roster, disk.keys.hostId)?.revoked, { epoch: 1, sequence: 1 });
  t.notDeepEqual(roster.secretId, verifyRoster(fromHex(disk.view.rosterBundle), genesis).secretId);
});

test.serial("another person's key signs nothing", async (t) => {
  const { home, disk, rosters } = await homeWithDisk(t);
  fs.writeFileSync(home.ownerFile, encodeOwnerFile(createOwner(systemRandom), 'word', systemRandom));
  for (const line of [
    `grant debian --host ${createHostKeys(systemRandom).hostId}`,
    `revoke debian --host ${disk.keys.hostId}`,
    'take debian --force',
  ]) {
    t.is((await home.json(['disk', ...line.split(' ')])).error?.code, 'OWNER_MISMATCH', line);
  }
  t.deepEqual(rosters, []);
});

test.serial(
  'a forced take-over is signed by the owner, goes on from what is known here, and names the fork',
  async (t) => {
    const records: string[] = [];
    const { home, disk } = await homeWithDisk(t, {
      'disk.takeForce': async ({ record }) => {
        records.push(record);
        return { epoch: 2, ownerHostId: disk.keys.hostId, sequence: 1, forkName: 'debian-fork-2' };
      },
    });
    const taken = await home.json(['disk', 'take', 'debian', '--force']);
    t.like(taken, { code: 0, epoch: 2, forkName: 'debian-fork-2' });
    const genesis = decodeGenesis(fromHex(disk.view.genesis));
    const force = decodeEpochRecord(fromHex(records[0] as string), genesis);
    if (force.kind !== 'force') return t.fail(force.kind);
    t.is(force.forkName, 'debian-fork-2');
    t.is(force.to, disk.keys.hostId);
    const grant = decodeEpochRecord(fromHex(disk.view.epochRecords[0] as string), genesis);
    const chain = verifyEpochChain([grant, force], genesis, verifyRoster(fromHex(disk.view.rosterBundle), genesis));
    t.is(chain.current.forkName, 'debian-fork-2');
    t.is(chain.current.after?.sequence, 1);
  },
);
