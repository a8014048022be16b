/** Near sources before far ones: by what answers take, with the far one there for what nobody near has. */

import { PRIORITY } from '@diskswarm/core';
import test from 'ava';
import { rankByNearness } from '../src/nearness.ts';
import { Peer } from '../src/peer.ts';
import { bulkFeed, CHUNK, peerId, want } from './model/names.ts';
import { mbit, Network } from './model/network.ts';

const LAN = { oneWayUs: 300, upBytesPerUs: mbit(1000) };
const WAN = { oneWayUs: 10_000, upBytesPerUs: mbit(20) };
const all = (): boolean => true;

/** How many chunks came from each peer. */
const counts = (network: Network): Map<string, number> =>
  network.deliveries.reduce((map, { peer }) => map.set(peer, (map.get(peer) ?? 0) + 1), new Map<string, number>());

test('what a host on the segment has does not cross the uplink of one that is far', (t) => {
  const network = new Network({ downBytesPerUs: mbit(1000) });
  network.addPeer(peerId(1), { ...WAN, has: all });
  network.addPeer(peerId(2), { ...LAN, has: all });
  network.addPeer(peerId(3), { ...LAN, has: all });
  network.apply({ type: 'feed', feed: bulkFeed(1, 0, 2000) });
  network.run(5_000_000, () => network.deliveries.length === 2000);
  t.is(network.deliveries.length, 2000);
  // The tries before anything was measured, and no more.
  t.true((counts(network).get(peerId(1)) ?? 0) <= 8, String(counts(network).get(peerId(1))));
  t.deepEqual(network.broken, []);
});

test('what only a far host has comes from it, beside the rest, at the rate of its line', (t) => {
  const network = new Network({ downBytesPerUs: mbit(1000) });
  network.addPeer(peerId(1), { ...WAN, has: all });
  network.addPeer(peerId(2), { ...LAN, has: ({ piece }) => piece % 2 === 0 });
  network.apply({ type: 'feed', feed: bulkFeed(1, 0, 200) });
  network.run(20_000_000, () => network.deliveries.length === 200);
  t.is(network.deliveries.length, 200);
  const far = network.deliveries.filter(({ peer }) => peer === peerId(1));
  t.true(far.length >= 100 && far.length <= 108, String(far.length));
  const lineUs = (100 * CHUNK) / mbit(20);
  t.true(network.nowUs < 1.25 * lineUs, `${network.nowUs} for ${lineUs}`);
});

test('a near host does not stand idle behind chunks that only a far one has', (t) => {
  const network = new Network({ downBytesPerUs: mbit(1000) });
  network.addPeer(peerId(1), { ...WAN, has: all });
  // By its place in the disk anything may be at either: 200 in a row that only the far one has, then some of both.
  network.addPeer(peerId(2), { ...LAN, has: ({ piece }) => piece >= 200 && piece % 2 === 0 });
  for (let piece = 0; piece < 400; piece++)
    network.apply({ type: 'want', want: want(piece, { priority: PRIORITY.bulk }) });
  network.run(60_000_000, () => network.deliveries.length === 400);
  t.is(network.deliveries.length, 400);
  const near = network.deliveries.filter(({ peer }) => peer === peerId(2));
  t.true(near.length >= 90, String(near.length));
  // While the far one has brought a tenth of what it alone has.
  const lineUs = (300 * CHUNK) / mbit(20);
  t.true(near.at(-1)!.atUs < lineUs / 10, `${near.at(-1)!.atUs} of ${lineUs}`);
  t.true(network.nowUs < 1.1 * lineUs, `${network.nowUs} for ${lineUs}`);
  t.deepEqual(network.broken, []);
});

test('two hosts that have one half of a disk each bring it together', (t) => {
  const network = new Network({ downBytesPerUs: mbit(1000) });
  network.addPeer(peerId(1), { ...WAN, has: ({ piece }) => piece < 200 });
  network.addPeer(peerId(2), { ...WAN, has: ({ piece }) => piece >= 200 });
  for (let piece = 0; piece < 400; piece++)
    network.apply({ type: 'want', want: want(piece, { priority: PRIORITY.bulk }) });
  network.run(60_000_000, () => network.deliveries.length === 400);
  t.is(network.deliveries.length, 400);
  const halfUs = (200 * CHUNK) / mbit(20);
  t.true(network.nowUs < 1.25 * halfUs, `${network.nowUs} for ${halfUs}`);
});

