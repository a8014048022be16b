/**
 * The fetch engine over real sessions, lanes and channels on modelled links (virtual time): a guest's faults while the
 * whole disk is pulled, peers that come, lie and go. Figures are of the model.
 */
import { type HostId, hasCode, PRIORITY } from '@diskswarm/core';
import test from 'ava';
import type { PeerStream } from '../src/index.ts';
import { Fetcher } from './helpers/fetcher.ts';
import { offered, TestDisk, type TestHost, type TestMembership } from './helpers/test-host.ts';
import { serveAll, World } from './helpers/world.ts';

const PIECES = 4000;
const CHUNK = 65_536;

interface Site {
  readonly world: World;
  readonly fetcher: Fetcher;
  readonly hotel: TestHost;
  /** Named home, office and so on; each serves everything. */
  readonly peers: readonly { name: string; id: HostId; host: TestHost; membership: TestMembership }[];
}

async function site(names: readonly string[], link: { rate: number; delayMs: number }): Promise<Site> {
  const world = new World(3);
  const hotel = await world.host('hotel');
  const disk = new TestDisk(hotel.id, world.random);
  const hosts = await Promise.all(names.map((name) => world.host(name)));
  for (const { id } of hosts) disk.grant(id);
  world.network.link('hotel').delayMs = link.delayMs;
  const fetcher = new Fetcher(world, hotel.join(disk));
  const peers = hosts.map((host, index) => ({
    name: names[index]!,
    id: host.id,
    host,
    membership: host.join(disk),
  }));
  for (const { name, membership } of peers) {
    serveAll(membership);
    Object.assign(world.network.link(name), link);
    hotel.swarm.addPeerAddress(disk.genesis.disk, `${name}:1`, 'peer');
  }
  await world.clock.until(() => fetcher.membership.ready.length === names.length);
  for (const { membership } of peers) membership.ready[0]!.openGeneration(offered(PIECES));
  await world.clock.until(() => fetcher.membership.generations.length === names.length);
  return { world, fetcher, hotel, peers };
}

/** Latency of faults one after the other with pauses between, in milliseconds, sorted. */
async function faults({ world, fetcher }: Site, from: number, count: number): Promise<number[]> {
  const latencies: number[] = [];
  for (let index = from; index < from + count; index++) {
    let ended = false;
    const startUs = world.clock.nowUs();
    void fetcher.get(index, PRIORITY.fault).then(() => {
      ended = true;
    });
    await world.clock.until(() => ended);
    latencies.push((world.clock.nowUs() - startUs) / 1000);
    await world.clock.advance(37 + ((index * 53) % 200));
  }
  return latencies.sort((a, b) => a - b);
}

test('a guest waits little longer while a pull fills a link of 20 Mbit/s and 50 ms', async (t) => {
  const home = await site(['home'], { rate: 2_500_000, delayMs: 25 });
  const idle = await faults(home, 0, 40);
  const pull = home.fetcher.pull(1000, PIECES);
  await home.world.clock.advance(3000);
  const before = home.fetcher.bytesBySource.get(home.peers[0]!.id)!;
  const startUs = home.world.clock.nowUs();
  const busy = await faults(home, 100, 100);
  const seconds = (home.world.clock.nowUs() - startUs) / 1e6;
  const rate = (home.fetcher.bytesBySource.get(home.peers[0]!.id)! - before) / seconds;
  const [idleP50, busyP50, busyP99] = [idle[20]!, busy[50]!, busy[99]!];
  t.log(
    `modelled: p50 idle ${idleP50.toFixed(0)} ms, under a pull ${busyP50.toFixed(0)} ms, p99 ${busyP99.toFixed(0)} ms`,
  );
  t.log(`modelled: link ${((100 * rate) / 2_500_000).toFixed(0)} % full`);
  t.true(busyP50 <= 1.5 * idleP50);
  t.true(rate >= 0.8 * 2_500_000);
  home.fetcher.engine.stop();
  t.true(hasCode(await t.throwsAsync(pull), 'ABORTED'));
});

/** A guest's memory that never ends, on its way from a peer to the host that fetches; that gives chunks half of its link. */
function memoryFrom({ host }: Site['peers'][0], { hotel }: Site): void {
  const quiet = { onData: () => undefined, onDrain: () => undefined, onEnd: () => undefined, onClose: () => undefined };
  hotel.onStream = () => quiet;
  const part = new Uint8Array(CHUNK).fill(7);
  const fill = (stream: PeerStream): void => {
    while (stream.write(part));
  };
  host.swarm.splitLink(hotel.id, { bytesPerSecond: null, backgroundPart: 0.5 });
  fill(host.swarm.openStream(hotel.id, 'memory', (stream) => ({ ...quiet, onDrain: () => fill(stream) })));
}

test("beside a guest's memory a pull gives in to what queues, unless it is told that the sender parts the link", async (t) => {
  const rate = 2_500_000;
  const all = await site(['home'], { rate, delayMs: 25 });
  const { world, fetcher } = all;
  const [home] = all.peers as [Site['peers'][0]];
  const pull = fetcher.pull(0, PIECES);
  await world.clock.advance(2000);
  memoryFrom(home, all);
  /** Of the link, over four seconds, once it is steady. */
  const part = async (): Promise<number> => {
    await world.clock.advance(4000);
    const before = fetcher.bytesBySource.get(home.id)!;
    await world.clock.advance(4000);
    return (fetcher.bytesBySource.get(home.id)! - before) / (4 * rate);
  };
  const parts: number[] = [];
  for (const shared of [false, true, false]) {
    fetcher.engine.linkShared(home.id, shared);
    parts.push(await part());
  }
  t.log(`modelled: ${parts.map((each) => `${(100 * each).toFixed(0)} %`).join(', ')} of the link`);
  const [before, during, after] = parts as [number, number, number];
  t.true(during > 0.4 && during < 0.6);
  t.true(before < 0.6 * during && after < 0.6 * during);
  fetcher.engine.stop();
  t.true(hasCode(await t.throwsAsync(pull), 'ABORTED'));
});

test('a pull takes from everybody; when one of them goes and one lies the chunks still come', async (t) => {
  const all = await site(['home', 'office', 'school'], { rate: 5_000_000, delayMs: 5 });
  const [home, office, school] = all.peers as [Site['peers'][0], Site['peers'][0], Site['peers'][0]];
  let ended = false;
  void all.fetcher.pull(0, 1200).then(() => {
    ended = true;
  });
  await all.world.clock.advance(1500);
  const shares = [home, office, school].map(({ id }) => all.fetcher.bytesBySource.get(id) ?? 0);
  t.true(
    shares.every((bytes) => bytes > 20 * CHUNK),
    `${shares}`,
  );
  office.membership.server = { ...office.membership.server, readPiece: async () => new Uint8Array(CHUNK).fill(0xee) };
  await all.world.clock.until(() => all.fetcher.membership.ready.length === 2);
  t.false(
    all.fetcher.membership.ready.some(({ host }) => host === office.id),
    'the liar is gone',
  );
  school.membership.server = { ...school.membership.server, readPiece: async () => null };
  t.true(await all.world.clock.until(() => ended, 120_000));
  const total = [...all.fetcher.bytesBySource.values()].reduce((sum, bytes) => sum + bytes, 0);
  t.is(total, 1200 * CHUNK, 'every chunk counted once, to the host it came from');
  all.fetcher.engine.stop();
});
