/** Hosts meet at opentracker, which keeps no news for them and is none the worse for being asked to. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { Address, DiskId } from '@diskswarm/core';
import { toHex } from '@diskswarm/core';
import { systemClock, systemRandom } from '@diskswarm/core/system';
import { createSwarmSecret, infoHashOf, topicOf } from '@diskswarm/identity';
import { DiskAnnouncer } from '@diskswarm/swarm';
import { httpTracker } from '@diskswarm/swarm/transport';
import { freePort } from '@diskswarm/test-servers';
import test, { type ExecutionContext } from 'ava';

const DISK = 'd1'.repeat(32) as DiskId;

/** opentracker for one swarm: Debian's serves those that are listed only. */
async function opentracker(t: ExecutionContext, infoHash: string): Promise<string> {
  const port = await freePort();
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'dsopentracker-'));
  fs.chmodSync(folder, 0o755);
  fs.writeFileSync(path.join(folder, 'hashes'), `${infoHash}\n`);
  const where = ['-i', '127.0.0.1', '-p', String(port), '-P', String(port)];
  const child = spawn('opentracker', [...where, '-d', folder, '-u', 'nobody', '-w', 'hashes'], {
    cwd: folder,
    stdio: 'ignore',
  });
  const ended = once(child, 'close');
  t.teardown(async () => {
    child.kill('SIGKILL');
    await ended;
    fs.rmSync(folder, { recursive: true, force: true });
  });
  const url = `http://127.0.0.1:${port}/announce`;
  // It says nothing when it is ready.
  for (;;) {
    const up = await fetch(url).then(
      () => true,
      () => false,
    );
    if (up) return url;
    if (child.exitCode !== null) throw new Error(`opentracker ended with ${child.exitCode}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** A host that announces the disk and leaves news. */
function host(url: string, secret: Uint8Array, port: number) {
  const met = Promise.withResolvers<Address>();
  const asked = Promise.withResolvers<void>();
  const announcer = new DiskAnnouncer({
    membership: { disk: DISK, secrets: () => [secret] },
    trackers: [url],
    client: httpTracker,
    clock: systemClock,
    random: systemRandom,
    listenPort: port,
    leftBytes: () => 1,
    blob: () => new Uint8Array(900).fill(1),
    onBlob: () => met.reject(new Error('news from a tracker that keeps none')),
    onPeers: (addresses) => {
      asked.resolve();
      const other = addresses.find((address) => !address.endsWith(`:${port}`));
      if (other !== undefined) met.resolve(other);
    },
  });
  announcer.start();
  return { announcer, met: met.promise, asked: asked.promise };
}

test('two hosts of a disk find each other at opentracker, and leave it without a trace', async (t) => {
  const secret = createSwarmSecret(systemRandom);
  const url = await opentracker(t, toHex(infoHashOf(topicOf(secret, DISK))));
  const home = host(url, secret, 7001);
  await home.asked;
  const hotel = host(url, secret, 7002);
  t.is(await hotel.met, '127.0.0.1:7001');
  t.deepEqual(home.announcer.status(), [{ url, ok: true, message: null }]);
  await Promise.all([home.announcer.stop(), hotel.announcer.stop()]);
  const late = host(url, secret, 7003);
  await late.asked;
  await late.announcer.stop();
  const answer = await Promise.race([late.met, Promise.resolve('nobody')]);
  t.is(answer, 'nobody');
});
