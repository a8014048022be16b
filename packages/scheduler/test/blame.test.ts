/** Who lies, who refuses and who falls silent: each loses exactly what it should, for as long as it should. */
import { PRIORITY } from '@diskswarm/core';
import test from 'ava';
import { PATIENCE, SCHEDULER_LIMITS } from '../src/limits.ts';
import { Desk } from './model/desk.ts';
import { keyOf, peerId, want } from './model/names.ts';

const SECOND = 1_000_000;

test('wrong bytes ban their sender alone, and all it had was asked elsewhere', (t) => {
  const desk = new Desk().measured(2);
  const asked = [0, 1, 2, 3].flatMap((piece) => desk.want(want(piece)));
  const guilty = Number(asked[0]!.split(' ')[1]!.slice(1));
  const other = 3 - guilty;
  const [mine, theirs] = [guilty, other].map((number) =>
    asked.filter((words) => words.startsWith(`ask p${number} `)).map((words) => words.split(' ')[2]!),
  );
  const effects = desk.raw({ type: 'corrupt', peer: peerId(guilty), key: mine![0]! });
  t.deepEqual(
    effects.filter(({ type }) => type === 'ban'),
    [{ type: 'ban', peer: peerId(guilty), untilUs: desk.nowUs + PATIENCE.banUs, reason: 'corrupt' }],
  );
  const cancelled = effects.flatMap((effect) => (effect.type === 'cancel' ? [effect.key] : []));
  t.deepEqual(cancelled, mine!.slice(1));
  const again = effects.flatMap((effect) => (effect.type === 'request' ? [[effect.peer, effect.want.key]] : []));
  t.deepEqual(
    again,
    mine!.map((key) => [peerId(other), key]),
  );
  t.true(theirs!.every((key) => !cancelled.includes(key)));
});

test('a ban ends by itself; the next one lasts twice as long', (t) => {
  const desk = new Desk().measured(1);
  desk.want(want(1));
  const corrupt = (): number => {
    const ban = desk.raw({ type: 'corrupt', peer: peerId(1), key: keyOf(1, 1) }).find(({ type }) => type === 'ban');
    return ban?.type === 'ban' ? ban.untilUs - desk.nowUs : Number.NaN;
  };
  t.is(corrupt(), PATIENCE.banUs);
  t.deepEqual(desk.wait(PATIENCE.banUs - 1), []);
  t.deepEqual(desk.wait(1), ['ask p1 1/1 fault']);
  t.is(corrupt(), 2 * PATIENCE.banUs);
});

test('a ban outlasts the connection', (t) => {
  const desk = new Desk().measured(1);
  desk.want(want(1));
  desk.apply({ type: 'corrupt', peer: peerId(1), key: keyOf(1, 1) });
  desk.down(1);
  t.deepEqual(desk.up(1), []);
  t.deepEqual(desk.wait(PATIENCE.banUs), ['ask p1 1/1 fault']);
});

test('an unban counts at once', (t) => {
  const desk = new Desk().measured(1);
  desk.want(want(1));
  t.deepEqual(desk.apply({ type: 'corrupt', peer: peerId(1), key: keyOf(1, 1) }), ['ban p1', 'unavailable 1/1']);
  t.deepEqual(desk.apply({ type: 'unban', peer: peerId(1) }), ['ask p1 1/1 fault']);
});

test('a reject goes to the next peer at once, and back to the first ever more slowly', (t) => {
  const desk = new Desk().measured(2);
  const first = desk.want(want(1))[0]!.includes('p1') ? 1 : 2;
  const reject = (number: number): string[] => desk.apply({ type: 'rejected', peer: peerId(number), key: keyOf(1, 1) });
  t.deepEqual(reject(first), [`ask p${3 - first} 1/1 fault`]);
  t.deepEqual(reject(3 - first), ['unavailable 1/1']);
  const gaps: number[] = [];
  for (let last = desk.nowUs; gaps.length < 12; ) {
    for (let words = desk.wait(50_000); words.length > 0; ) {
      t.regex(words.join(), /^ask p[12] 1\/1 fault$/, 'not told unavailable a second time');
      if (desk.nowUs > last) gaps.push(desk.nowUs - last);
      last = desk.nowUs;
      words = reject(Number(words[0]!.split(' ')[1]!.slice(1)));
    }
  }
  t.true(gaps.at(-1)! > 4 * gaps[0]!, `gaps of ${gaps.join(', ')} µs`);
});

