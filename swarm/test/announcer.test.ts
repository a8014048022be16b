/** Announcing: intervals, events, topics, failures, goodbye; and a real HTTP tracker. */
import { createServer, type Server } from 'node:http';
import {
  type AnnounceRequest,
  type AnnounceResponse,
  encodeAnnounceResponse,
  encodeFailure,
  packPeer,
} from '@diskswarm/announce';
import { type Address, type DiskId, DiskswarmError, hasCode, toHex } from '@diskswarm/core';
import { infoHashOf, topicOf } from '@diskswarm/identity';
import test from 'ava';
import { DiskAnnouncer, type TrackerClient } from '../src/index.ts';
import { httpTracker } from '../src/transport/index.ts';
import { TestClock, TestRandom } from './helpers/test-clock.ts';

const disk = 'dd'.repeat(32) as DiskId;
const secret = (value: number): Uint8Array => new Uint8Array(32).fill(value);
const hash = (value: number): string => toHex(infoHashOf(topicOf(secret(value), disk)));

function answer(intervalSeconds: number, peers: Address[] = []): AnnounceResponse {
  return { intervalSeconds, minIntervalSeconds: 0, seeders: 0, leechers: 0, peers, warning: null };
}

class FakeTracker implements TrackerClient {
  readonly requests: { url: string; request: AnnounceRequest; atMs: number }[] = [];
  readonly clock: TestClock;
  reply: (request: AnnounceRequest, url: string) => Promise<AnnounceResponse> = async () => answer(1800);

  constructor(clock: TestClock) {
    this.clock = clock;
  }

  async announce(url: string, request: AnnounceRequest): Promise<AnnounceResponse> {
    this.requests.push({ url, request, atMs: this.clock.nowUs() / 1000 });
    return this.reply(request, url);
  }
}

function start(
  trackers = ['http://one/announce'],
  reply: (request: AnnounceRequest, url: string) => Promise<AnnounceResponse> = async () => answer(1800),
): {
  clock: TestClock;
  tracker: FakeTracker;
  secrets: Uint8Array[];
  found: Address[][];
  announcer: DiskAnnouncer;
} {
  const clock = new TestClock();
  const tracker = new FakeTracker(clock);
  tracker.reply = reply;
  const secrets = [secret(1)];
  const found: Address[][] = [];
  const announcer = new DiskAnnouncer({
    membership: { disk, secrets: () => secrets },
    trackers,
    client: tracker,
    clock,
    random: new TestRandom(3),
    listenPort: 7000,
    leftBytes: () => 42,
    onPeers: (addresses) => found.push([...addresses]),
  });
  announcer.start();
  return { clock, tracker, secrets, found, announcer };
}

test('announces at the interval asked for, says hello once and goodbye at the end', async (t) => {
  const { clock, tracker, found, announcer } = start(undefined, async () => answer(600, ['10.0.0.1:7000']));
  await clock.advance(1_250_000);
  t.is(tracker.requests.length, 3);
  t.deepEqual(
    tracker.requests.map(({ request }) => request.event),
    ['started', 'none', 'none'],
  );
  const [first, second] = tracker.requests;
  t.true(Math.abs(second!.atMs - first!.atMs - 600_000) <= 60_000);
  const { infoHash, port, leftBytes, peerId } = first!.request;
  t.deepEqual(
    { infoHash, port, leftBytes, idBytes: peerId.length },
    { infoHash: hash(1), port: 7000, leftBytes: 42, idBytes: 20 },
  );
  t.deepEqual(found[1], ['10.0.0.1:7000']);
  t.deepEqual(announcer.status(), [{ url: 'http://one/announce', ok: true, message: null }]);
  await Promise.all([announcer.stop(), announcer.stop()]);
  t.is(tracker.requests.length, 4);
  t.is(tracker.requests[3]!.request.event, 'stopped');
  await clock.advance(4_000_000);
  t.is(tracker.requests.length, 4);
});

