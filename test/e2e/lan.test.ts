/** Hosts on a network segment of their own, in network namespaces: they meet there, and again after one got another address. Needs root. */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { pattern } from './nbd.ts';
import { DISK, exported, firstDifference, MIB, pull } from './network.ts';
import { Host, type Json, temporaryFolder } from './processes.ts';

function ip(...args: string[]): void {
  execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'pipe'] });
}

test.serial(
  '--lan on all addresses: hosts of one segment meet, also after one has moved to another address',
  async (t) => {
    const [near, far] = ['near', 'far'].map((part) => `dswlan-${process.pid}-${part}`) as [string, string];
    for (const space of [near, far]) {
      ip('netns', 'add', space);
      t.teardown(() => ip('netns', 'del', space));
      ip('-n', space, 'link', 'set', 'lo', 'up');
    }
    ip('link', 'add', 'eth0', 'netns', near, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', far);
    ip('-n', near, 'addr', 'add', '192.168.77.1/24', 'dev', 'eth0');
    ip('-n', far, 'addr', 'add', '192.168.77.2/24', 'dev', 'eth0');
    for (const space of [near, far]) ip('-n', space, 'link', 'set', 'eth0', 'up');

    const folder = temporaryFolder(t);
    const image = path.join(folder, 'image.raw');
    const content = pattern(2 * MIB, 3);
    fs.writeFileSync(image, content);
    const home = new Host(t, folder, 'home');
    const office = new Host(t, folder, 'office');
    const at = (space: string, listen: string) => ({
      prefix: ['ip', 'netns', 'exec', space],
      args: ['--listen', listen, '--lan'],
    });
    // The invitation is made where no segment is, so that it names no address that works.
    await Promise.all([home.start(), office.start(at(far, '0.0.0.0:0')), home.ok('owner', 'init')]);
    await home.ok('disk', 'import', image, '--name', DISK);
    await home.invite(office, DISK);
    await home.stop();
    await home.start(at(near, '0.0.0.0:0'));
    await Promise.all([home.connectedTo(office), office.connectedTo(home)]);
    await pull(office);
    t.is(firstDifference(await exported(office, folder), content), -1);

    // Away, and back with another address and port.
    await home.stop();
    ip('-n', near, 'addr', 'del', '192.168.77.1/24', 'dev', 'eth0');
    await home.start(at(near, '0.0.0.0:0'));
    ip('-n', near, 'addr', 'add', '192.168.77.9/24', 'dev', 'eth0');
    await office.connectedTo(home);
    const { peers } = (await home.call('peer.ls', {})) as { peers: Json[] };
    t.regex(String(peers[0]?.address), /^192\.168\.77\.2:/);
  },
);
