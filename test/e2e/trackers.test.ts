/**
 * Trackers as users run them, killed and started again, alone and several on a Redis: what hosts left there stays, what was old stays
 * old, and who floods or spoofs is in nobody's way.
 */
import dgram from 'node:dgram';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { startRedis } from '@diskswarm/test-servers';
import test from 'ava';
import { announce, get, makeSwarm, type Swarm } from './announces.ts';
import { type Daemon, eventually, type Json, startTracker, temporaryFolder } from './processes.ts';

async function statsOf(tracker: Daemon): Promise<Json> {
  return JSON.parse(String((await get(`http://${tracker.listen}/stats`)).body)) as Json;
}

/** What a host that comes alone is told. */
async function newsAt(tracker: Daemon, { infoHash }: Swarm): Promise<Uint8Array | null> {
  const { blob } = await announce(tracker, infoHash, 9, { event: 'none' });
  return blob === undefined ? null : new Uint8Array(blob);
}

test('a tracker that is killed has the news again, refuses what was old before, and starts on garbage', async (t) => {
  const folder = path.join(temporaryFolder(t), 'tracker');
  const args = ['--store', folder];
  const swarm = makeSwarm();
  const [one, two, three] = [swarm.news(1), swarm.news(2), swarm.news(3)];
  let tracker = await startTracker(t, { args });
  await announce(tracker, swarm.infoHash, 7001, { blob: one });
  await announce(tracker, swarm.infoHash, 7001, { blob: two, event: 'stopped' });
  // Answered, and in the same moment it is gone.
  await tracker.crash();
  tracker = await startTracker(t, { args });
  t.like(await statsOf(tracker), { news: 1, journal: true });
  await announce(tracker, swarm.infoHash, 7002, { blob: one });
  t.deepEqual(await newsAt(tracker, swarm), two);
  t.like(await statsOf(tracker), { refused: { blob: 1 } });
  await announce(tracker, swarm.infoHash, 7002, { blob: three, event: 'stopped' });
  await tracker.crash();
  tracker = await startTracker(t, { args });
  await announce(tracker, swarm.infoHash, 7003, { blob: two });
  t.deepEqual(await newsAt(tracker, swarm), three);
  await tracker.crash();

  fs.writeFileSync(path.join(folder, 'news.journal'), 'no journal at all '.repeat(1000));
  tracker = await startTracker(t, { args });
  t.true(fs.existsSync(path.join(folder, 'news.journal.damaged')));
  t.is(await newsAt(tracker, swarm), null);
  await announce(tracker, swarm.infoHash, 7003, { blob: three });
  await tracker.crash();
  tracker = await startTracker(t, { args });
  t.deepEqual(await newsAt(tracker, swarm), three);
});

test('two trackers on one Redis: the newest news of all, over the death of each tracker and of Redis', async (t) => {
  const redis = await startRedis(t);
  const start = (): Promise<Daemon> => startTracker(t, { args: ['--store', redis.url] });
  const isUp = (tracker: Daemon, store: boolean): Promise<true> =>
    eventually(`the store is ${store ? 'reached' : 'away'}`, async () => (await statsOf(tracker)).store === store);
  const has = (tracker: Daemon, swarm: Swarm, blob: Uint8Array): Promise<true> =>
    eventually(
      'the newest news',
      async () => Buffer.compare((await newsAt(tracker, swarm)) ?? blob.subarray(1), blob) === 0,
    );
  const [left, right] = await Promise.all([start(), start()]);
  await Promise.all([isUp(left, true), isUp(right, true)]);
  const [desk, lab] = [makeSwarm(), makeSwarm()];
  const [older, newer] = [desk.news(4), desk.news(5)];
  // The newer one first at one, the older one last at the other.
  await announce(left, desk.infoHash, 7001, { blob: newer });
  await announce(right, desk.infoHash, 7002, { blob: older });
  await announce(right, lab.infoHash, 7003, { blob: lab.news(1) });
  await Promise.all([has(left, desk, newer), has(right, desk, newer)]);
  await eventually('both swarms at both', async () => (await statsOf(left)).news === 2);
  await Promise.all([left.crash(), right.crash()]);
  const next = await start();
  await has(next, desk, newer);
  await announce(next, desk.infoHash, 7001, { blob: older });
  t.deepEqual(await newsAt(next, desk), newer);

  await redis.kill();
  await isUp(next, false);
  await eventually('its log says so', () => next.stderr.includes('does not answer'));
  const last = desk.news(6);
  const answer = await announce(next, desk.infoHash, 7004, { blob: last });
  t.true(answer.peers.length > 0, 'nobody is turned away');
  const other = await start();
  await announce(other, desk.infoHash, 7005, { blob: older });
  t.deepEqual(await newsAt(other, desk), older, 'it cannot know better yet');
  await redis.start();
  await has(other, desk, last);
  await eventually('its log says that Redis is back', () => other.stderr.includes('the Redis of --store answers'));
  await eventually('the lab is known again', async () => (await statsOf(other)).news === 2);
  t.deepEqual(await newsAt(next, desk), last);
});

