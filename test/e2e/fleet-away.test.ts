/** Hosts of a lab that never were up together with whoever invited them: they meet, and one boots from the other. */
import test from 'ava';
import { NbdClient } from './nbd.ts';
import { CHUNK_BYTES, DISK, MIB, startNetwork, trackerArgs } from './network.ts';
import type { Host, Json } from './processes.ts';

test.serial('a host that was off when another was invited serves it a fleet while the owner is off', async (t) => {
  const { hosts, content, tracker } = await startNetwork(t, ['home', 'lab1', 'lab2'], { sizeBytes: 4 * MIB });
  const [home, lab1, lab2] = hosts as [Host, Host, Host];
  await home.ok('disk', 'publish', DISK);
  await home.invite(lab1, DISK, 'reader');
  await lab1.ok('disk', 'pull', DISK);
  await lab1.stop();
  const { line } = await home.ok('disk', 'grant', DISK, '--token', '--uses', '1');
  await lab2.ok('disk', 'join', String(line));
  await lab2.connectedTo(home);
  await home.stop();

  // Its roster is the older one: nobody it knows can tell it of lab2.
  await lab1.start({ args: trackerArgs(tracker) });
  await lab2.connectedTo(lab1);
  const { members } = await lab1.ok('disk', 'members', DISK);
  t.deepEqual((members as Json[]).map(({ hostId }) => hostId).sort(), [home.id, lab1.id, lab2.id].sort());
  await lab2.ok('fleet', 'start', DISK, '--count', '1');
  const { socket } = (await lab2.info(`${DISK}-1`)).attached as { socket: string };
  const client = await NbdClient.connect(socket, `${DISK}-1`);
  const { data } = await client.request(0, CHUNK_BYTES, CHUNK_BYTES);
  t.true(data.equals(content.subarray(CHUNK_BYTES, 2 * CHUNK_BYTES)));
  await client.close();
});