test('a near host that goes away, or falls silent, leaves the far one to serve', (t) => {
  for (const silent of [false, true]) {
    const network = new Network({ downBytesPerUs: mbit(1000) });
    network.addPeer(peerId(1), { ...WAN, has: all });
    network.addPeer(peerId(2), { ...LAN, has: all });
    network.apply({ type: 'feed', feed: bulkFeed(1, 0, 300) });
    network.run(5_000_000, () => network.deliveries.length === 200);
    if (silent) network.peers.get(peerId(2))!.sending = true;
    else network.disconnect(peerId(2));
    network.run(60_000_000, () => network.deliveries.length === 300);
    t.is(network.deliveries.length, 300, silent ? 'silent' : 'gone');
  }
});

test('a fault goes to the near host, and to the far one where that alone has it', (t) => {
  const network = new Network({ downBytesPerUs: mbit(1000) });
  network.addPeer(peerId(1), { ...WAN, has: all });
  network.addPeer(peerId(2), { ...LAN, has: ({ piece }) => piece !== 999 });
  network.apply({ type: 'feed', feed: bulkFeed(1, 0, 100) });
  network.run(5_000_000, () => network.deliveries.length === 100);
  for (const piece of [500, 999]) network.apply({ type: 'want', want: want(piece) });
  network.run(network.nowUs + 1_000_000, () => network.deliveries.length === 102);
  t.deepEqual(
    network.deliveries.slice(-2).map(({ peer, key }) => [peer, key]),
    [
      [peerId(2), '1/500'],
      [peerId(1), '1/999'],
    ],
  );
});

test('between the borders a peer stays what it was', (t) => {
  const unknown = (): null => null;
  const [near, other] = [new Peer(peerId(1), 1, unknown), new Peer(peerId(2), 2, unknown)];
  let nowUs = 0;
  /** One answer after which the peer's shortest response is this one. */
  const answers = (peer: Peer, responseUs: number): boolean => {
    nowUs += 120_000_000;
    peer.model.learn(CHUNK, nowUs - responseUs, responseUs, nowUs, { whole: false });
    peer.model.learn(CHUNK, nowUs + 60_000_000 - responseUs, responseUs, nowUs + 60_000_000, { whole: false });
    nowUs += 60_000_000;
    rankByNearness([near, other], CHUNK);
    return other.far;
  };
  answers(near, 10_000);
  t.deepEqual(
    [15_000, 30_000, 39_000, 45_000, 39_000, 25_000, 19_000, 30_000].map((us) => answers(other, us)),
    [false, false, false, true, true, true, false, false],
  );
  // On one segment ten times as long is still near.
  answers(near, 300);
  t.false(answers(other, 4_000));
});

test('a far host is asked for a chunk now and then, so that it is near once it is quick', (t) => {
  const network = new Network({ downBytesPerUs: mbit(1000) });
  const line = { oneWayUs: 500, upBytesPerUs: mbit(100), has: all };
  network.addPeer(peerId(1), { ...line, delayUs: (nowUs) => (nowUs < 60_000_000 ? 80_000 : 0) });
  network.addPeer(peerId(2), line);
  network.apply({ type: 'feed', feed: bulkFeed(1, 0, 10_000_000) });
  const rate = (fromUs: number, untilUs: number): number => {
    network.run(untilUs);
    const took = network.deliveries.filter(({ peer, atUs }) => peer === peerId(1) && atUs > fromUs);
    return (took.length * CHUNK) / (untilUs - fromUs);
  };
  const far = rate(2_000_000, 60_000_000);
  t.true(far < 0.01 * line.upBytesPerUs, `${far} bytes a microsecond`);
  const near = rate(95_000_000, 105_000_000);
  t.true(near > 0.8 * line.upBytesPerUs, `${near} bytes a microsecond`);
});
