/**
 * A machine that becomes busy, here or there, answers later: no queue of ours, and background must not take it for one.
 * Modelled: the scheduler that ships in virtual time; after ten quick seconds every answer takes so much longer, for a minute.
 */
import test, { type ExecutionContext } from 'ava';
import { bulkFeed, CHUNK, keyOf, peerId, want } from './model/names.ts';
import { mbit, Network, percentile } from './model/network.ts';

const SECOND = 1_000_000;
const BUSY_FROM = 10;
const BUSY_UNTIL = 70;

interface Path {
  readonly downMbit: number;
  readonly rttMs: number;
  readonly peers: number;
  readonly upMbit?: number;
  /** So many of them, the first ones, take so much longer. */
  readonly busyPeers?: number;
  readonly delayMs: number;
  /** @default 70 */
  readonly untilS?: number;
}

/** A pull over the path from the first moment on. */
function pull({
  downMbit,
  rttMs,
  peers,
  upMbit = 1000,
  busyPeers = peers,
  delayMs,
  untilS = BUSY_UNTIL,
}: Path): Network {
  const network = new Network({ downBytesPerUs: mbit(downMbit) });
  const busy = (nowUs: number): boolean => nowUs >= BUSY_FROM * SECOND && nowUs < untilS * SECOND;
  for (let number = 1; number <= peers; number++) {
    const delayUs = (nowUs: number): number => (number <= busyPeers && busy(nowUs) ? delayMs * 1000 : 0);
    const line = { oneWayUs: rttMs * 500, upBytesPerUs: mbit(upMbit) };
    network.addPeer(peerId(number), { ...line, has: () => true, delayUs });
  }
  network.apply({ type: 'feed', feed: bulkFeed(1, 1_000_000, 10_000_000) });
  return network;
}

/** Megabits per second from one second to another. */
function rate(network: Network, from: number, until: number): number {
  network.run(until * SECOND);
  const within = network.deliveries.filter(({ atUs }) => atUs > from * SECOND && atUs <= until * SECOND);
  return (within.length * CHUNK * 8) / ((until - from) * SECOND);
}

const isUsed = test.macro({
  exec(
    t: ExecutionContext,
    path: Path,
    least: { readonly busy: number; readonly quick: number; readonly afterS?: number },
  ) {
    const { afterS = 3 } = least;
    const network = pull(path);
    const before = rate(network, 5, BUSY_FROM);
    const busy = rate(network, BUSY_FROM + 10, BUSY_FROM + 30);
    const after = rate(network, BUSY_UNTIL + afterS, BUSY_UNTIL + afterS + 7);
    t.log(
      `modelled: ${[before, busy, after].map((mbits) => mbits.toFixed(1)).join(', ')} Mbit/s before, meanwhile, after`,
    );
    t.deepEqual(network.broken, []);
    t.true(busy >= least.busy, `${busy} Mbit/s`);
    t.true(after >= least.quick, `${after} Mbit/s`);
  },
  title: (_, { downMbit, rttMs, peers, busyPeers = peers, delayMs }) =>
    `${downMbit} Mbit/s, ${rttMs} ms: ${busyPeers} of ${peers} peers answer ${delayMs} ms later`,
});

// One chunk at a time makes 3.8, 4.2, 1.4 and 13 Mbit/s of these, two of them 8.4 and 2.8.
test(isUsed, { downMbit: 20, rttMs: 50, peers: 1, delayMs: 60 }, { busy: 14, quick: 19 });
test(isUsed, { downMbit: 100, rttMs: 20, peers: 1, delayMs: 100 }, { busy: 30, quick: 95 });
test(isUsed, { downMbit: 20, rttMs: 50, peers: 1, delayMs: 300 }, { busy: 4.5, quick: 19 });
test(isUsed, { downMbit: 200, rttMs: 0.5, peers: 1, delayMs: 40 }, { busy: 100, quick: 190 });
test(isUsed, { downMbit: 100, rttMs: 20, peers: 8, delayMs: 100 }, { busy: 25, quick: 90 });
test(isUsed, { downMbit: 20, rttMs: 50, peers: 2, delayMs: 300 }, { busy: 3.3, quick: 18 });
// The other one's uplink is full meanwhile; the busy one counts as far, and is near again when it is quick.
test(
  isUsed,
  { downMbit: 100, rttMs: 20, upMbit: 40, peers: 2, busyPeers: 1, delayMs: 100 },
  { busy: 38, quick: 75, afterS: 32 },
);

