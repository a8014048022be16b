/** What holds whatever happens: on random modelled networks with peers that die, refuse, lie, fall silent and return. */
import { PRIORITY, type Priority } from '@diskswarm/core';
import test from 'ava';
import fc from 'fast-check';
import type { Effect } from '../src/index.ts';
import { bulkFeed, keyOf, peerId, want } from './model/names.ts';
import { mbit, Network } from './model/network.ts';

const SECOND = 1_000_000;
/** Long enough for every back-off and stall that one run can collect. */
const AT_LAST_US = 1200 * SECOND;

const peerSpec = fc.record({
  oneWayMs: fc.integer({ min: 0, max: 150 }),
  upMbit: fc.constantFrom(1, 10, 100, 1000),
  /** It has the pieces whose number leaves this remainder by 3; 3 stands for all. */
  share: fc.integer({ min: 0, max: 3 }),
  behaviour: fc.constantFrom('serve', 'serve', 'reject', 'corrupt', 'silent'),
  certainty: fc.constantFrom('has', 'has', 'unknown'),
});

const action = fc.oneof(
  fc.record({
    kind: fc.constant('want' as const),
    atMs: fc.nat(5000),
    disk: fc.integer({ min: 1, max: 2 }),
    piece: fc.nat(60),
    priority: fc.constantFrom<Priority>(PRIORITY.fault, PRIORITY.seal, PRIORITY.workingSet, PRIORITY.bulk),
  }),
  fc.record({ kind: fc.constant('giveUp' as const), atMs: fc.nat(5000), disk: fc.constant(1), piece: fc.nat(60) }),
  fc.record({ kind: fc.constant('die' as const), atMs: fc.nat(8000), peer: fc.nat(4), forMs: fc.nat(3000) }),
  fc.record({ kind: fc.constant('choke' as const), atMs: fc.nat(8000), peer: fc.nat(4), forMs: fc.nat(3000) }),
);

const scenario = fc.record({
  downMbit: fc.constantFrom(2, 20, 1000),
  peers: fc.array(peerSpec, { minLength: 1, maxLength: 5 }),
  actions: fc.array(action, { maxLength: 60 }),
  pulled: fc.nat(60),
  seed: fc.nat(1000),
});
type Scenario = typeof scenario extends fc.Arbitrary<infer Value> ? Value : never;

/** Builds the network of a scenario with one honest peer that has everything, and plays it to the end. */
function play({ downMbit, peers, actions, pulled, seed }: Scenario): { network: Network; wanted: Set<string> } {
  const network = new Network({ downBytesPerUs: mbit(downMbit), seed });
  const wanted = new Set<string>();
  network.addPeer(peerId(100), { oneWayUs: 20_000, upBytesPerUs: mbit(50), has: () => true });
  for (const [index, { oneWayMs, upMbit, share, behaviour, certainty }] of peers.entries()) {
    network.addPeer(peerId(index + 1), {
      oneWayUs: oneWayMs * 1000,
      upBytesPerUs: mbit(upMbit),
      has: ({ piece }) => share === 3 || piece % 3 === share,
      behaviour: behaviour as 'serve',
      certainty: certainty as 'has',
    });
  }
  if (pulled > 0) network.apply({ type: 'feed', feed: bulkFeed(1, 0, pulled) });
  for (let piece = 0; piece < pulled; piece++) wanted.add(keyOf(1, piece));
  for (const step of actions) {
    network.after(step.atMs * 1000, () => {
      if (step.kind === 'want') {
        if (network.deliveries.some(({ key }) => key === keyOf(step.disk, step.piece))) return;
        wanted.add(keyOf(step.disk, step.piece));
        network.apply({ type: 'want', want: want(step.piece, step) });
      } else if (step.kind === 'giveUp') {
        if (step.piece >= pulled) wanted.delete(keyOf(step.disk, step.piece));
        network.apply({ type: 'giveUp', key: keyOf(step.disk, step.piece) });
      } else {
        const peer = peerId((step.peer % peers.length) + 1);
        const { disk } = want(0);
        if (step.kind === 'choke') {
          network.apply({ type: 'choked', peer, disk });
          network.after(step.forMs * 1000, () => network.apply({ type: 'unchoked', peer, disk }));
        } else if (network.peers.get(peer)!.up) {
          network.disconnect(peer);
          network.after(step.forMs * 1000, () => network.connect(peer));
        }
      }
    });
  }
  network.run(AT_LAST_US, () => network.nowUs > 9 * SECOND && network.scheduler.snapshot().wants === 0);
  return { network, wanted };
}

const words = (log: readonly Effect[]): string => JSON.stringify(log);

test('every chunk that somebody honest has arrives, and no promise is broken on the way', (t) => {
  fc.assert(
    fc.property(scenario, (given) => {
      const { network, wanted } = play(given);
      t.deepEqual(network.broken, []);
      const arrived = new Set(network.deliveries.map(({ key }) => key));
      t.deepEqual(
        [...wanted].filter((key) => !arrived.has(key)),
        [],
      );
      const { wants, backgroundBytes, faultBytes } = network.scheduler.snapshot();
      t.deepEqual({ wants, backgroundBytes, faultBytes }, { wants: 0, backgroundBytes: 0, faultBytes: 0 });
    }),
    { numRuns: 120, seed: 20_261 },
  );
});

test('exactly the peers that sent wrong bytes are banned', (t) => {
  fc.assert(
    fc.property(scenario, (given) => {
      const { network } = play(given);
      const banned = new Set(network.log.flatMap((effect) => (effect.type === 'ban' ? [effect.peer] : [])));
      for (const peer of banned) t.is(network.peers.get(peer)!.model.behaviour, 'corrupt');
    }),
    { numRuns: 40, seed: 20_262 },
  );
});

test('the same events give the same effects', (t) => {
  fc.assert(
    fc.property(scenario, (given) => {
      t.is(words(play(given).network.log), words(play(given).network.log));
    }),
    { numRuns: 30, seed: 20_263 },
  );
});