test('a tracker that asks for every second is not given that, one for never is asked again', async (t) => {
  const { clock, tracker, announcer } = start(undefined, async () => answer(1));
  await clock.advance(60_000);
  t.true(tracker.requests.length <= 8, `${tracker.requests.length}`);
  tracker.reply = async () => answer(1_000_000_000);
  await clock.advance(20_000);
  tracker.requests.length = 0;
  await clock.advance(4_000_000);
  t.is(tracker.requests.length, 1);
  await announcer.stop();
});

test('failures back off and are shown; another tracker is not held up', async (t) => {
  const { clock, tracker, found, announcer } = start(
    ['http://one/announce', 'http://two/announce'],
    async (_request, url) => {
      if (url.includes('one')) throw new DiskswarmError('PEER_UNREACHABLE', 'down');
      return answer(1800);
    },
  );
  await clock.advance(1_000_000);
  const failing = tracker.requests.filter(({ url }) => url.includes('one'));
  t.true(failing.length >= 6 && failing.length <= 9, `${failing.length}`);
  t.is(found.length, 1);
  t.deepEqual(
    announcer.status().map(({ ok, message }) => [ok, message]),
    [
      [false, 'down'],
      [true, null],
    ],
  );
  await announcer.stop();
});

test('after a rotation both topics are kept up, at once when told', async (t) => {
  const { clock, tracker, secrets, announcer } = start();
  await clock.advance(1000);
  secrets.unshift(secret(2));
  announcer.announceNow();
  await clock.advance(1000);
  t.deepEqual(
    tracker.requests.map(({ request }) => [request.infoHash, request.event]),
    [
      [hash(1), 'started'],
      [hash(2), 'started'],
      [hash(1), 'none'],
    ],
  );
  announcer.announceNow();
  await clock.advance(1000);
  t.is(tracker.requests.length, 5);
  await announcer.stop();
  t.deepEqual(
    tracker.requests
      .slice(5)
      .map(({ request }) => request.infoHash)
      .toSorted(),
    [hash(1), hash(2)].toSorted(),
  );
});

async function serve(respond: (url: string) => Uint8Array | null): Promise<{ server: Server; url: string }> {
  const server = createServer((request, response) => {
    const body = respond(request.url ?? '');
    if (body === null) response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end();
    else response.end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  return { server, url: `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}/announce?key=1` };
}

const request: AnnounceRequest = {
  infoHash: 'ab'.repeat(20),
  peerId: new Uint8Array(20).fill(0x25),
  port: 7000,
  uploadedBytes: 0,
  downloadedBytes: 0,
  leftBytes: 1,
  event: 'started',
  peersWanted: null,
};

test('over HTTP: an answer, a refusal, something endless, a redirect, nobody', async (t) => {
  const { signal } = new AbortController();
  let body: Uint8Array | null = encodeAnnounceResponse({
    intervalSeconds: 5,
    minIntervalSeconds: 1,
    seeders: 1,
    leechers: 0,
    peers: [packPeer('10.1.2.3:99')],
  });
  const seen: string[] = [];
  const { server, url } = await serve((path) => {
    seen.push(path);
    return body;
  });
  const answered = await httpTracker.announce(url, request, { signal });
  t.deepEqual(answered.peers, ['10.1.2.3:99']);
  t.regex(seen[0]!, /^\/announce\?key=1&info_hash=(%[aA][bB]){20}&peer_id=(%25){20}&port=7000.*event=started/);
  const codeOf = async (): Promise<string | undefined> => {
    const error = await t.throwsAsync(httpTracker.announce(url, request, { signal }));
    return error instanceof DiskswarmError ? error.code : undefined;
  };
  body = encodeFailure('go away');
  t.is(await codeOf(), 'PEER_UNREACHABLE');
  body = new Uint8Array(1_000_000);
  t.is(await codeOf(), 'LIMIT_EXCEEDED');
  body = Buffer.from('<html>');
  t.is(await codeOf(), 'FORMAT_INVALID');
  body = null;
  t.is(await codeOf(), 'PEER_UNREACHABLE');
  const aborted = await t.throwsAsync(httpTracker.announce(url, request, { signal: AbortSignal.abort() }));
  t.true(hasCode(aborted, 'ABORTED'));
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  t.is(await codeOf(), 'PEER_UNREACHABLE');
});
