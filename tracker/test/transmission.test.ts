/** transmission announces itself to our tracker, over HTTP and by datagram. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodeCanonical } from '@diskswarm/core';
import { systemClock, systemRandom } from '@diskswarm/core/system';
import { freePort } from '@diskswarm/test-servers';
import test from 'ava';
import { startTracker, type Tracker } from '../src/server.ts';

const QUIET = {
  'dht-enabled': false,
  'lpd-enabled': false,
  'pex-enabled': false,
  'port-forwarding-enabled': false,
  'bind-address-ipv4': '127.0.0.1',
};

async function until(holds: () => boolean): Promise<void> {
  for (let turn = 0; turn < 1500 && !holds(); turn++) await new Promise((resolve) => setTimeout(resolve, 20));
  if (!holds()) throw new Error('it did not come to hold within 30 s');
}

const announces = test.macro<[(tracker: Tracker) => string]>(async (t, urlOf) => {
  const tracker = await startTracker({
    listen: '127.0.0.1:0',
    udp: '127.0.0.1:0',
    clock: systemClock,
    random: systemRandom,
  });
  t.teardown(() => tracker.stop());
  const folder = await mkdtemp(join(tmpdir(), 'dstransmission-'));
  const config = join(folder, 'config');
  await mkdir(config);
  await writeFile(join(config, 'settings.json'), JSON.stringify(QUIET));
  const content = systemRandom.bytes(16 * 1024);
  const pieces = createHash('sha1').update(content).digest();
  const info = { length: content.length, name: 'file', 'piece length': content.length, pieces, private: 1 };
  const torrent = join(folder, 'file.torrent');
  await writeFile(join(folder, 'file'), content);
  await writeFile(torrent, encodeCanonical({ announce: urlOf(tracker), info }));
  const where = ['-g', config, '-w', folder, '-M', '-p', String(await freePort())];
  const child: ChildProcess = spawn('transmission-cli', [...where, torrent], { stdio: 'ignore' });
  const ended = once(child, 'close');
  t.teardown(async () => {
    child.kill('SIGKILL');
    await ended;
    await rm(folder, { recursive: true, force: true });
  });
  await until(() => tracker.counts.peers === 1);
  // As any client is told, it comes back: the same peer, once.
  t.deepEqual(tracker.counts, { swarms: 1, peers: 1 });
});

test('transmission announces over HTTP', announces, (tracker) => tracker.announceUrl);
test('transmission announces by datagram', announces, (tracker) => tracker.udpAnnounceUrl as string);
