/** One fault's way: whom it asks, when it is asked again, who is cancelled, and that nothing ever ends it but its chunk. */
import { PRIORITY } from '@diskswarm/core';
import test from 'ava';
import { PATIENCE } from '../src/limits.ts';
import { Desk } from './model/desk.ts';
import { bulkFeed, keyOf, peerId, want } from './model/names.ts';
import { mbit, Network } from './model/network.ts';

const SECOND = 1_000_000;
const having =
  (...numbers: number[]) =>
  () =>
    numbers.map((number) => ({ peer: peerId(number), certainty: 'has' as const }));

test('a fault goes to the peer that is expected to answer first', (t) => {
  const network = new Network({ downBytesPerUs: mbit(1000) });
  const everything = { upBytesPerUs: mbit(1000), has: () => true };
  network.addPeer(peerId(1), { ...everything, oneWayUs: 40_000 });
  network.addPeer(peerId(2), { ...everything, oneWayUs: 5_000 });
  network.addPeer(peerId(3), { ...everything, oneWayUs: 20_000 });
  network.apply({ type: 'feed', feed: bulkFeed(1, 0, 60) });
  network.run(30 * SECOND, () => network.deliveries.length === 60);
  network.apply({ type: 'want', want: want(100) });
  const last = network.log.findLast((effect) => effect.type === 'request');
  t.is(last?.type === 'request' && last.peer, peerId(2));
});

test('a near peer that nobody measured gets the next fault, a far one does not', (t) => {
  const desk = new Desk().measured(1, 20_000);
  desk.up(2);
  const asked = (piece: number): string[] => {
    const said = desk.want(want(piece));
    desk.nowUs += 20_000;
    desk.arrived(1, piece);
    return said;
  };
  t.deepEqual(asked(1), ['ask p1 1/1 fault'], 'nothing is known of it');
  desk.roundTrips.set(peerId(2), 30_000);
  t.deepEqual(asked(2), ['ask p1 1/2 fault']);
  desk.roundTrips.set(peerId(2), 500);
  t.deepEqual(asked(3), ['ask p2 1/3 fault']);
});

test('bytes already asked of a fast peer send the next fault to a slower one', (t) => {
  const desk = new Desk().measured(2);
  const asked = Array.from({ length: 20 }, (_, piece) => desk.want(want(piece))).flat();
  const first = asked.filter((words) => words.startsWith('ask p1')).length;
  t.true(first >= 8 && first <= 12, `${first} of 20 at the first of two equal peers`);
});

test('who certainly has it is asked before who may have it', (t) => {
  const desk = new Desk().measured(2);
  desk.whoHas = () => [
    { peer: peerId(1), certainty: 'unknown' },
    { peer: peerId(2), certainty: 'has' },
  ];
  t.deepEqual(desk.want(want(1)), ['ask p2 1/1 fault']);
  desk.whoHas = () => [{ peer: peerId(1), certainty: 'unknown' }];
  t.deepEqual(desk.want(want(2)), ['ask p1 1/2 fault'], 'better than not to ask');
});

test('a late fault is asked elsewhere, the first answer wins and the other is cancelled', (t) => {
  const desk = new Desk().measured(2);
  const [asked] = desk.want(want(1));
  const [first, second] = asked === 'ask p1 1/1 fault' ? [1, 2] : [2, 1];
  t.deepEqual(desk.wait(PATIENCE.lateFloorUs - 1), []);
  t.deepEqual(desk.wait(1), [`late p${first} 1/1`, `ask p${second} 1/1 fault`]);
  t.deepEqual(desk.arrived(second, 1), [`cancel p${first} 1/1`]);
  t.is(desk.scheduler.snapshot().wants, 0);
});

test('what counts as late follows what the peer was measured at', (t) => {
  const desk = new Desk().measured(1, 900_000);
  desk.up(2);
  desk.whoHas = having(1);
  desk.want(want(1));
  desk.whoHas = having(1, 2);
  desk.apply({ type: 'claims', peer: peerId(2), disk: want(1).disk });
  t.deepEqual(desk.wait(1_500_000), []);
  t.deepEqual(desk.wait(4_000_000), ['late p1 1/1', 'ask p2 1/1 fault']);
});

