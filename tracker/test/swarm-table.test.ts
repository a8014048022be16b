/** Who is told of whom: draws, expiry, bounds. */
import { type AnnounceRequest, packPeer, unpackPeers } from '@diskswarm/announce';
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

function addresses({ peers4, peers6 }: { peers4: Uint8Array; peers6: Uint8Array }): string[] {
  return [...unpackPeers(peers4, 4, 1000), ...unpackPeers(peers6, 6, 1000)].sort();
}

test('peers of one swarm learn of each other, never of themselves or of other swarms', (t) => {
  const { table } = makeTable();
  t.deepEqual(addresses(table.announce(ask(A), packPeer('10.0.0.1:1'))), []);
  t.deepEqual(addresses(table.announce(ask(A), packPeer('10.0.0.2:1'))), ['10.0.0.1:1']);
  t.deepEqual(addresses(table.announce(ask(B), packPeer('10.0.0.3:1'))), []);
  const again = table.announce(ask(A, { leftBytes: 0 }), packPeer('10.0.0.1:1'));
  t.deepEqual(addresses(again), ['10.0.0.2:1']);
  t.is(again.seeders, 1);
  t.is(again.leechers, 1);
  t.is(table.peerCount, 3);
});

test('both families are told, the own one first', (t) => {
  const { table } = makeTable();
  for (const address of ['10.0.0.1:1', '10.0.0.2:1', '[2001:db8::1]:1', '[2001:db8::2]:1'])
    table.announce(ask(A), packPeer(address));
  const four = table.announce(ask(A, { peersWanted: 2 }), packPeer('10.0.0.9:1'));
  t.deepEqual(addresses(four), ['10.0.0.1:1', '10.0.0.2:1']);
  const six = table.announce(ask(A, { peersWanted: 3 }), packPeer('[2001:db8::9]:1'));
  t.deepEqual(unpackPeers(six.peers6, 6, 9).sort(), ['[2001:db8::1]:1', '[2001:db8::2]:1']);
  t.is(six.peers4.length, 6);
  const alone = table.announceInto(ask(A), packPeer('[2001:db8::9]:1'), 9, 2, (counts, bytes) => {
    t.is(counts.leechers, 6);
    return new Uint8Array(2 + bytes);
  });
  t.deepEqual(unpackPeers(alone.subarray(2), 6, 9).sort(), ['[2001:db8::1]:1', '[2001:db8::2]:1']);
});

test('who stops is gone at once', (t) => {
  const { table } = makeTable();
  table.announce(ask(A), packPeer('10.0.0.1:1'));
  t.deepEqual(addresses(table.announce(ask(A, { event: 'stopped' }), packPeer('10.0.0.1:1'))), []);
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
  t.deepEqual(addresses(table.announce(ask(A), packPeer('10.0.0.3:1'))), ['10.0.0.1:1', '10.0.0.2:1']);
  clock.seconds = 251;
  t.deepEqual(addresses(table.announce(ask(A), packPeer('10.0.0.3:1'))), ['10.0.0.2:1']);
  t.is(table.swarmCount, 1);
  t.is(table.peerCount, 2);
});

test('a scrape counts the named swarms and is silent about those it does not know', (t) => {
  const { table, clock } = makeTable();
  table.announce(ask(A, { event: 'completed', leftBytes: 0 }), packPeer('10.0.0.1:1'));
  table.announce(ask(A), packPeer('10.0.0.2:1'));
  t.deepEqual([...table.scrape([A, B])], [[A, { seeders: 1, leechers: 1, completed: 1 }]]);
  table.announce(ask(A, { event: 'completed', leftBytes: 0 }), packPeer('10.0.0.1:1'));
  t.is(table.scrape([A]).get(A)?.completed, 1, 'who was complete does not complete again');
  clock.seconds = 1000;
  t.deepEqual([...table.scrape([A])], []);
});

test('every peer is drawn about equally often, and never twice in one answer', (t) => {
  const { table } = makeTable();
  const asker = packPeer('10.9.9.9:1');
  for (let host = 1; host <= 40; host++) table.announce(ask(A), packPeer(`10.0.0.${host}:1`));
  const seen = new Map<string, number>();
  for (let round = 0; round < 2000; round++) {
    const drawn = addresses(table.announce(ask(A, { peersWanted: 10 }), asker));
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
  t.is(addresses(table.announce(ask(A), packPeer('10.0.0.3:1'))).length, 2);
  table.announce(ask(B), packPeer('10.0.0.1:1'));
  t.throws(() => table.announce(ask(B), packPeer('10.0.0.2:1')), { code: 'LIMIT_EXCEEDED' });
  t.throws(() => table.announce(ask('cc'.repeat(20)), packPeer('10.0.0.1:1')), { code: 'LIMIT_EXCEEDED' });
  t.is(addresses(table.announce(ask(A, { peersWanted: 0 }), packPeer('10.0.0.1:1'))).length, 0);
  const { table: large } = makeTable();
  for (let port = 1; port <= 300; port++) large.announce(ask(A), packPeer(`10.0.0.1:${port}`));
  t.is(large.announce(ask(A, { peersWanted: 10_000 }), packPeer('10.0.0.2:1')).peers4.length, 200 * 6);
  t.is(large.announce(ask(A), packPeer('10.0.0.2:1')).peers4.length, 50 * 6);
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
        t.deepEqual(addresses(answer), stop ? [] : others.sort());
      }
      table.scrape([A, B]);
      t.is(table.peerCount, model.size);
    }),
  );
});

test('a swarm that grows, shrinks and ages keeps exactly its peers, and another table made of its changes has the same', (t) => {
  const { table, clock } = makeTable();
  const { table: copy } = makeTable();
  table.onChange = (change) => copy.restore(change);
  const random = seeded(11);
  const model = new Map<string, number>();
  for (let step = 0; step < 6000; step++) {
    const growing = step % 3000 < 1500;
    const family = random.below(2);
    const address = family === 0 ? `10.0.0.1:${1 + random.below(400)}` : `[2001:db8::1]:${1 + random.below(400)}`;
    if (random.below(8) === 0) clock.seconds += 1;
    const stop = random.below(10) < (growing ? 1 : 8);
    const answer = table.announce(ask(A, { event: stop ? 'stopped' : 'none', peersWanted: 200 }), packPeer(address));
    for (const [peer, second] of model) if (second < clock.seconds - 250) model.delete(peer);
    if (stop) model.delete(address);
    else model.set(address, clock.seconds);
    const told = addresses(answer);
    t.is(new Set(told).size, told.length);
    if (!stop) t.is(told.length, Math.min(200, model.size - 1));
    if (told.some((peer) => peer === address || !model.has(peer))) t.fail(`step ${step}: ${told}`);
    if (table.peerCount !== model.size) t.fail(`step ${step}: ${table.peerCount} peers, not ${model.size}`);
  }
  t.is(copy.peerCount, table.peerCount);
  const { table: again } = makeTable();
  for (const change of table.changes()) again.restore(change);
  for (const other of [copy, again]) t.deepEqual(other.scrape([A]), table.scrape([A]));
  clock.seconds += 251;
  table.sweep();
  t.is(table.peerCount, 0);
  t.is(copy.peerCount, 0);
});
