/** A fleet of clones on two hosts: attached, listed, gone on with after a crash, stopped and removed. */
import test from 'ava';
import { NbdClient } from './nbd.ts';
import { CHUNK_BYTES, DISK, MIB, startNetwork, trackerArgs } from './network.ts';
import { eventually, type Host, type Json } from './processes.ts';

interface Member {
  readonly name: string;
  readonly fleet: string;
  readonly state: string;
  readonly uri: string | null;
}

async function members(host: Host): Promise<Member[]> {
  return (await host.ok('fleet', 'ls')).members as Member[];
}

test.serial('a fleet is started on two hosts, survives a crash in the middle, and is stopped', async (t) => {
  const { hosts, content, tracker } = await startNetwork(t, ['home', 'lab1', 'lab2'], { sizeBytes: 8 * MIB });
  const [home, lab1, lab2] = hosts as [Host, Host, Host];
  t.is((await home.run(['fleet', 'start', DISK, '--count', '2'])).errorCode, 'TEMPLATE_NOT_FOUND');
  t.is((await home.run(['fleet', 'start', DISK, '--count', '0'])).exitCode, 2);
  await home.ok('disk', 'publish', DISK);
  for (const lab of [lab1, lab2]) await home.invite(lab, DISK, 'reader');
  await lab1.connectedTo(lab2);

  // The agent dies while the fleet is being made.
  const starting = lab1.run(['fleet', 'start', DISK, '--count', '6']);
  await eventually('the first clone is there', async () => {
    const { disks } = (await lab1.call('disk.ls', {})) as { disks: Json[] };
    return disks.some(({ name }) => name === `${DISK}-1`);
  });
  await lab1.daemon!.crash();
  await starting;
  await lab1.start({ args: trackerArgs(tracker) });
  const left = await members(lab1);
  t.true(left.length >= 1 && left.every(({ fleet }) => fleet === DISK));
  const again = await lab1.run(['fleet', 'start', DISK, '--count', '6']);
  t.is(again.exitCode, 0);
  t.is(again.documents.filter(({ event }) => event === 'started').length, 6);
  t.deepEqual(
    (await members(lab1)).map(({ name, state }) => `${name} ${state}`),
    [1, 2, 3, 4, 5, 6].map((index) => `${DISK}-${index} attached`),
  );

  const other = await lab1.run(['fleet', 'start', `${DISK}@2`, '--count', '6']);
  t.is(other.errorCode, 'NAME_EXISTS', 'these clones are of another generation');
  t.regex(other.errorMessage, /is a clone of desktop@1, not of desktop@2/);

  await lab2.ok('fleet', 'start', `${DISK}@1`, '--count', '2', '--name', 'bench');
  const socketOf = async (host: Host, name: string): Promise<string> =>
    String(((await host.info(name)).attached as Json).socket);
  for (const [host, name] of [
    [lab1, `${DISK}-1`],
    [lab1, `${DISK}-6`],
    [lab2, 'bench-2'],
  ] as const) {
    const client = await NbdClient.connect(await socketOf(host, name), name);
    const { data } = await client.request(0, 3 * CHUNK_BYTES, CHUNK_BYTES);
    t.true(data.equals(content.subarray(3 * CHUNK_BYTES, 4 * CHUNK_BYTES)), name);
    await client.close();
  }
  t.is((await lab2.run(['fleet', 'start', DISK, '--count', '1', '--name', 'bench-2'])).exitCode, 0);
  t.deepEqual((await lab2.ok('fleet', 'stop', 'bench')).stopped, ['bench-1', 'bench-2']);
  t.is((await lab2.run(['fleet', 'stop', 'nothing'])).errorCode, 'DISK_NOT_FOUND');
  t.deepEqual(
    (await members(lab2)).map(({ name, state }) => `${name} ${state}`),
    ['bench-1 stopped', 'bench-2 stopped', 'bench-2-1 attached'],
  );
  await lab1.ok('fleet', 'stop', '--remove');
  t.deepEqual(await members(lab1), []);
  t.is((await lab1.info(DISK)).name, DISK, 'the template stays');
});
