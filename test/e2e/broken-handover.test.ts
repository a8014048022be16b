/**
 * A hand-over that is cut in the middle, and one that is forced: never two writers, and both sides say what is going on.
 */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { diesOver, inject, ONE_POOL_THREAD } from './inject.ts';
import { NbdClient, pattern } from './nbd.ts';
import { eventually, Host, isInstalled, type Json, temporaryFolder } from './processes.ts';

const MIB = 1024 * 1024;
const CHUNK = 65_536;

/** Home owns the disk, office has joined it; each is told where the other listens. */
async function pair(t: ExecutionContext): Promise<{ home: Host; office: Host; folder: string }> {
  const folder = temporaryFolder(t);
  const [home, office] = [new Host(t, folder, 'home'), new Host(t, folder, 'office')];
  fs.writeFileSync(path.join(folder, 'image.raw'), pattern(4 * MIB, 1));
  await Promise.all([home.start(), office.start(), home.ok('owner', 'init')]);
  await home.ok('disk', 'import', path.join(folder, 'image.raw'), '--name', 'desktop');
  await home.invite(office, 'desktop');
  await office.connectedTo(home);
  return { home, office, folder };
}

function restart(host: Host, listen: string, peer: string): Promise<unknown> {
  return host.start({ args: ['--listen', listen, '--peer', peer], env: ONE_POOL_THREAD });
}

async function writable(host: Host): Promise<NbdClient> {
  const { socket } = await host.ok('disk', 'attach', 'desktop');
  return NbdClient.connect(String(socket), 'desktop');
}

test('the other host dies in the middle of a hand-over: in doubt both stay stopped, and both know once they meet again', async (t) => {
  const { home, office } = await pair(t);
  const [homePort, officePort] = [home.daemon!.listen, office.daemon!.listen];
  const client = await writable(home);
  t.is(await client.write(0, pattern(CHUNK, 5)), 0);
  await client.close();
  await home.ok('disk', 'detach', 'desktop');
  // Office takes nothing in any more: the offer is sent, and its answer does not come.
  office.daemon!.kill('SIGSTOP');
  const handing = home.run(['disk', 'handover', 'desktop', '--to', office.id]);
  await eventually('home has given the disk away', async () => Number((await home.info('desktop')).epoch) === 2);
  await office.daemon!.crash();
  const doubt = await handing;
  t.deepEqual([doubt.exitCode, doubt.errorCode, doubt.errorData.to], [1, 'HANDOVER_IN_DOUBT', office.id]);
  t.is((await home.run(['disk', 'attach', 'desktop'])).errorCode, 'ATTACHMENT_STATE');
  // Home dies too, and is as stopped as before when it comes back.
  await home.daemon!.crash();
  await restart(home, homePort, officePort);
  t.is((await home.run(['disk', 'attach', 'desktop'])).errorCode, 'ATTACHMENT_STATE');
  t.is((await home.run(['disk', 'seal', 'desktop'])).errorCode, 'ATTACHMENT_STATE');
  await restart(office, officePort, homePort);
  // Nobody has to do anything more.
  const there = await eventually('office may write', () => writable(office), 30_000);
  t.true((await there.read(0, CHUNK)).equals(pattern(CHUNK, 5)));
  t.is(await there.write(CHUNK, pattern(CHUNK, 6)), 0);
  await there.close();
  t.is((await home.ok('disk', 'handover', 'desktop', '--to', office.id)).ownerHostId, office.id);
  t.is((await home.run(['disk', 'attach', 'desktop'])).errorCode, 'NOT_OWNER');
});

