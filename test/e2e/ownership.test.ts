/**
 * Who may write: hand-over and take between real agents, waiting for what a move needs, and letting go of copies.
 */
import test from 'ava';
import { pattern } from './nbd.ts';
import {
  attach,
  CHUNK_BYTES,
  DISK,
  detach,
  exported,
  firstDifference,
  pull,
  seal,
  startNetwork,
  take,
  writableClient,
} from './network.ts';
import { eventually, type Json } from './processes.ts';

test.serial(
  'a disk in use stays: hand-over and take are refused while a client may write, then bring the last write along',
  async (t) => {
    const { folder, hosts, content } = await startNetwork(t, ['home', 'office']);
    const [home, office] = hosts as [(typeof hosts)[0], (typeof hosts)[0]];
    await home.invite(office, DISK);
    await home.connectedTo(office);
    const client = await writableClient(home);
    const written = pattern(CHUNK_BYTES / 2, 9);
    t.is(await client.write(CHUNK_BYTES, written), 0);
    content.set(written, CHUNK_BYTES);

    const handover = await home.run(['disk', 'handover', DISK, '--to', office.id]);
    t.deepEqual([handover.exitCode, handover.errorCode], [1, 'CLIENT_CONNECTED']);
    const taking = await office.run(['disk', 'take', DISK]);
    t.deepEqual([taking.exitCode, taking.errorCode], [1, 'CLIENT_CONNECTED']);
    t.is(await client.write(3 * CHUNK_BYTES, written), 0, 'the client still writes after the refusals');
    content.set(written, 3 * CHUNK_BYTES);
    t.like(await home.info(DISK), { ownerHostId: home.id, epoch: 1 });

    await client.close();
    const given = await home.ok('disk', 'handover', DISK, '--to', office.id);
    t.like(given, { epoch: 2, ownerHostId: office.id, sequence: 2 });
    t.like(await office.info(DISK), { epoch: 2, ownerHostId: office.id, sequence: 2 });
    t.is((await home.run(['disk', 'attach', DISK])).errorCode, 'NOT_OWNER');
    t.is((await home.run(['disk', 'seal', DISK])).errorCode, 'NOT_OWNER');
    await t.throwsAsync(() => writableClient(home));
    t.is(firstDifference(await exported(office, folder), content), -1);
  },
);

test.serial('a reader cannot own the disk, by hand-over or take; the owner goes on', async (t) => {
  const { hosts } = await startNetwork(t, ['home', 'office']);
  const [home, office] = hosts as [(typeof hosts)[0], (typeof hosts)[0]];
  await home.invite(office, DISK, 'reader');
  await office.connectedTo(home);
  const handover = await home.run(['disk', 'handover', DISK, '--to', office.id]);
  const taking = await office.run(['disk', 'take', DISK]);
  t.deepEqual([handover.exitCode, taking.exitCode], [1, 1]);
  t.true(['ROLE_FORBIDS', 'HANDOVER_REFUSED'].includes(String(handover.errorCode)), String(handover.errorCode));
  t.true(['ROLE_FORBIDS', 'HANDOVER_REFUSED'].includes(String(taking.errorCode)), String(taking.errorCode));
  const client = await writableClient(home);
  t.is(await client.write(0, pattern(4096, 2)), 0);
  await client.close();
});

test.serial(
  'wait: for a generation, for completeness, for being free to go; with a time limit it says TIMEOUT',
  async (t) => {
    const { hosts } = await startNetwork(t, ['home', 'office']);
    const [home, office] = hosts as [(typeof hosts)[0], (typeof hosts)[0]];
    await home.invite(office, DISK);
    const late = await office.run(['disk', 'wait', DISK, '--sequence', '2', '--timeout', '0.5']);
    t.deepEqual([late.exitCode, late.errorCode], [1, 'TIMEOUT']);
    const waiting = office.run(['disk', 'wait', DISK, '--sequence', '2', '--timeout', '50']);
    const client = await writableClient(home);
    await client.write(0, pattern(4096, 2));
    await client.close();
    await seal(home);
    t.is((await waiting).document.sequence, 2);

    const notSafe = await home.run(['disk', 'wait', DISK, '--safe', '--timeout', '0.5']);
    t.deepEqual([notSafe.exitCode, notSafe.errorCode], [1, 'TIMEOUT']);
    t.is((await home.info(DISK)).safeToSwitchOff, false);
    const safe = home.run(['disk', 'wait', DISK, '--safe', '--timeout', '50']);
    await take(office);
    const complete = await office.ok('disk', 'wait', DISK, '--complete', '--timeout', '50');
    t.is(Number(complete.piecesPresent) + Number(complete.piecesZero), Number(complete.piecesTotal));
    t.is((await safe).document.safeToSwitchOff, true);
    const { safeToSwitchOff, safeReasons } = (await office.info(DISK)) as {
      safeToSwitchOff: boolean;
      safeReasons: string[];
    };
    t.false(safeToSwitchOff);
    t.true(safeReasons.length > 0);
  },
);

test.serial('a copy is let go only when another host has promised to have it all', async (t) => {
  const { folder, hosts, content } = await startNetwork(t, ['home', 'office']);
  const [home, office] = hosts as [(typeof hosts)[0], (typeof hosts)[0]];
  await attach(home);
  t.is((await home.run(['disk', 'rm', DISK])).errorCode, 'DISK_ATTACHED');
  await detach(home);
  t.is((await home.run(['disk', 'rm', DISK])).errorCode, 'LAST_COPY');
  await home.invite(office, DISK);
  await take(office);
  t.is((await home.run(['disk', 'rm', DISK])).errorCode, 'LAST_COPY', 'office has nothing yet');
  await pull(office);
  t.is((await home.ok('disk', 'rm', DISK)).removed, true);
  t.deepEqual(((await home.ok('disk', 'ls')) as { disks: Json[] }).disks, []);
  await eventually('the space is free again', async () => (await home.ok('store', 'stats')).chunks === 0);
  t.is(firstDifference(await exported(office, folder), content), -1);
});
