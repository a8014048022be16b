/** Hosts meet at a tracker that nobody here wrote, under a name that only the swarm secret gives, and leave it without a trace. */
import type { AddressInfo } from 'node:net';
import type { Address, DiskId } from '@diskswarm/core';
import { systemClock, systemRandom } from '@diskswarm/core/system';
import { createSwarmSecret, infoHashOf, topicOf } from '@diskswarm/identity';
import { DiskAnnouncer } from '@diskswarm/swarm';
import { httpTracker } from '@diskswarm/swarm/transport';
import test, { type ExecutionContext } from 'ava';
import Server from 'bittorrent-tracker/server';

const DISK = 'd1'.repeat(32) as DiskId;

async function foreignTracker(t: ExecutionContext): Promise<{ url: string; server: Server }> {
  const server = new Server({ http: true, udp: false, ws: false, stats: false, interval: 60_000 });
  await new Promise<void>((resolve) => server.listen({ http: 0 }, { http: '127.0.0.1' }, resolve));
  t.teardown(() => new Promise<void>((resolve) => server.close(resolve)));
  return { url: `http://127.0.0.1:${(server.http.address() as AddressInfo).port}/announce`, server };
}

/** A host that announces a disk: `asked` when the tracker knows it under every topic, `met` with the first address of another host. */
function host(options: { url: string; secrets: readonly Uint8Array[]; port: number; leftBytes: number }) {
  const met = Promise.withResolvers<Address>();
  const asked = Promise.withResolvers<void>();
  let answers = 0;
  const announcer = new DiskAnnouncer({
    membership: { disk: DISK, secrets: () => options.secrets },
    trackers: [options.url],
    client: httpTracker,
    clock: systemClock,
    random: systemRandom,
    listenPort: options.port,
    leftBytes: () => options.leftBytes,
    onPeers: (addresses) => {
      answers += 1;
      if (answers === options.secrets.length) asked.resolve();
      const other = addresses.find((address) => !address.endsWith(`:${options.port}`));
      if (other !== undefined) met.resolve(other);
    },
  });
  announcer.start();
  return { announcer, met: met.promise, asked: asked.promise };
}

test('two hosts of a disk find each other, one with all of it and one with a part', async (t) => {
  const { url, server } = await foreignTracker(t);
  const secret = createSwarmSecret(systemRandom);
  const home = host({ url, secrets: [secret], port: 7001, leftBytes: 0 });
  await home.asked;
  const hotel = host({ url, secrets: [secret], port: 7002, leftBytes: 4096 });
  t.is(await hotel.met, '127.0.0.1:7001');
  t.deepEqual(home.announcer.status(), [{ url, ok: true, message: null }]);
  const swarm = server.torrents[Buffer.from(infoHashOf(topicOf(secret, DISK))).toString('hex')];
  t.deepEqual([swarm?.complete, swarm?.incomplete], [1, 1]);
  await Promise.all([home.announcer.stop(), hotel.announcer.stop()]);
  t.deepEqual([swarm?.complete, swarm?.incomplete], [0, 0]);
});

test('a host that was away finds the others by the secret before', async (t) => {
  const { url } = await foreignTracker(t);
  const [before, now] = [createSwarmSecret(systemRandom), createSwarmSecret(systemRandom)];
  const home = host({ url, secrets: [now, before], port: 7003, leftBytes: 0 });
  await home.asked;
  const hotel = host({ url, secrets: [before], port: 7004, leftBytes: 1 });
  t.teardown(() => Promise.all([home.announcer.stop(), hotel.announcer.stop()]));
  t.is(await hotel.met, '127.0.0.1:7003');
});

test('a tracker that refuses is named with its own words', async (t) => {
  const { url } = await foreignTracker(t);
  const signal = new AbortController().signal;
  const request = {
    infoHash: 'ab'.repeat(20),
    peerId: new Uint8Array(20),
    port: 7005,
    uploadedBytes: 0,
    downloadedBytes: 0,
    leftBytes: 0,
    event: 'none',
    peersWanted: null,
  } as const;
  const refusing = `${url}?info_hash=short`;
  const error = await t.throwsAsync(httpTracker.announce(refusing, request, { signal }));
  t.regex(error?.message ?? '', /refuses: .*info_hash/);
});
