/** News of a generation outlives whoever sealed it: it waits at the tracker for members that come when nobody else is there. */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { NbdClient, pattern } from './nbd.ts';
import { eventually, Host, startTracker, temporaryFolder } from './processes.ts';

test('a host that comes up alone says what it misses; an owner whose state was set back writes nothing on top of it', async (t) => {
  const folder = temporaryFolder(t);
  const tracker = ['--tracker', String((await startTracker(t)).ready.announceUrl)];
  const [home, office] = [new Host(t, folder, 'home'), new Host(t, folder, 'office')];
  const image = path.join(folder, 'image.raw');
  fs.writeFileSync(image, pattern(1024 * 1024, 1));
  await Promise.all([home.start({ args: tracker }), office.start({ args: tracker }), home.ok('owner', 'init')]);
  await home.ok('disk', 'import', image, '--name', 'desk');
  await home.invite(office, 'desk', 'reader');
  await office.ok('disk', 'pull', 'desk');
  await Promise.all([home.stop(), office.stop()]);
  const backup = path.join(folder, 'backup');
  fs.cpSync(home.state, backup, { recursive: true });
  // Home goes on without office, and leaves.
  await home.start({ args: tracker });
  const { socket } = await home.ok('disk', 'attach', 'desk');
  const client = await NbdClient.connect(String(socket), 'desk');
  t.is(await client.write(0, pattern(65_536, 2)), 0);
  await client.close();
  t.is((await home.ok('disk', 'seal', 'desk')).sequence, 2);
  await home.ok('disk', 'detach', 'desk');
  await home.stop();

  await office.start({ args: tracker });
  await eventually('office heard of generation 2', async () => (await office.info('desk')).newerGeneration !== null);
  t.like(await office.info('desk'), { sequence: 1, newerGeneration: { sequence: 2, epoch: 1, hostId: home.id } });
  const attached = await office.ok('disk', 'attach', 'desk', '--read-only');
  t.regex(String(attached.warning), /trackers tell of generation 2/);
  await office.stop();

  // The state of before is put back.
  fs.rmSync(home.state, { recursive: true });
  fs.cpSync(backup, home.state, { recursive: true });
  await home.start({ args: tracker });
  await eventually(
    'home heard of its own generation 2',
    async () => (await home.info('desk')).newerGeneration !== null,
  );
  const refused = await home.run(['disk', 'attach', 'desk']);
  t.deepEqual([refused.exitCode, refused.errorCode], [1, 'GENERATION_BEHIND']);
  // Its owner decides that this is all there is.
  await home.ok('disk', 'take', 'desk', '--force');
  await home.ok('disk', 'attach', 'desk');
  t.is((await home.info('desk')).newerGeneration, null);
});
