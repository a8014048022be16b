/** What goes first: priorities, the given order, the rarest, runs, fair turns; and that feeds are read no further than needed. */
import { PRIORITY, type Priority } from '@diskswarm/core';
import test from 'ava';
import { SCHEDULER_LIMITS, type Want } from '../src/index.ts';
import { Desk } from './model/desk.ts';
import { bulkFeed, CHUNK, diskId, keyOf, peerId, want } from './model/names.ts';
import { mbit, Network } from './model/network.ts';

/** Answers each request after 50 ms until nothing is asked any more; returns keys in the order they were asked. */
function drain(desk: Desk, first: readonly string[], limit = 1000): string[] {
  const pending = [...first];
  const order: string[] = [];
  while (pending.length > 0 && order.length < limit) {
    const [verb, peer, key] = pending.shift()!.split(' ');
    if (verb !== 'ask') continue;
    order.push(key!);
    const [disk, piece] = key!.split('/').map(Number);
    desk.nowUs += 50_000;
    pending.push(...desk.arrived(Number(peer!.slice(1)), piece!, disk!));
  }
  return order;
}

const PRIORITIES: readonly Priority[] = [PRIORITY.bulk, PRIORITY.workingSet, PRIORITY.seal, PRIORITY.fault];

test('faults, then seal remainders, then the working set, then bulk, whatever came first', (t) => {
  const desk = new Desk();
  for (const [piece, priority] of PRIORITIES.entries()) desk.want(want(piece, { priority }));
  t.deepEqual(drain(desk, desk.up(1)), ['1/3', '1/2', '1/1', '1/0']);
});

test('within a priority the given order counts, not the order of asking', (t) => {
  const desk = new Desk();
  for (const [piece, order] of [
    [10, 3],
    [20, 1],
    [30, 2],
  ] as const)
    desk.want(want(piece, { priority: PRIORITY.workingSet, order }));
  t.deepEqual(drain(desk, desk.up(1)), ['1/20', '1/30', '1/10']);
});

test('faults are all asked for at once and do not wait for credit', (t) => {
  const desk = new Desk().measured(1);
  const asked = Array.from({ length: 100 }, (_, piece) => desk.want(want(piece))).flat();
  t.is(asked.length, 100);
  t.true(asked.every((words) => words.endsWith('fault')));
  t.is(desk.scheduler.snapshot().faultBytes, 100 * CHUNK);
  t.deepEqual(desk.want(want(200, { priority: PRIORITY.workingSet })), [], 'the pipe is full of faults');
});

test('of bulk the rarest goes first', (t) => {
  const desk = new Desk();
  desk.up(1);
  desk.up(2);
  const rare = new Set([5, 9]);
  desk.whoHas = ({ piece }) =>
    (rare.has(piece) ? [1] : [1, 2]).map((number) => ({ peer: peerId(number), certainty: 'has' }));
  const asked = desk.apply({ type: 'feed', feed: bulkFeed(1, 0, 20) });
  const ofTheOnlyHolder: string[] = [];
  for (let pending = asked; pending.length > 0; ) {
    const [, peer, key] = pending.shift()!.split(' ');
    if (peer === 'p1') ofTheOnlyHolder.push(key!);
    desk.nowUs += 50_000;
    pending = [...pending, ...desk.arrived(Number(peer!.slice(1)), Number(key!.split('/')[1]))];
  }
  t.deepEqual(ofTheOnlyHolder.slice(0, 2), ['1/5', '1/9']);
});

test('a fault for a waiting bulk chunk takes it out of the line', (t) => {
  const desk = new Desk().measured(1);
  const asked = desk.apply({ type: 'feed', feed: bulkFeed(1, 0, 50) });
  t.false(asked.some((words) => words.includes(' 1/40 ')));
  t.deepEqual(desk.want(want(40)), ['ask p1 1/40 fault']);
  const rest = drain(desk, [...asked, 'ask p1 1/40 fault']);
  t.is(rest.filter((key) => key === '1/40').length, 1);
  t.is(new Set(rest).size, 50);
});

test('disks get the same bytes while both pull, and one that was idle has no arrears', (t) => {
  const network = new Network({ downBytesPerUs: mbit(100) });
  network.addPeer(peerId(1), { oneWayUs: 5_000, upBytesPerUs: mbit(1000), has: () => true });
  network.apply({ type: 'feed', feed: bulkFeed(1, 0, 100_000) });
  network.run(60_000_000, () => network.deliveries.length === 100);
  network.apply({ type: 'feed', feed: bulkFeed(2, 0, 100_000) });
  network.run(60_000_000, () => network.deliveries.length === 500);
  const joined = network.deliveries.filter(({ key }) => key.startsWith('2/')).length;
  t.true(joined > 190 && joined <= 200, `${joined} of 400 for the disk that joined`);
});

