/** Who is told of whom: draws, expiry, bounds. */
import { type AnnounceRequest, type CompactPeer, packPeer, unpackPeer } from '@diskswarm/announce';
import type { Clock, Random } from '@diskswarm/core';
import test from 'ava';
import fc from 'fast-check';
import { SwarmTable, type SwarmTableOptions } from '../src/swarm-table.ts';

class HandClock implements Clock {
  seconds = 0;
  nowUs(): number {
    return this.seconds * 1e6;
  }
  wallMs(): number {
    return 0;
  }
  setTimer(): never {
    throw new Error('the table needs no timers');
  }
}

/** A linear congruential generator: the same draws in every run. */
function seeded(seed: number): Random {
  let state = seed >>> 0;
  const below = (limit: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
  return { below, bytes: (count) => Uint8Array.from({ length: count }, () => below(256)) };
}

function makeTable(options: Partial<SwarmTableOptions> = {}): { table: SwarmTable; clock: HandClock } {
  const clock = new HandClock();
  return { table: new SwarmTable({ clock, random: seeded(7), intervalSeconds: 100, ...options }), clock };
}

const A = 'aa'.repeat(20);
const B = 'bb'.repeat(20);

function ask(infoHash: string, more: Partial<AnnounceRequest> = {}): AnnounceRequest {
  const peerId = new Uint8Array(20);
  return {
    infoHash,
    peerId,
    port: 1,
    uploadedBytes: 0,
    downloadedBytes: 0,
    leftBytes: 1,
    event: 'none',
    peersWanted: null,
    ...more,
  };
}

function addresses(peers: readonly CompactPeer[]): string[] {
  return peers.map(unpackPeer).sort();
}

test('peers of one swarm learn of each other, never of themselves or of other swarms', (t) => {
  const { table } = makeTable();
  t.deepEqual(addresses(table.announce(ask(A), packPeer('10.0.0.1:1')).peers), []);
  t.deepEqual(addresses(table.announce(ask(A), packPeer('10.0.0.2:1')).peers), ['10.0.0.1:1']);
  t.deepEqual(addresses(table.announce(ask(B), packPeer('10.0.0.3:1')).peers), []);
  const again = table.announce(ask(A, { leftBytes: 0 }), packPeer('10.0.0.1:1'));
  t.deepEqual(addresses(again.peers), ['10.0.0.2:1']);
  t.is(again.seeders, 1);
  t.is(again.leechers, 1);
  t.is(table.peerCount, 3);
});

test('both families are told, the own one first', (t) => {
  const { table } = makeTable();
  for (const address of ['10.0.0.1:1', '10.0.0.2:1', '[2001:db8::1]:1', '[2001:db8::2]:1'])
    table.announce(ask(A), packPeer(address));
  const four = table.announce(ask(A, { peersWanted: 2 }), packPeer('10.0.0.9:1'));
  t.deepEqual(addresses(four.peers), ['10.0.0.1:1', '10.0.0.2:1']);
  const six = table.announce(ask(A, { peersWanted: 3 }), packPeer('[2001:db8::9]:1')).peers;
  t.deepEqual(addresses(six.slice(0, 2)), ['[2001:db8::1]:1', '[2001:db8::2]:1']);
  t.is(six[2]?.length, 6);
});

test('who stops is gone at once', (t) => {
  const { table } = makeTable();
  table.announce(ask(A), packPeer('10.0.0.1:1'));
  t.deepEqual(table.announce(ask(A, { event: 'stopped' }), packPeer('10.0.0.1:1')).peers, []);
  t.is(table.swarmCount, 0);
  t.is(table.peerCount, 0);
  table.announce(ask(A, { event: 'stopped' }), packPeer('10.0.0.1:1'));
  t.is(table.peerCount, 0);
});

test('who falls silent is forgotten after two and a half intervals, whole swarms too', (t) => {
  const { table, clock } = makeTable();
  table.announce(ask(A), packPeer('10.0.0.1:1'));
  table.announce(ask(B), packPeer('10.0.0.1:1'));
  clock.seconds = 200;
  table.announce(ask(A), packPeer('10.0.0.2:1'));
  clock.seconds = 250;
  t.deepEqual(addresses(table.announce(ask(A), packPeer('10.0.0.3:1')).peers), ['10.0.0.1:1', '10.0.0.2:1']);
  clock.seconds = 251;
  t.deepEqual(addresses(table.announce(ask(A), packPeer('10.0.0.3:1')).peers), ['10.0.0.2:1']);
  t.is(table.swarmCount, 1);
  t.is(table.peerCount, 2);
});

test('a scrape counts the named swarms, unknown ones as zeros', (t) => {
  const { table, clock } = makeTable();
  table.announce(ask(A, { event: 'completed', leftBytes: 0 }), packPeer('10.0.0.1:1'));
  table.announce(ask(A), packPeer('10.0.0.2:1'));
  t.deepEqual(
    [...table.scrape([A, B])],
    [
      [A, { seeders: 1, leechers: 1, completed: 1 }],
      [B, { seeders: 0, leechers: 0, completed: 0 }],
    ],
  );
  clock.seconds = 1000;
  t.deepEqual(table.scrape([A]).get(A), { seeders: 0, leechers: 0, completed: 0 });
});

test('every peer is drawn about equally often, and never twice in one answer', (t) => {
  const { table } = makeTable();
  const asker = packPeer('10.9.9.9:1');
  for (let host = 1; host <= 40; host++) table.announce(ask(A), packPeer(`10.0.0.${host}:1`));
  const seen = new Map<string, number>();
  for (let round = 0; round < 2000; round++) {
    const drawn = addresses(table.announce(ask(A, { peersWanted: 10 }), asker).peers);
    t.is(new Set(drawn).size, 10);
    for (const address of drawn) seen.set(address, (seen.get(address) ?? 0) + 1);
  }
  t.is(seen.size, 40);
  // 500 each on average; six standard deviations are about 116.
  for (const [address, times] of seen) t.true(Math.abs(times - 500) < 116, `${address}: ${times}`);
});

test('answers and tables are bounded; those who are known go on', (t) => {
  const { table } = makeTable({ maxPeersPerSwarm: 3, maxSwarms: 2, maxPeers: 4 });
  for (const host of [1, 2, 3]) table.announce(ask(A), packPeer(`10.0.0.${host}:1`));
  t.throws(() => table.announce(ask(A), packPeer('10.0.0.4:1')), { code: 'LIMIT_EXCEEDED' });
  t.is(table.announce(ask(A), packPeer('10.0.0.3:1')).peers.length, 2);
  table.announce(ask(B), packPeer('10.0.0.1:1'));
  t.throws(() => table.announce(ask(B), packPeer('10.0.0.2:1')), { code: 'LIMIT_EXCEEDED' });
  t.throws(() => table.announce(ask('cc'.repeat(20)), packPeer('10.0.0.1:1')), { code: 'LIMIT_EXCEEDED' });
  t.is(table.announce(ask(A, { peersWanted: 0 }), packPeer('10.0.0.1:1')).peers.length, 0);
  const { table: large } = makeTable();
  for (let port = 1; port <= 300; port++) large.announce(ask(A), packPeer(`10.0.0.1:${port}`));
  t.is(large.announce(ask(A, { peersWanted: 10_000 }), packPeer('10.0.0.2:1')).peers.length, 200);
  t.is(large.announce(ask(A), packPeer('10.0.0.2:1')).peers.length, 50);
});

test('whatever happens, the counts are those of a list that a child could keep', (t) => {
  const step = fc.record({
    hash: fc.constantFrom(A, B),
    host: fc.integer({ min: 1, max: 6 }),
    six: fc.boolean(),
    stop: fc.boolean(),
    seeder: fc.boolean(),
    wait: fc.constantFrom(0, 0, 60, 130, 260),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const { table, clock } = makeTable();
      const model = new Map<string, { hash: string; address: string; seeder: boolean; at: number }>();
      for (const { hash, host, six, stop, seeder, wait } of steps) {
        clock.seconds += wait;
        const address = six ? `[2001:db8::${host}]:1` : `10.0.0.${host}:1`;
        const request = ask(hash, { event: stop ? 'stopped' : 'none', leftBytes: seeder ? 0 : 1, peersWanted: 200 });
        const answer = table.announce(request, packPeer(address));
        for (const [key, peer] of model) if (peer.at < clock.seconds - 250) model.delete(key);
        if (stop) model.delete(hash + address);
        else model.set(hash + address, { hash, address, seeder, at: clock.seconds });
        const swarm = [...model.values()].filter((peer) => peer.hash === hash);
        t.is(answer.seeders + answer.leechers, swarm.length);
        t.is(answer.seeders, swarm.filter((peer) => peer.seeder).length);
        const others = swarm.map((peer) => peer.address).filter((other) => other !== address);
        t.deepEqual(addresses(answer.peers), stop ? [] : others.sort());
      }
      table.scrape([A, B]);
      t.is(table.peerCount, model.size);
    }),
  );
});