test('a forced take-over needs the owner key, names the fork, and closes the old export as soon as its host hears of it', async (t) => {
  const { home, office, folder } = await pair(t);
  const [homePort, officePort] = [home.daemon!.listen, office.daemon!.listen];
  await office.ok('disk', 'pull', 'desktop');
  const client = await writable(home);
  t.is(await client.write(0, pattern(CHUNK, 7)), 0);
  t.is(await client.flush(), 0);
  // Forced where nothing is to be had by it, nothing happens: the guest's unsealed writes stay.
  t.is((await home.ok('disk', 'take', 'desktop', '--force')).epoch, 1);
  t.true((await client.read(0, CHUNK)).equals(pattern(CHUNK, 7)));
  // Home is cut off: alive, with a guest, and out of reach.
  home.daemon!.kill('SIGSTOP');
  await office.daemon!.crash();
  await office.start({ args: ['--listen', officePort] });
  const owner = path.join(folder, 'owner.key');
  fs.renameSync(owner, `${owner}.away`);
  t.is((await office.run(['disk', 'take', 'desktop', '--force'])).errorCode, 'OWNER_FILE_MISSING');
  t.is((await office.info('desktop')).ownerHostId, home.id);
  fs.renameSync(`${owner}.away`, owner);
  const taken = await office.ok('disk', 'take', 'desktop', '--force');
  t.is(taken.ownerHostId, office.id);
  t.regex(String(taken.forkName), /^[a-z0-9._-]+$/);
  const there = await writable(office);
  t.true((await there.read(0, CHUNK)).equals(pattern(4 * MIB, 1).subarray(0, CHUNK)));
  t.is(await there.write(CHUNK, pattern(CHUNK, 8)), 0);
  await there.close();
  t.is((await office.ok('disk', 'seal', 'desktop')).epoch, 2);
  home.daemon!.kill('SIGCONT');
  await Promise.race([
    client.ended,
    new Promise((_, reject) => setTimeout(reject, 40_000, new Error('the old export lives on'))),
  ]);
  await eventually('home knows', async () => (await home.info('desktop')).ownerHostId === office.id);
  const info = await home.info('desktop');
  t.is(info.attached, null);
  t.is(info.forkName, taken.forkName);
  t.is((await home.run(['disk', 'attach', 'desktop'])).errorCode, 'NOT_OWNER');
  // Started again it stays closed; what its guest wrote and nobody has is kept, and said.
  t.regex(home.daemon!.stderr, /holds writes that no generation has/);
  await home.stop();
  await restart(home, homePort, officePort);
  t.is((await home.info('desktop')).attached, null);
  t.true(
    fs
      .readdirSync(path.join(home.state, 'disks'), { recursive: true })
      .some((name) => String(name).includes('overlay-1/')),
  );
  const read = (await home.ok('disk', 'attach', 'desktop', '--read-only')) as Json;
  const reader = await NbdClient.connect(String(read.socket), 'desktop');
  t.true((await reader.read(CHUNK, CHUNK)).equals(pattern(CHUNK, 8)));
  await reader.close();
});

for (const dying of ['home', 'office'] as const) {
  test(`${dying} dies at any sync of a hand-over: afterwards one of the two owns the disk, with all that was written`, async (t) => {
    if (!isInstalled('strace')) return t.fail('strace is not installed: node scripts/setup.mjs test');
    const { home, office } = await pair(t);
    const [homePort, officePort] = [home.daemon!.listen, office.daemon!.listen];
    const again = (host: Host): Promise<unknown> =>
      host === home ? restart(home, homePort, officePort) : restart(office, officePort, homePort);
    await Promise.all([home.stop(), office.stop()]);
    await Promise.all([again(home), again(office)]);
    const attach = (host: Host): Promise<unknown> =>
      host.call('disk.attach', { name: 'desktop', readOnly: false, socket: null });
    const content = pattern(4 * MIB, 1);
    let [from, to] = [home, office];
    let deaths = 0;
    for (let when = 1; when <= 4; when++) {
      const { socket } = (await attach(from)) as Json;
      const client = await NbdClient.connect(String(socket), 'desktop');
      const bytes = pattern(CHUNK, 200 + when);
      content.set(bytes, when * CHUNK);
      t.is(await client.write(when * CHUNK, bytes), 0);
      await client.close();
      await from.call('disk.detach', { name: 'desktop' });
      await from.connectedTo(to);
      const victim = (dying === 'home') === (from === home) ? from : to;
      const { pid } = victim.daemon!;
      const death = await inject(t, pid, `fdatasync,fsync:signal=SIGKILL:when=${when}`);
      const handing = from.call('disk.handover', { name: 'desktop', to: to.id });
      if (await diesOver(victim.daemon!, handing)) {
        deaths += 1;
        await again(victim);
      } else await death.stop();
      await handing.catch(() => null);
      const owner = await eventually('one of them may write', async () => {
        const can: Host[] = [];
        for (const host of [home, office])
          await attach(host).then(
            () => can.push(host),
            () => null,
          );
        t.true(can.length < 2, 'two hosts may write');
        return can[0];
      });
      const open = (await owner.info('desktop')).attached as Json;
      const reader = await NbdClient.connect(String(open.socket), 'desktop');
      t.true((await reader.read(0, 4 * MIB)).equals(content), `after a death at sync ${when}`);
      await reader.close();
      await owner.call('disk.detach', { name: 'desktop' });
      [from, to] = owner === home ? [home, office] : [office, home];
    }
    t.true(deaths >= 2, `only ${deaths} syncs`);
  });
}
