/** Trackers that share what they know, through a log in memory and through a real Redis that goes away and comes back. */
import { type AnnounceRequest, buildAnnounceUrl, packPeer, parseAnnounceResponse } from '@diskswarm/announce';
import type { Clock, Timer } from '@diskswarm/core';
import { systemClock, systemRandom } from '@diskswarm/core/system';
import { startRedis } from '@diskswarm/test-servers';
import { createClient } from '@redis/client';
import test, { type ExecutionContext } from 'ava';
import { NewsBoard } from '../src/news-board.ts';
import { startTracker, type Tracker } from '../src/server.ts';
import { type SharedLog, type SharedLogListener, SharedStore } from '../src/shared-store.ts';
import { SwarmTable } from '../src/swarm-table.ts';

const A = 'aa'.repeat(20);

function ask(port: number, more: Partial<AnnounceRequest> = {}): AnnounceRequest {
  const empty = { uploadedBytes: 0, downloadedBytes: 0, leftBytes: 1, event: 'none', peersWanted: 200 } as const;
  return { infoHash: A, peerId: new Uint8Array(20), port, ...empty, ...more };
}

/** A clock whose timers fire when it is moved. */
class HandClock implements Clock {
  #nowUs = 5e6;
  readonly #timers = new Set<() => void>();
  nowUs(): number {
    return this.#nowUs;
  }
  wallMs(): number {
    return 0;
  }
  setTimer(_delayMs: number, run: () => void): Timer {
    this.#timers.add(run);
    return { cancel: () => this.#timers.delete(run) };
  }
  advance(seconds: number): void {
    this.#nowUs += seconds * 1e6;
    const due = [...this.#timers];
    this.#timers.clear();
    for (const run of due) run();
  }
}

/** Trackers around one log in memory; what lies on its shelf is tried on a real Redis (shared-news.test.ts). */
class Log {
  readonly records: { readonly from: number; readonly bytes: Uint8Array }[] = [];
  readonly #readers: { readonly self: number; readonly listener: SharedLogListener }[] = [];
  ok = true;
  #next = 0;

  stream(): SharedLog {
    const self = this.#next++;
    const log = this;
    return {
      get ok() {
        return log.ok;
      },
      append: async (record) => {
        if (!this.ok) throw new Error('away');
        this.push(self, record.slice());
      },
      all: async function* () {},
      put: async () => {},
      follow: (listener) => {
        for (const { bytes } of this.records) listener.onRecord(bytes);
        this.#readers.push({ self, listener });
      },
      stop: async () => {},
    };
  }

  push(from: number, bytes: Uint8Array): void {
    this.records.push({ from, bytes });
    for (const { self, listener } of this.#readers) if (self !== from) listener.onRecord(bytes);
  }

  tracker(clock: Clock): { table: SwarmTable; store: SharedStore } {
    const table = new SwarmTable({ clock, random: systemRandom });
    const store = new SharedStore(table, new NewsBoard(clock), clock, this.stream());
    store.start();
    return { table, store };
  }
}

const peer = (port: number): Uint8Array => packPeer(`192.0.2.1:${port}`);

test('what is announced at one is known at all, also at one that starts later; who leaves is gone everywhere', (t) => {
  const clock = new HandClock();
  const log = new Log();
  const [one, two] = [log.tracker(clock), log.tracker(clock)];
  one.table.announce(ask(1), peer(1));
  two.table.announce(ask(2, { leftBytes: 0, event: 'completed' }), peer(2));
  clock.advance(1);
  const three = log.tracker(clock);
  for (const { table } of [one, two, three])
    t.deepEqual(table.scrape([A]).get(A), { seeders: 1, leechers: 1, completed: 1 });
  two.table.announce(ask(1, { event: 'stopped' }), peer(1));
  clock.advance(1);
  for (const { table } of [one, two, three]) t.is(table.peerCount, 1);
});

test('a host stays known at every tracker while it announces at one; who falls silent is forgotten by each, and not told', async (t) => {
  const clock = new HandClock();
  const log = new Log();
  const [one, two] = [log.tracker(clock), log.tracker(clock)];
  one.table.announce(ask(2), peer(2));
  for (let minutes = 0; minutes < 20; minutes++) {
    one.table.announce(ask(1), peer(1));
    clock.advance(60);
    two.table.sweep();
    await new Promise(setImmediate);
  }
  t.is(two.table.scrape([A]).get(A)?.leechers, 1);
  // Away, a tracker loses sight of hosts that others still see: that is its own view, and no news for them.
  log.ok = false;
  for (let minutes = 0; minutes < 20; minutes++) {
    one.table.announce(ask(1), peer(1));
    clock.advance(60);
    two.table.sweep();
    await new Promise(setImmediate);
  }
  t.is(two.table.scrape([A]).get(A), undefined);
  log.ok = true;
  clock.advance(1);
  t.is(one.table.peerCount, 1);
  one.table.announce(ask(1), peer(1));
  clock.advance(1);
  t.is(two.table.peerCount, 1);
});

test('a record that is none harms nobody, and what is heard is not told again', (t) => {
  const clock = new HandClock();
  const log = new Log();
  const [one, two] = [log.tracker(clock), log.tracker(clock)];
  for (const garbage of ['', 'x', 'not a record at all, but long enough to look like one'])
    log.push(99, Buffer.from(garbage));
  t.true(one.store.malformed > 0);
  one.table.announce(ask(1), peer(1));
  clock.advance(1);
  const before = log.records.length;
  clock.advance(1);
  t.is(log.records.length, before);
  t.is(two.table.peerCount, 1);
});

async function start(t: ExecutionContext, url: string): Promise<Tracker> {
  const tracker = await startTracker({
    listen: '127.0.0.1:0',
    clock: systemClock,
    random: systemRandom,
    redis: { url },
  });
  t.teardown(() => tracker.stop());
  return tracker;
}

const announce = async ({ announceUrl }: Tracker, port: number): Promise<readonly string[]> => {
  const response = await fetch(buildAnnounceUrl(announceUrl, ask(port)));
  return parseAnnounceResponse(new Uint8Array(await response.arrayBuffer())).peers;
};
const page = async ({ listen }: Tracker, path: string): Promise<string> =>
  (await fetch(`http://${listen}${path}`)).text();

async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 50));
}