for (const [peers, everyMs, stallMs] of [
  [1, 1000, 300],
  [1, 1000, 100],
  [4, 1000, 300],
] as const) {
  test(`20 Mbit/s, 50 ms: ${peers} peers of which none moves for ${stallMs} ms of every ${everyMs}`, (t) => {
    const network = new Network({ downBytesPerUs: mbit(20) });
    const delayUs = (nowUs: number): number =>
      nowUs < BUSY_FROM * SECOND ? 0 : Math.max(0, stallMs * 1000 - (nowUs % (everyMs * 1000)));
    for (let number = 1; number <= peers; number++)
      network.addPeer(peerId(number), { oneWayUs: 25_000, upBytesPerUs: mbit(1000), has: () => true, delayUs });
    network.apply({ type: 'feed', feed: bulkFeed(1, 0, 10_000_000) });
    const carried = 20 * (1 - stallMs / everyMs);
    const used = rate(network, BUSY_FROM, BUSY_FROM + 30);
    t.log(`modelled: ${used.toFixed(1)} of ${carried} Mbit/s`);
    t.true(used > 0.9 * carried, `${used} of ${carried} Mbit/s`);
  });
}

/** Latencies of faults, each 300 ms after the last, from one second to another. */
function faultsMs(network: Network, from: number, until: number): number[] {
  const asked = new Map<string, number>();
  const latencies: number[] = [];
  const fault = (): void => {
    if (network.nowUs >= until * SECOND) return;
    const piece = from * 1000 + asked.size;
    asked.set(keyOf(1, piece), network.nowUs);
    network.apply({ type: 'want', want: want(piece) });
  };
  network.onArrived = (key) => {
    const since = asked.get(key);
    if (since === undefined) return;
    latencies.push((network.nowUs - since) / 1000);
    network.after(0.3 * SECOND, fault);
  };
  network.after(from * SECOND - network.nowUs, fault);
  network.run(until * SECOND);
  return latencies;
}

for (const peers of [1, 2]) {
  test(`faults wait no longer behind the background of ${peers} busy peers, nor when these are quick again`, (t) => {
    const untilS = BUSY_FROM + 25;
    const network = pull({ downMbit: 20, rttMs: 50, peers, delayMs: 60, untilS });
    const idleMs = 76;
    const [before, busy, after] = [
      faultsMs(network, 5, BUSY_FROM),
      faultsMs(network, BUSY_FROM + 10, untilS),
      faultsMs(network, untilS + 1, untilS + 25),
    ].map((latencies) => percentile(latencies, 0.5));
    t.log(`modelled: p50 ${[before, busy, after].map((ms) => ms!.toFixed(0)).join(', ')} ms before, meanwhile, after`);
    t.true(before! <= 1.5 * idleMs);
    t.true(busy! <= 1.5 * (idleMs + 60));
    t.true(after! <= 1.5 * idleMs);
  });
}

test('faults of a guest that reads on do not keep the background from learning that its machine is busy', (t) => {
  const network = pull({ downMbit: 100, rttMs: 20, peers: 2, delayMs: 100 });
  let piece = 0;
  const fault = (): void => network.apply({ type: 'want', want: want(piece++) });
  network.onArrived = (key) => {
    if (key === keyOf(1, piece - 1)) network.after(1000, fault);
  };
  network.after(BUSY_FROM * SECOND, fault);
  const busy = rate(network, BUSY_FROM + 20, BUSY_FROM + 40);
  t.log(`modelled: ${busy.toFixed(1)} Mbit/s`);
  t.true(busy > 20, `${busy} Mbit/s, faults included`);
});

test('to a queue of others the background gives way in proportion, and grows no further because of it', (t) => {
  const network = pull({ downMbit: 20, rttMs: 50, peers: 1, delayMs: 0 });
  const alone = rate(network, 5, BUSY_FROM);
  const proven = network.scheduler.snapshot().creditBytes;
  // As a TCP that keeps 200 ms waiting in the line would.
  const fill = (): void => {
    network.fillDownlink(200_000);
    if (network.nowUs < BUSY_UNTIL * SECOND) network.after(5_000, fill);
  };
  fill();
  const beside = rate(network, BUSY_FROM + 5, BUSY_FROM + 25);
  t.log(`modelled: ${alone.toFixed(1)} Mbit/s alone, ${beside.toFixed(1)} beside it`);
  t.true(beside < (alone * 1.8 * 76) / 276, `${beside} Mbit/s`);
  t.true(network.scheduler.snapshot().creditBytes <= proven + 2 * CHUNK);
  const after = rate(network, BUSY_UNTIL + 2, BUSY_UNTIL + 10);
  t.true(after > 0.9 * alone, `${after} Mbit/s`);
});
