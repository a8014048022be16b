/** What is left at a tracker for members: newest only, from members only, bounded, over HTTP with the peers. */
import { type AnnounceRequest, buildAnnounceUrl, parseAnnounceResponse } from '@diskswarm/announce';
import { systemClock, systemRandom } from '@diskswarm/core/system';
import { createSwarmSecret } from '@diskswarm/identity';
import test from 'ava';
import { BLOB_LIFE_SECONDS, REPEAT_TOLD_SECONDS } from '../src/limits.ts';
import { NewsBoard } from '../src/news-board.ts';
import { startTracker } from '../src/server.ts';
import { makeSwarm } from './news.ts';

const HOME = '7f000001';

test('the newest stays, whoever repeats something older; forged, foreign and oversized ones change nothing', (t) => {
  const board = new NewsBoard(systemClock);
  const { infoHash, blob } = makeSwarm();
  const [one, two, three] = [blob(1), blob(2), blob(1, 2)];
  t.true(board.post(infoHash, two, HOME));
  t.false(board.post(infoHash, one, HOME));
  t.deepEqual(board.get(infoHash), two);
  t.true(board.post(infoHash, blob(2), HOME), 'another member sealed the same news');
  t.deepEqual(board.get(infoHash), two);
  t.true(board.post(infoHash, three, HOME), 'a later epoch comes before a higher number');
  for (const bad of [
    blob(9, 9, createSwarmSecret(systemRandom)),
    makeSwarm().blob(9, 9),
    new Uint8Array(2000),
    new Uint8Array(0),
  ])
    t.false(board.post(infoHash, bad, HOME));
  t.deepEqual(board.get(infoHash), three);
});

test('the board is bounded, and forgets what nobody repeats', (t) => {
  let nowUs = 0;
  const board = new NewsBoard({ ...systemClock, nowUs: () => nowUs }, { max: 2 });
  const [a, b, c] = [makeSwarm(), makeSwarm(), makeSwarm()];
  for (const swarm of [a, b, a, c]) board.post(swarm.infoHash, swarm.blob(1), HOME);
  t.deepEqual(
    [a, b, c].map(({ infoHash }) => board.get(infoHash) !== undefined),
    [true, false, true],
  );
  nowUs += BLOB_LIFE_SECONDS * 1e6;
  t.is(board.get(a.infoHash), undefined);
});

test('an address fills its part of the board and no more: news of others stays, also under a flood', (t) => {
  const board = new NewsBoard(systemClock, { max: 6, maxPerAddress: 3 });
  const honest = [makeSwarm(), makeSwarm(), makeSwarm()];
  for (const { infoHash, blob } of honest) t.true(board.post(infoHash, blob(1), HOME));
  const flood = Array.from({ length: 20 }, makeSwarm);
  const taken = flood.filter(({ infoHash, blob }) => board.post(infoHash, blob(1), 'c0000201'));
  t.is(taken.length, 3);
  for (const { infoHash } of honest) t.not(board.get(infoHash), undefined);
  // What it left already it may go on with, as may everybody.
  t.true(board.post(taken[0]!.infoHash, taken[0]!.blob(2), 'c0000201'));
  t.true(board.post(honest[0]!.infoHash, honest[0]!.blob(2), 'c0000201'));
  t.is(board.count, 6);
});

test('what another board has is checked like an announce, and keeps its age', (t) => {
  let nowUs = 0;
  const board = new NewsBoard({ ...systemClock, nowUs: () => nowUs });
  const told: string[] = [];
  board.onChange = (infoHash) => told.push(infoHash);
  const { infoHash, blob } = makeSwarm();
  const forged = blob(3).slice();
  forged[200]! ^= 1;
  t.false(board.hear({ infoHash, blob: forged, ageSeconds: 0 }));
  t.false(board.hear({ infoHash, blob: blob(3), ageSeconds: BLOB_LIFE_SECONDS }));
  const second = blob(2);
  t.true(board.hear({ infoHash, blob: second, ageSeconds: BLOB_LIFE_SECONDS - 10 }));
  t.false(board.hear({ infoHash, blob: blob(1), ageSeconds: 0 }));
  t.deepEqual(told, [], 'only what is announced here is told');
  nowUs = 9e6;
  t.deepEqual(board.news(infoHash)?.ageSeconds, BLOB_LIFE_SECONDS - 1);
  nowUs = 10e6;
  t.is(board.get(infoHash), undefined);
  // News that is repeated for long is told of again, but not each time.
  for (let minutes = 0; minutes < 24 * 60; minutes += 2) {
    t.true(board.post(infoHash, second, HOME));
    nowUs += 120e6;
  }
  t.is(told.length, (24 * 3600) / REPEAT_TOLD_SECONDS);
});

test('news left by a host that is gone reaches the next one, with the peers; a bad blob costs nobody the peers', async (t) => {
  const tracker = await startTracker({ listen: '127.0.0.1:0', clock: systemClock, random: systemRandom });
  t.teardown(() => tracker.stop());
  const { infoHash, blob } = makeSwarm();
  const announce = async (port: number, more: Partial<AnnounceRequest> = {}) => {
    const request = { infoHash, peerId: new Uint8Array(20), port, uploadedBytes: 0, downloadedBytes: 0, leftBytes: 0 };
    const url = buildAnnounceUrl(tracker.announceUrl, { ...request, event: 'none', peersWanted: null, ...more });
    return parseAnnounceResponse(new Uint8Array(await (await fetch(url)).arrayBuffer()));
  };
  const news = blob(7);
  await announce(1, { blob: blob(6) });
  await announce(1, { event: 'stopped', blob: news });
  t.is(tracker.counts.peers, 0);
  const second = await announce(2);
  t.deepEqual([new Uint8Array(second.blob!), second.peers], [news, []]);
  const third = await announce(3, { blob: blob(6) });
  t.deepEqual([new Uint8Array(third.blob!), third.peers], [news, ['127.0.0.1:2']]);
  const bad = await announce(4, { blob: new Uint8Array(1024).fill(7) });
  t.is(bad.peers.length, 2);
  const stats = (await (await fetch(`http://${tracker.listen}/stats`)).json()) as { refused: { blob: number } };
  t.is(stats.refused.blob, 2);
});