test('who floods is not heard beyond the limit, who spoofs is not heard at all; others meet as before', async (t) => {
  const tracker = await startTracker(t, { args: ['--udp', '127.0.0.1:0', '--limit', '50'] });
  const swarm = makeSwarm();
  const rssBytes = (): number =>
    Number(/RssAnon:\s+(\d+) kB/.exec(fs.readFileSync(`/proc/${tracker.pid}/status`, 'utf8'))?.[1]) * 1024;
  const before = rssBytes();
  const udp = new URL(String(tracker.ready.udpAnnounceUrl).replace('udp:', 'http:'));
  const socket = dgram.createSocket('udp4');
  t.teardown(() => void socket.close());
  socket.bind(0, '127.0.0.2');
  await once(socket, 'listening');
  let answeredBytes = 0;
  socket.on('message', (bytes) => {
    answeredBytes += bytes.length;
  });
  // An announce by datagram with a connection id that was made up: what a spoofer can send in somebody's name.
  const spoofed = Buffer.alloc(98, 0x41);
  spoofed.writeUInt32BE(1, 8);
  spoofed.write(swarm.infoHash, 16, 'hex');
  spoofed.writeUInt16BE(7777, 96);
  let flooding = true;
  const flood = async (): Promise<void> => {
    for (let port = 1; flooding; port++) {
      for (let count = 0; count < 50; count++) socket.send(spoofed, Number(udp.port), udp.hostname);
      await announce(tracker, swarm.infoHash, 1 + (port % 60_000), { from: '127.0.0.2' }).catch(() => {});
    }
  };
  const floods = Array.from({ length: 4 }, flood);
  const forged = makeSwarm().news(9);
  for (let round = 0; round < 30; round++) {
    const { peers } = await announce(tracker, swarm.infoHash, 7001, { from: '127.0.0.3' });
    await announce(tracker, swarm.infoHash, 7002, { from: '127.0.0.4', blob: forged });
    if (round > 0) t.true(peers.length > 0);
  }
  await eventually('the limit was met', async () => Number(((await statsOf(tracker)).refused as Json).limit) > 100);
  flooding = false;
  await Promise.all(floods);
  const { refused, news } = (await statsOf(tracker)) as { refused: Json; news: number };
  t.is(news, 0);
  t.is(Number(refused.blob), 30);
  t.is(answeredBytes, 0);
  t.true(rssBytes() - before < 96 * 2 ** 20);
  // Nobody can be named but who asks.
  const url = `${tracker.ready.announceUrl}?info_hash=${'%11'.repeat(20)}&peer_id=${'%22'.repeat(20)}&left=1&compact=1`;
  await eventually(
    'a second later',
    async () => (await get(`${url}&port=6881&ip=192.0.2.9`, '127.0.0.5')).status === 200,
  );
  const { peers } = await announce(tracker, '11'.repeat(20), 7001, { from: '127.0.0.6' });
  t.deepEqual(peers, ['127.0.0.5:6881']);
});