test('two trackers on a real Redis: it goes away, nobody is turned away, and what was shared is shared again', async (t) => {
  const redis = await startRedis(t);
  const [one, two] = [await start(t, redis.url), await start(t, redis.url)];
  await until(async () => (await page(one, '/metrics')).includes('store_ok 1'));
  await announce(one, 7001);
  await until(async () => two.counts.peers === 1);
  t.deepEqual(await announce(two, 7002), ['127.0.0.1:7001']);
  // Somebody writes what is no record.
  const stranger = createClient({ url: redis.url });
  await stranger.connect();
  await stranger.xAdd('diskswarm:tracker:1', '*', { from: 'me', changes: 'bm90aGluZyBvZiB5b3Vycw==' });
  await stranger.xAdd('diskswarm:tracker:1', '*', { hello: 'there' });
  stranger.destroy();
  const late = await start(t, redis.url);
  await until(async () => late.counts.peers === 2);

  await redis.kill();
  await until(async () => (await page(one, '/metrics')).includes('store_ok 0'));
  t.regex(await page(one, '/healthz'), /^ok, but the shared store is away/);
  t.deepEqual(
    (await announce(one, 7003)).toSorted(),
    ['127.0.0.1:7001', '127.0.0.1:7002'],
    'it answers from what it knows',
  );
  t.is(JSON.parse(await page(two, '/stats')).store, false);
  // One that starts now starts all the same.
  const lonely = await start(t, redis.url);
  t.deepEqual(await announce(lonely, 7004), []);

  await redis.start();
  for (const tracker of [one, two, lonely]) await until(async () => (await page(tracker, '/healthz')) === 'ok\n');
  await announce(lonely, 7004);
  await announce(one, 7003);
  await until(async () => two.counts.peers === 4 && one.counts.peers === 4);
  t.pass();
});
