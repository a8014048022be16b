/** The tracker over HTTP and by datagram, with our own client, a foreign one, and garbage. */
import http from 'node:http';
import net from 'node:net';
import { buildAnnounceUrl, buildScrapeUrl, parseAnnounceResponse, parseScrapeResponse } from '@diskswarm/announce';
import { systemClock, systemRandom } from '@diskswarm/core/system';
import test, { type ExecutionContext } from 'ava';
import Client from 'bittorrent-tracker/client';
import fc from 'fast-check';
import { startTracker, type Tracker } from '../src/server.ts';

const HASH = '0123456789abcdef0123456789abcdef01234567';

async function start(
  t: ExecutionContext,
  listen = '127.0.0.1:0',
  more: { limitPerSecond?: number } = {},
): Promise<Tracker> {
  const tracker = await startTracker({ listen, udp: listen, clock: systemClock, random: systemRandom, ...more });
  t.teardown(() => tracker.stop());
  return tracker;
}

function portOf(tracker: Tracker): number {
  return Number(tracker.listen.slice(tracker.listen.lastIndexOf(':') + 1));
}

function urlOf(tracker: Tracker, port: number, event: 'none' | 'stopped' = 'none'): string {
  return buildAnnounceUrl(tracker.announceUrl, {
    infoHash: HASH,
    peerId: new Uint8Array(20).fill(0xff),
    port,
    uploadedBytes: 0,
    downloadedBytes: 0,
    leftBytes: 0,
    event,
    peersWanted: null,
  });
}

async function bytesFrom(url: string): Promise<Uint8Array> {
  return new Uint8Array(await (await fetch(url)).arrayBuffer());
}

/** What a raw socket gets back until the server closes it. */
function exchange(tracker: Tracker, bytes: string | Uint8Array): Promise<string> {
  return new Promise((resolve) => {
    const socket = net.connect(portOf(tracker), '127.0.0.1', () => socket.write(bytes));
    let text = '';
    socket.on('data', (data) => {
      text += data.toString('latin1');
    });
    socket.on('error', () => {});
    socket.on('close', () => resolve(text));
  });
}

interface ForeignClient {
  on(event: string, listener: (value: never) => void): void;
  once(event: string, listener: (value: never) => void): void;
  start(): void;
  complete(options: { left: number }): void;
  update(): void;
  scrape(): void;
  stop(): void;
  destroy(done: () => void): void;
}

function foreignClient(t: ExecutionContext, announceUrl: string, port: number): ForeignClient {
  const peerId = Buffer.from(`-XX0001-${String(port).padStart(12, '0')}`);
  const client = new Client({ infoHash: HASH, peerId, announce: [announceUrl], port }) as ForeignClient;
  t.teardown(() => new Promise<void>((resolve) => client.destroy(resolve)));
  return client;
}

function next<Value>(client: ForeignClient, event: string): Promise<Value> {
  return new Promise((resolve, reject) => {
    client.once(event, resolve as (value: never) => void);
    client.once('error', reject as (value: never) => void);
  });
}

const meet = test.macro<['http' | 'udp']>({
  title: (_, transport) => `clients of another make meet over ${transport}, count each other and part`,
  async exec(t, transport) {
    const tracker = await start(t);
    const url = transport === 'http' ? tracker.announceUrl : (tracker.udpAnnounceUrl as string);
    const first = foreignClient(t, url, 7001);
    const greeted = next<{ complete: number; incomplete: number }>(first, 'update');
    first.start();
    t.like(await greeted, { complete: 0, incomplete: 1 });
    const second = foreignClient(t, url, 7002);
    const met = next<string>(second, 'peer');
    second.start();
    t.is(await met, '127.0.0.1:7001');
    const completed = next<{ complete: number }>(second, 'update');
    second.complete({ left: 0 });
    t.is((await completed).complete, 1);
    const scraped = next<{ complete: number; incomplete: number; downloaded: number }>(first, 'scrape');
    first.scrape();
    t.like(await scraped, { complete: 1, incomplete: 1, downloaded: 1 });
    const left = next(second, 'update');
    second.stop();
    await left;
    t.deepEqual(tracker.counts, { swarms: 1, peers: 1 });
  },
});
test(meet, 'http');
test(meet, 'udp');

