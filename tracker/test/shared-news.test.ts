/** News that trackers share through a real Redis: the newest stays, whoever comes first, and over everything that happens to Redis. */
import type { Clock, Timer } from '@diskswarm/core';
import { systemClock, systemRandom } from '@diskswarm/core/system';
import { startRedis } from '@diskswarm/test-servers';
import { createClient } from '@redis/client';
import test, { type ExecutionContext } from 'ava';
import { BLOB_LIFE_SECONDS, MAX_BLOBS } from '../src/limits.ts';
import { type News, NewsBoard } from '../src/news-board.ts';
import { makeRedisClient } from '../src/server/redis-client.ts';
import { RedisNews } from '../src/server/redis-news.ts';
import { RedisStream } from '../src/server/redis-stream.ts';
import { SharedNews } from '../src/shared-news.ts';
import { SharedStore } from '../src/shared-store.ts';
import { SwarmTable } from '../src/swarm-table.ts';
import { makeSwarm } from './news.ts';

const HOME = '7f000001';
const KEY = 'diskswarm:tracker:1';

/** A tracker without its sockets. */
function tracker(t: ExecutionContext, url: string): { board: NewsBoard; store: SharedStore; log: RedisStream } {
  const options = { clock: systemClock, random: systemRandom };
  const board = new NewsBoard(systemClock);
  const log = new RedisStream({ url, ...options, windowSeconds: 300 });
  const store = new SharedStore(new SwarmTable(options), board, systemClock, log);
  store.start();
  t.teardown(() => store.stop());
  return { board, store, log };
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 20));
}

/** What a tracker that starts now is told. */
async function onShelf(url: string): Promise<Map<string, News>> {
  const client = makeRedisClient({ url });
  await client.connect();
  const found = new Map<string, News>();
  for await (const batch of new RedisNews(KEY, 'test').all(client))
    for (const news of batch) found.set(news.infoHash, news);
  client.destroy();
  return found;
}

test('two trackers get blobs in any order: the newest is on both, in Redis, and at one that starts later', async (t) => {
  const redis = await startRedis(t);
  const [one, two] = [tracker(t, redis.url), tracker(t, redis.url)];
  await until(() => one.store.ok && two.store.ok);
  const swarms = Array.from({ length: 16 }, makeSwarm);
  const newest = new Map<string, Uint8Array>();
  for (const [index, { infoHash, blob }] of swarms.entries()) {
    const [low, high] = [blob(2 + index), index % 3 === 0 ? blob(1, 2) : blob(3 + index)];
    const [first, second] = index % 2 === 0 ? [high, low] : [low, high];
    t.true(one.board.post(infoHash, first, HOME));
    t.true(two.board.post(infoHash, second, HOME));
    newest.set(infoHash, high);
  }
  const settled = ({ board }: { board: NewsBoard }): boolean =>
    [...newest].every(([infoHash, blob]) => Buffer.compare(board.get(infoHash) ?? blob.subarray(1), blob) === 0);
  await until(() => settled(one) && settled(two));
  const late = tracker(t, redis.url);
  await until(() => late.store.ok);
  t.true(settled(late));
  const shelf = await onShelf(redis.url);
  for (const [infoHash, blob] of newest) t.deepEqual(new Uint8Array(shelf.get(infoHash)!.blob), blob);
  // An older one is refused at each, and would not get into Redis either.
  const [{ infoHash, blob }] = swarms as [ReturnType<typeof makeSwarm>];
  for (const { board } of [one, two, late]) t.false(board.post(infoHash, blob(1), HOME));
  await late.log.put({ infoHash, blob: blob(1), place: { epoch: 1, sequence: 1 }, ageSeconds: 0 });
  t.deepEqual(new Uint8Array((await onShelf(redis.url)).get(infoHash)!.blob), newest.get(infoHash)!);
});

test('Redis goes and comes back with nothing: no announce is refused, and it has all the news again', async (t) => {
  const redis = await startRedis(t);
  const [one, two] = [tracker(t, redis.url), tracker(t, redis.url)];
  await until(() => one.store.ok && two.store.ok);
  const [before, during, both] = [makeSwarm(), makeSwarm(), makeSwarm()];
  one.board.post(before.infoHash, before.blob(1), HOME);
  await until(() => two.board.count === 1);

  await redis.kill();
  await until(() => !one.store.ok && !two.store.ok);
  t.true(one.board.post(during.infoHash, during.blob(4), HOME));
  t.true(one.board.post(both.infoHash, both.blob(2), HOME));
  t.true(two.board.post(both.infoHash, both.blob(3), HOME));
  const lonely = tracker(t, redis.url);
  t.is(lonely.board.count, 0);

  await redis.start();
  const isThird = ({ board }: { board: NewsBoard }): boolean => board.news(both.infoHash)?.place.sequence === 3;
  await until(() => [one, two, lonely].every((each) => each.board.count === 3 && isThird(each) && each.store.ok));
  t.is((await onShelf(redis.url)).size, 3);
});