test('at most three peers fetch the same fault; the oldest request gives way to a fourth', (t) => {
  const desk = new Desk().measured(4);
  const words = desk.want(want(1));
  let most = 1;
  for (let round = 0; round < 30; round++) {
    words.push(...desk.wait(100_000));
    most = Math.max(
      most,
      desk.scheduler.snapshot().peers.reduce((sum, { requests }) => sum + requests, 0),
    );
  }
  t.is(most, 3);
  const asked = words.filter((word) => word.startsWith('ask')).map((word) => word.split(' ')[1]);
  t.is(new Set(asked.slice(0, 4)).size, 4, 'everybody was tried');
  const cancelled = words.find((word) => word.startsWith('cancel'));
  t.is(cancelled, `cancel ${asked[0]} 1/1`);
});

test('a fault that one peer alone has waits as long as it must, and a new holder is asked at once', (t) => {
  const desk = new Desk().measured(1);
  desk.want(want(1));
  const words = Array.from({ length: 600 }, () => desk.wait(SECOND)).flat();
  t.deepEqual(words, ['late p1 1/1'], 'ten minutes: told once, never given up');
  t.deepEqual(desk.up(2), ['ask p2 1/1 fault']);
  t.deepEqual(desk.arrived(1, 1), ['cancel p2 1/1']);
});

test('nobody has it: told once, asked for as soon as somebody claims it', (t) => {
  const desk = new Desk();
  desk.whoHas = () => [];
  desk.up(1);
  t.deepEqual(desk.want(want(1)), ['unavailable 1/1']);
  t.deepEqual(desk.up(2), []);
  t.deepEqual(desk.wait(60 * SECOND), []);
  desk.whoHas = having(2);
  t.deepEqual(desk.apply({ type: 'claims', peer: peerId(2), disk: want(1).disk }), ['ask p2 1/1 fault']);
  desk.whoHas = () => [];
  t.deepEqual(desk.down(2), ['unavailable 1/1'], 'a new outage');
});

test('a peer that goes away leaves its faults to the others', (t) => {
  const desk = new Desk().measured(2);
  const asked = desk.want(want(1));
  const [gone, left] = asked[0]!.includes('p1') ? [1, 2] : [2, 1];
  t.deepEqual(desk.down(gone), [`ask p${left} 1/1 fault`]);
});

test('a choked peer is not asked until it unchokes', (t) => {
  const desk = new Desk().measured(1);
  const { disk } = want(1);
  desk.apply({ type: 'choked', peer: peerId(1), disk });
  t.deepEqual(desk.want(want(1)), [], 'neither asked nor unavailable');
  t.deepEqual(desk.apply({ type: 'unchoked', peer: peerId(1), disk }), ['ask p1 1/1 fault']);
});

test('a give-up cancels wherever the chunk was asked for', (t) => {
  const desk = new Desk().measured(2);
  desk.want(want(1));
  desk.wait(PATIENCE.lateFloorUs);
  const cancelled = desk.apply({ type: 'giveUp', key: keyOf(1, 1) });
  t.deepEqual(cancelled.sort(), ['cancel p1 1/1', 'cancel p2 1/1']);
  t.deepEqual(desk.apply({ type: 'giveUp', key: keyOf(1, 1) }), []);
  t.is(desk.scheduler.snapshot().faultBytes, 0);
});

test('a fault for a chunk on its way in the background waits for it when that is soonest', (t) => {
  const desk = new Desk().measured(1);
  t.deepEqual(desk.want(want(1, { priority: PRIORITY.workingSet })), ['ask p1 1/1 bulk']);
  desk.nowUs += 30_000;
  t.deepEqual(desk.want(want(1)), []);
  t.deepEqual(desk.arrived(1, 1), []);
  t.is(desk.scheduler.snapshot().wants, 0);
});

test('a fault for a chunk that crawls in from a slow peer is asked of a fast one at once', (t) => {
  const desk = new Desk().measured(1, 3 * SECOND);
  desk.whoHas = having(1);
  t.deepEqual(desk.want(want(1, { priority: PRIORITY.bulk })), ['ask p1 1/1 bulk']);
  desk.up(2);
  desk.whoHas = having(1, 2);
  desk.apply({ type: 'claims', peer: peerId(2), disk: want(1).disk });
  t.deepEqual(desk.apply({ type: 'raisePriority', key: keyOf(1, 1), priority: PRIORITY.fault }), ['ask p2 1/1 fault']);
  t.deepEqual(desk.arrived(2, 1), ['cancel p1 1/1']);
});

test('a fault raised out of the background is late like any other', (t) => {
  const desk = new Desk().measured(2);
  const [asked] = desk.want(want(1, { priority: PRIORITY.workingSet }));
  desk.nowUs += 30_000;
  t.deepEqual(desk.want(want(1)), []);
  const words = desk.wait(SECOND);
  t.is(words.length, 2);
  t.is(words[0], `late ${asked!.split(' ')[1]} 1/1`);
});