test('who was asked on a guess and said no is asked again as soon as it claims the chunk', (t) => {
  const desk = new Desk().measured(1);
  desk.whoHas = () => [{ peer: peerId(1), certainty: 'unknown' }];
  desk.want(want(1));
  t.deepEqual(desk.apply({ type: 'rejected', peer: peerId(1), key: keyOf(1, 1) }), ['unavailable 1/1']);
  desk.whoHas = () => [{ peer: peerId(1), certainty: 'has' }];
  t.deepEqual(desk.apply({ type: 'claims', peer: peerId(1), disk: want(1).disk }), ['ask p1 1/1 fault']);
});

test('background that stalls goes to somebody else, once there is one', (t) => {
  const desk = new Desk().measured(1);
  t.deepEqual(desk.want(want(1, { priority: PRIORITY.bulk })), ['ask p1 1/1 bulk']);
  t.deepEqual(desk.wait(PATIENCE.stallFloorUs), ['late p1 1/1']);
  t.deepEqual(desk.wait(30 * SECOND), [], 'nobody else has it: wait');
  t.deepEqual(desk.up(2), []);
  t.deepEqual(desk.wait(PATIENCE.stallFloorUs), ['cancel p1 1/1', 'ask p2 1/1 bulk']);
  t.deepEqual(desk.arrived(2, 1), []);
});

test('a silent peer holds one background chunk at most and gets the rest only when it delivers again', (t) => {
  const desk = new Desk().measured(1);
  for (let piece = 0; piece < 20; piece++) desk.want(want(piece, { priority: PRIORITY.bulk }));
  desk.wait(PATIENCE.stallFloorUs * 10);
  t.true(desk.scheduler.snapshot().peers[0]!.late);
  t.is(desk.up(2).filter((words) => words.startsWith('ask p1')).length, 0);
});

test('events about strangers and about requests that ended change nothing', (t) => {
  const desk = new Desk().measured(1);
  desk.want(want(1));
  const before = desk.scheduler.snapshot();
  for (const type of ['arrived', 'rejected'] as const) {
    t.deepEqual(desk.apply({ type, peer: peerId(1), key: keyOf(1, 77) }), []);
  }
  t.deepEqual(desk.apply({ type: 'rejected', peer: peerId(9), key: keyOf(1, 1) }), []);
  t.deepEqual(desk.apply({ type: 'peerDown', peer: peerId(9) }), []);
  t.deepEqual(desk.apply({ type: 'choked', peer: peerId(9), disk: want(1).disk }), []);
  t.deepEqual(desk.scheduler.snapshot(), before);
});

test('a peer that parts its link is kept busy until it is told otherwise, or gone', (t) => {
  const kept = SCHEDULER_LIMITS.sharedBytes;
  for (const how of ['told', 'gone']) {
    const desk = new Desk().measured(3, 200_000);
    const share = (peer: number, on: boolean) => desk.apply({ type: 'shared', peer: peerId(peer), on });
    /** What may be under way after answers that queued behind each other, 200 ms each. */
    const queued = (from: number): number[] => {
      for (let batch = from; batch < from + 40; batch += 8) {
        const asked: string[] = [];
        for (let piece = batch; piece < batch + 8; piece++)
          asked.push(...desk.want(want(piece, { priority: PRIORITY.bulk })));
        for (let words = asked.shift(); words !== undefined; words = asked.shift()) {
          const [, peer, key] = words.split(' ');
          desk.nowUs += 200_000;
          asked.push(...desk.arrived(Number(peer!.slice(1)), Number(key!.slice(2))));
        }
      }
      const { peers, creditBytes } = desk.scheduler.snapshot();
      return [creditBytes, ...peers.map((peer) => peer.creditBytes)];
    };
    share(1, true);
    const [host, first, second] = queued(0);
    t.true(host! >= kept && first! >= kept && second! < kept, how);
    if (how === 'told') share(1, false);
    else desk.down(1);
    t.true(
      queued(100).every((bytes) => bytes < kept),
      how,
    );
    t.deepEqual(share(9, true), [], 'one that is not there');
  }
});
