/** aria2c meets aria2c at our tracker, over HTTP and by datagram: what one seeds the other downloads. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodeCanonical } from '@diskswarm/core';
import { systemClock, systemRandom } from '@diskswarm/core/system';
import test, { type ExecutionContext } from 'ava';
import { startTracker, type Tracker } from '../src/server.ts';

const PIECE_BYTES = 16 * 1024;
/** aria2c asks by datagram only with its DHT on; on loopback and with a private torrent it finds nobody there. */
const COMMON = ['--interface=127.0.0.1', '--enable-dht=true', '--enable-dht6=false', '--bt-enable-lpd=false'];

/** It takes ports that are free by itself. */
function aria2(t: ExecutionContext, folder: string, torrent: string, more: string[]): ChildProcess {
  const files = [`--dir=${folder}`, `--dht-file-path=${join(folder, 'dht.dat')}`, '--file-allocation=none'];
  const child = spawn('aria2c', ['--no-conf', ...COMMON, ...files, ...more, torrent], { stdio: 'ignore' });
  t.teardown(() => {
    child.kill('SIGKILL');
  });
  return child;
}

async function until(holds: () => boolean): Promise<void> {
  for (let turn = 0; turn < 1000 && !holds(); turn++) await new Promise((resolve) => setTimeout(resolve, 20));
  if (!holds()) throw new Error('it did not come to hold within 20 s');
}

const download = test.macro<[(tracker: Tracker) => string]>(async (t, urlOf) => {
  const tracker = await startTracker({
    listen: '127.0.0.1:0',
    udp: '127.0.0.1:0',
    clock: systemClock,
    random: systemRandom,
  });
  t.teardown(() => tracker.stop());
  const [seeding, loading] = await Promise.all(['seed', 'load'].map((name) => mkdtemp(join(tmpdir(), `ds${name}-`))));
  t.teardown(() => Promise.all([seeding, loading].map((folder) => rm(folder!, { recursive: true, force: true }))));
  const content = systemRandom.bytes(10 * PIECE_BYTES);
  const pieces = Buffer.concat(
    Array.from({ length: 10 }, (_, index) =>
      createHash('sha1')
        .update(content.subarray(index * PIECE_BYTES, (index + 1) * PIECE_BYTES))
        .digest(),
    ),
  );
  const info = { length: content.length, name: 'file', 'piece length': PIECE_BYTES, pieces, private: 1 };
  const torrent = join(seeding!, 'file.torrent');
  await writeFile(join(seeding!, 'file'), content);
  await writeFile(torrent, encodeCanonical({ announce: urlOf(tracker), info }));
  aria2(t, seeding!, torrent, ['--bt-seed-unverified=true', '--seed-ratio=0.0']);
  await until(() => tracker.counts.peers === 1);
  const loader = aria2(t, loading!, torrent, ['--seed-time=0']);
  t.is(await new Promise((resolve) => loader.once('close', resolve)), 0);
  t.deepEqual(await readFile(join(loading!, 'file')), Buffer.from(content));
  t.is(tracker.counts.peers, 1, 'the one that had what it wanted said goodbye');
});

test('aria2c announces over HTTP', download, (tracker) => tracker.announceUrl);
test('aria2c announces by datagram', download, (tracker) => tracker.udpAnnounceUrl as string);
