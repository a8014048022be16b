/**
 * The credit policy on a modelled network (virtual time, one shared downlink, 64 KiB chunks): what a fault waits for
 * behind a pull that fills the link, and how full the link is. Figures of the model, not measurements.
 */
import test, { type ExecutionContext } from 'ava';
import { bulkFeed, CHUNK, keyOf, peerId, want } from './model/names.ts';
import { mbit, Network, percentile } from './model/network.ts';
import { seededRandom } from './model/seeded-random.ts';

const WARM_UP_US = 5_000_000;

interface Link {
  readonly downMbit: number;
  readonly rttMs: number;
  readonly peers: number;
  readonly upMbit?: number;
  readonly seconds?: number;
}

interface Figures {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly utilisation: number;
}

/** Faults one after the other with pauses of `pauseUs` on average, with or without a pull in the background. */
function run(link: Link, background: boolean, pauseUs: number): Figures & { broken: readonly string[] } {
  const network = new Network({ downBytesPerUs: mbit(link.downMbit) });
  const { upMbit = 1000, seconds = 60 } = link;
  for (let number = 1; number <= link.peers; number++) {
    network.addPeer(peerId(number), { oneWayUs: link.rttMs * 500, upBytesPerUs: mbit(upMbit), has: () => true });
  }
  if (background) network.apply({ type: 'feed', feed: bulkFeed(1, 1_000_000, 10_000_000) });
  const random = seededRandom(11);
  const asked = new Map<string, number>();
  const latencies: number[] = [];
  const fault = (): void => {
    const piece = asked.size;
    asked.set(keyOf(1, piece), network.nowUs);
    network.apply({ type: 'want', want: want(piece) });
  };
  network.onArrived = (key) => {
    const since = asked.get(key);
    if (since === undefined) return;
    latencies.push(network.nowUs - since);
    network.after(1 + random.below(2 * pauseUs), fault);
  };
  let busyUs = 0;
  network.after(WARM_UP_US, () => {
    busyUs = network.downlinkBusyUs;
    fault();
  });
  network.run(seconds * 1e6);
  return {
    p50Ms: percentile(latencies, 0.5) / 1000,
    p99Ms: percentile(latencies, 0.99) / 1000,
    utilisation: (network.downlinkBusyUs - busyUs) / (seconds * 1e6 - WARM_UP_US),
    broken: network.broken,
  };
}

const inWords = ({ p50Ms, p99Ms, utilisation }: Figures): string =>
  `p50 ${p50Ms.toFixed(1)} ms, p99 ${p99Ms.toFixed(1)} ms, link ${(100 * utilisation).toFixed(0)} % full`;

const holds = test.macro({
  exec(t: ExecutionContext, link: Link, pauseUs: number, { ratio, full }: { ratio: number; full: number }) {
    const idle = run(link, false, pauseUs);
    const busy = run(link, true, pauseUs);
    t.log(`modelled, idle: ${inWords(idle)}`);
    t.log(`modelled, under a pull: ${inWords(busy)}; ${(busy.p50Ms / idle.p50Ms).toFixed(2)} times idle`);
    t.deepEqual([...idle.broken, ...busy.broken], []);
    t.true(busy.p50Ms <= ratio * idle.p50Ms);
    t.true(busy.utilisation >= full);
  },
  title: (_, { downMbit, rttMs, peers }, pauseUs) =>
    `${downMbit} Mbit/s, ${rttMs} ms, ${peers} peers, a fault ${pauseUs / 1000} ms after the last`,
});

const REACH = { ratio: 1.5, full: 0.8 };
for (const peers of [1, 2, 8, 20]) test(holds, { downMbit: 20, rttMs: 50, peers }, 200_000, REACH);
test(holds, { downMbit: 20, rttMs: 50, peers: 1 }, 1, REACH);
test(holds, { downMbit: 20, rttMs: 50, peers: 2 }, 5_000, REACH);
// Without any pause the faults and the pull fall into step, in bunches with idle time between them.
test(holds, { downMbit: 20, rttMs: 50, peers: 2 }, 1, { ratio: 1.5, full: 0.75 });
test(holds, { downMbit: 100, rttMs: 20, peers: 2 }, 100_000, REACH);
// A chunk takes 105 ms here: a fault that meets one has lost half its time already.
test(holds, { downMbit: 5, rttMs: 100, peers: 1 }, 300_000, { ratio: 1.6, full: 0.8 });
test('on a LAN a fault waits 25 ms at most behind a pull that fills it, were it to share its queue', (t) => {
  const lan = { downMbit: 1000, rttMs: 0.5, peers: 2, upMbit: 10_000, seconds: 8 };
  const busy = run(lan, true, 20_000);
  t.log(`modelled, under a pull: ${inWords(busy)}`);
  t.deepEqual(busy.broken, []);
  t.true(busy.p99Ms <= 25);
  t.true(busy.utilisation >= 0.9);
});

function pull(down: number, peers: readonly (readonly [upMbit: number, rttMs: number])[], seconds: number): Network {
  const network = new Network({ downBytesPerUs: mbit(down) });
  for (const [index, [upMbit, rttMs]] of peers.entries()) {
    network.addPeer(peerId(index + 1), { oneWayUs: rttMs * 500, upBytesPerUs: mbit(upMbit), has: () => true });
  }
  network.apply({ type: 'feed', feed: bulkFeed(1, 0, 10_000_000) });
  network.run(seconds * 1e6);
  return network;
}

const rateOf = (network: Network, number: number): number =>
  (network.deliveries.filter(({ peer }) => peer === peerId(number)).length * CHUNK * 8) / network.nowUs;

test('a pull over a loopback of 500 MB/s is not held back', (t) => {
  const network = pull(4000, [[8000, 0.1]], 2);
  t.deepEqual(network.broken, []);
  t.true(rateOf(network, 1) > 0.95 * 4000, `${rateOf(network, 1)} Mbit/s`);
});

test('a slow, far peer does not hold back a near, fast one, and is spared what that one has', (t) => {
  const network = pull(
    1000,
    [
      [1000, 0.5],
      [2, 80],
    ],
    5,
  );
  t.deepEqual(network.broken, []);
  t.true(rateOf(network, 1) > 850, `${rateOf(network, 1)} Mbit/s`);
  t.true(rateOf(network, 2) < 0.5, `${rateOf(network, 2)} Mbit/s`);
});

test('equal peers are used side by side, whoever owns the run at hand', (t) => {
  const network = pull(
    1000,
    Array.from({ length: 3 }, () => [40, 10] as const),
    10,
  );
  t.deepEqual(network.broken, []);
  for (const number of [1, 2, 3]) t.true(rateOf(network, number) > 35, `${rateOf(network, number)} of 40 Mbit/s`);
});

test('twelve slow uplinks together fill a fast downlink', (t) => {
  const network = pull(
    100,
    Array.from({ length: 12 }, () => [10, 50] as const),
    30,
  );
  t.deepEqual(network.broken, []);
  t.true(network.downlinkBusyUs / network.nowUs > 0.8);
});