test('a Redis that hangs holds nobody up: what was left meanwhile is there once it answers', async (t) => {
  const redis = await startRedis(t);
  const [one, two] = [tracker(t, redis.url), tracker(t, redis.url)];
  await until(() => one.store.ok && two.store.ok);
  const swarms = Array.from({ length: 5 }, makeSwarm);
  redis.hang();
  for (const { infoHash, blob } of swarms) t.true(one.board.post(infoHash, blob(1), HOME));
  await until(() => !one.store.ok && !two.store.ok);
  for (const { infoHash, blob } of swarms) t.true(one.board.post(infoHash, blob(2), HOME));
  redis.resume();
  const hasAll = (): boolean => swarms.every(({ infoHash }) => two.board.news(infoHash)?.place.sequence === 2);
  await until(() => hasAll() && one.store.ok && two.store.ok);
  // Who ends while it hangs ends all the same.
  redis.hang();
  one.board.post(swarms[0]!.infoHash, swarms[0]!.blob(3), HOME);
  await Promise.all([one.store.stop(), two.store.stop()]);
  t.pass();
});

test('ages travel: news goes a week after its last repetition, however often it is passed on', async (t) => {
  const redis = await startRedis(t);
  const one = tracker(t, redis.url);
  await until(() => one.store.ok);
  const [old, fresh, over] = [makeSwarm(), makeSwarm(), makeSwarm()];
  const aged = BLOB_LIFE_SECONDS - 600;
  t.true(one.board.hear({ infoHash: old.infoHash, blob: old.blob(1), ageSeconds: aged }));
  await one.log.put(one.board.news(old.infoHash)!);
  const two = tracker(t, redis.url);
  await until(() => two.store.ok && two.board.count === 1);
  t.true(two.board.news(old.infoHash)!.ageSeconds >= aged);
  // What is older than a week is neither taken over nor kept.
  await one.log.put({
    infoHash: over.infoHash,
    blob: over.blob(1),
    place: { epoch: 1, sequence: 1 },
    ageSeconds: 8 * 86_400,
  });
  one.board.post(fresh.infoHash, fresh.blob(1), HOME);
  await until(() => two.board.count === 2);
  t.deepEqual(new Set((await onShelf(redis.url)).keys()), new Set([old.infoHash, fresh.infoHash]));
});

test('Redis keeps a bounded number, and what strangers write there is no news', async (t) => {
  const redis = await startRedis(t);
  const stranger = createClient({ url: redis.url });
  await stranger.connect();
  t.teardown(() => stranger.destroy());
  const { infoHash, blob } = makeSwarm();
  const forged = makeSwarm().blob(9);
  const now = Math.floor(Date.now() / 1000);
  const members = Array.from({ length: MAX_BLOBS + 50 }, (_, index) => ({
    score: now - 100,
    value: index.toString(16).padStart(40, '0'),
  }));
  await stranger.zAdd(`${KEY}:news:times`, members);
  await stranger.hSet(`${KEY}:news`, members[0]!.value, `1 9 ${Buffer.from(forged).toString('base64')}`);
  await stranger.hSet(`${KEY}:news`, members[1]!.value, 'x'.repeat(1_000_000));
  await stranger.zAdd(`${KEY}:news:times`, { score: now, value: 'no hash' });
  await stranger.xAdd(KEY, '*', { from: 'me', news: `${infoHash} 0 ${Buffer.from(forged).toString('base64')}` });
  await stranger.xAdd(KEY, '*', { from: 'me', news: 'garbage' });
  await stranger.xAdd(KEY, '*', { from: 'me', news: `${infoHash} -1e99 ${'A'.repeat(5000)}` });
  const one = tracker(t, redis.url);
  await until(() => one.store.ok);
  t.is(one.board.count, 0);
  one.board.post(infoHash, blob(1), HOME);
  await until(async () => (await stranger.zCard(`${KEY}:news:times`)) <= MAX_BLOBS);
  t.regex((await stranger.hGet(`${KEY}:news`, infoHash)) ?? '', /^1 1 /);
  t.true((await stranger.ttl(`${KEY}:news`)) > 0, 'an abandoned Redis forgets it');
});

test('what could not be put there is tried again, each swarm once a round and with its newest', async (t) => {
  const timers: (() => void)[] = [];
  const clock: Clock = {
    ...systemClock,
    setTimer: (_, run): Timer => {
      timers.push(run);
      return { cancel: () => timers.splice(timers.indexOf(run) >>> 0, 1) };
    },
  };
  const board = new NewsBoard(clock);
  const there: string[] = [];
  let away = false;
  const news = new SharedNews(board, clock, {
    all: async function* () {},
    put: async ({ infoHash, place }) => {
      if (away) throw new Error('away');
      there.push(`${infoHash.slice(0, 4)} ${place.sequence}`);
    },
  });
  news.start();
  const turn = async (): Promise<void> => {
    for (const run of timers.splice(0)) run();
    await new Promise((resolve) => setImmediate(resolve));
  };
  const { infoHash, blob } = makeSwarm();
  const name = infoHash.slice(0, 4);
  for (let sequence = 1; sequence <= 5; sequence++) board.post(infoHash, blob(sequence), HOME);
  await turn();
  await turn();
  t.deepEqual(there, [`${name} 1`, `${name} 5`]);
  await turn();
  t.is(timers.length, 0, 'nothing waits, nothing ticks');
  away = true;
  board.post(infoHash, blob(6), HOME);
  await turn();
  t.false(news.ok);
  board.post(infoHash, blob(7), HOME);
  away = false;
  await turn();
  t.true(news.ok);
  t.is(there.at(-1), `${name} 7`);
  t.is(there.length, 3);
  away = true;
  board.post(infoHash, blob(8), HOME);
  await turn();
  away = false;
  await news.stop();
  t.is(there.at(-1), `${name} 8`);
});