test('adjacent pieces go to one peer in runs while everybody is kept busy', (t) => {
  const network = new Network({ downBytesPerUs: mbit(300) });
  for (const number of [1, 2, 3]) {
    network.addPeer(peerId(number), { oneWayUs: 5_000, upBytesPerUs: mbit(50), has: () => true });
  }
  network.apply({ type: 'feed', feed: bulkFeed(1, 0, 600) });
  network.run(60_000_000, () => network.deliveries.length === 600);
  const takenBy = new Map(network.deliveries.map(({ key, peer }) => [key, peer]));
  t.is(takenBy.size, 600);
  let followers = 0;
  for (let piece = 1; piece < 600; piece++) {
    if (takenBy.get(keyOf(1, piece)) === takenBy.get(keyOf(1, piece - 1))) followers++;
  }
  t.true(followers > 440, `${followers} of 599 come from the peer of their neighbour`);
  for (const number of [1, 2, 3]) t.true([...takenBy.values()].filter((by) => by === peerId(number)).length > 120);
});

test('a feed of a million chunks is read only as far as its look-ahead', (t) => {
  const desk = new Desk();
  const feed = bulkFeed(1, 0, 1_600_000);
  desk.apply({ type: 'feed', feed });
  t.true(feed.taken <= SCHEDULER_LIMITS.feedLookAhead);
  const asked = drain(desk, desk.up(1), 500);
  t.is(asked.length, 500);
  t.true(feed.taken <= 500 + 2 * SCHEDULER_LIMITS.feedLookAhead, `${feed.taken} taken for 500 asked`);
  t.true(desk.scheduler.snapshot().wants <= 2 * SCHEDULER_LIMITS.feedLookAhead);
});

test('a feed that says null is asked again only when told to', (t) => {
  const desk = new Desk().measured(1);
  const ready: Want[] = [];
  let questions = 0;
  const feed = {
    disk: diskId(1),
    priority: PRIORITY.bulk,
    next: () => {
      questions++;
      return ready.shift() ?? null;
    },
  };
  desk.apply({ type: 'feed', feed });
  for (let round = 0; round < 5; round++) desk.wait(1000);
  t.is(questions, 1);
  ready.push(want(7, { priority: PRIORITY.bulk }));
  t.deepEqual(desk.apply({ type: 'feedMore', feed }), ['ask p1 1/7 bulk']);
});

test('the end of a feed gives up what it brought, but not what somebody asked for by name', (t) => {
  const desk = new Desk().measured(1);
  const feed = bulkFeed(1, 0, 100);
  const asked = desk.apply({ type: 'feed', feed });
  const started = asked.map((words) => words.split(' ')[2]!);
  t.true(started.length >= 2);
  const kept = started[0]!;
  desk.want(want(Number(kept.split('/')[1])));
  const ended = desk.apply({ type: 'feedEnd', feed });
  t.false(ended.includes(`cancel p1 ${kept}`));
  for (const key of started.slice(1)) t.true(ended.includes(`cancel p1 ${key}`));
  t.is(desk.scheduler.snapshot().wants, 1);
});

test('a fault that is given up leaves the chunk to the pull it is also part of', (t) => {
  const desk = new Desk().measured(1);
  desk.apply({ type: 'feed', feed: bulkFeed(1, 0, 3) });
  desk.whoHas = () => [];
  desk.want(want(2));
  t.false(desk.apply({ type: 'giveUp', key: keyOf(1, 2) }).includes('cancel p1 1/2'));
  t.is(desk.scheduler.snapshot().wants, 3);
});

test('more wants than the bound are refused, and nothing else is disturbed', (t) => {
  const desk = new Desk({ maxWants: 2 });
  desk.want(want(0));
  desk.want(want(1));
  t.throws(() => desk.want(want(2)), { code: 'LIMIT_EXCEEDED' } as never);
  desk.want(want(1));
  desk.apply({ type: 'giveUp', key: keyOf(1, 0) });
  t.notThrows(() => desk.want(want(2)));
  t.is(desk.scheduler.snapshot().wants, 2);
});