test('our own client meets over IPv4 and IPv6, and a connection serves several requests', async (t) => {
  const tracker = await start(t, '[::]:0');
  const four = { ...tracker, announceUrl: `http://127.0.0.1:${portOf(tracker)}/announce` };
  const six = { ...tracker, announceUrl: `http://[::1]:${portOf(tracker)}/announce` };
  t.deepEqual(parseAnnounceResponse(await bytesFrom(urlOf(four, 7001))).peers, []);
  t.deepEqual(parseAnnounceResponse(await bytesFrom(urlOf(six, 7002))).peers, ['127.0.0.1:7001']);
  t.deepEqual(parseAnnounceResponse(await bytesFrom(urlOf(four, 7001))).peers, ['[::1]:7002']);
  await bytesFrom(urlOf(six, 7002, 'stopped'));
  const counts = parseScrapeResponse(await bytesFrom(buildScrapeUrl(four.announceUrl, [HASH])));
  t.deepEqual(counts.get(HASH), { seeders: 1, leechers: 0, completed: 0 });

  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  t.teardown(() => agent.destroy());
  const ports = new Set<number>();
  for (let round = 0; round < 3; round++) {
    await new Promise<void>((resolve, reject) => {
      const request = http.get(urlOf(four, 7001), { agent }, (response) =>
        response.resume().on('end', () => resolve()),
      );
      request.on('error', reject);
      request.on('socket', (socket) => {
        socket.once('connect', () => ports.add((socket as net.Socket).localPort as number));
      });
    });
  }
  t.is(ports.size, 1);
});

test('a refusal is an answer with a reason; other paths and methods have their status', async (t) => {
  const tracker = await start(t);
  const base = `http://${tracker.listen}`;
  t.is(await (await fetch(`${base}/healthz`)).text(), 'ok\n');
  t.throws(() => parseAnnounceResponse(Buffer.from('d14:failure reason')));
  await t.throwsAsync(async () => parseAnnounceResponse(await bytesFrom(`${base}/announce?port=1`)), {
    message: /info_hash is missing/,
  });
  await t.throwsAsync(async () => parseScrapeResponse(await bytesFrom(`${base}/scrape`)), {
    message: /info_hash is missing/,
  });
  t.is((await fetch(`${base}/`)).status, 404);
  const posted = await fetch(`${base}/announce`, { method: 'POST', body: 'x'.repeat(10_000) });
  t.is(posted.status, 405);
  t.is(posted.headers.get('connection'), 'close');
});

test('monitors see sums: no swarm, no address', async (t) => {
  const tracker = await start(t);
  const base = `http://${tracker.listen}`;
  await bytesFrom(urlOf(tracker, 7001));
  await bytesFrom(buildScrapeUrl(tracker.announceUrl, [HASH]));
  await bytesFrom(`${base}/announce?port=1`);
  t.like(await (await fetch(`${base}/stats`)).json(), {
    swarms: 1,
    peers: 1,
    journal: null,
    store: null,
    announces: { http: 1, udp: 0 },
    scrapes: { http: 1, udp: 0 },
    refused: { malformed: 1, limit: 0 },
  });
  const response = await fetch(`${base}/metrics`);
  t.is(response.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8');
  const text = await response.text();
  t.regex(text, /^# TYPE diskswarm_tracker_peers gauge\ndiskswarm_tracker_peers 1$/m);
  t.regex(text, /^diskswarm_tracker_announces_total\{transport="http"\} 1$/m);
  for (const line of text.trimEnd().split('\n')) {
    t.regex(line, /^(?:# HELP [a-z_]+ .+|# TYPE [a-z_]+ (?:gauge|counter)|[a-z_]+(?:\{[a-z]+="[a-z]+"\})? \d+)$/);
  }
});

test('garbage on the port disturbs nobody', async (t) => {
  const tracker = await start(t);
  t.regex(await exchange(tracker, 'nonsense\r\n\r\n'), /^HTTP\/1\.1 400 /);
  t.regex(
    await exchange(tracker, `GET /announce?info_hash=${'a'.repeat(9000)} HTTP/1.1\r\nHost: x\r\n\r\n`),
    /^HTTP\/1\.1 400 /,
  );
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 200 }), async (bytes) => {
      await exchange(tracker, Buffer.concat([bytes, Buffer.from('\r\n\r\n\0\0\r\n\r\n')]));
    }),
    { numRuns: 30 },
  );
  await fc.assert(
    fc.asyncProperty(fc.string({ maxLength: 100 }), async (text) => {
      const response = await fetch(`http://${tracker.listen}/announce?${encodeURI(text).replace(/#/g, '')}`);
      t.is(response.status, 200);
    }),
    { numRuns: 30 },
  );
  t.deepEqual(parseAnnounceResponse(await bytesFrom(urlOf(tracker, 7001))).peers, []);
});

test('an address in use is refused by name, and stopping twice is fine', async (t) => {
  const tracker = await start(t);
  await t.throwsAsync(start(t, tracker.listen), { code: 'ADDRESS_UNAVAILABLE' });
  await t.throwsAsync(start(t, 'nonsense'), { code: 'INVALID_ARGUMENT' });
  const idle = net.connect(portOf(tracker), '127.0.0.1');
  const closed = new Promise((resolve) => idle.on('close', resolve));
  await new Promise((resolve) => idle.on('connect', resolve));
  await Promise.all([tracker.stop(), tracker.stop(), closed]);
  await t.throwsAsync(bytesFrom(urlOf(tracker, 7001)));
});
