/** What is served when: faults before background on slow links and under limits; peers in turn; little waits in this process. */
import type { Clock } from '@diskswarm/core';
import test from 'ava';
import { TokenBucket } from '../src/token-bucket.ts';
import { type UploadJob, UploadQueue, type UploadSource } from '../src/upload-queue.ts';
import { TestClock } from './helpers/test-clock.ts';
import { chunkOf, generationOne, piece, TestDisk, type TestMembership } from './helpers/test-host.ts';
import { connectedPair, type Pair, serveAll, World } from './helpers/world.ts';

const CHUNK = 65_536;
/** 20 Mbit/s. */
const SLOW = 2_500_000;

function askBulk({ atOffice }: Pair, from: number, to: number): void {
  for (let index = from; index < to; index++) {
    atOffice.ready[0]!.request({ generation: generationOne, piece: piece(index), lane: 'bulk' });
  }
}

/** Milliseconds from asking for a fault to its bytes. */
async function faultMs({ world, atOffice }: Pair, index: number): Promise<number> {
  const before = world.clock.nowUs();
  const token = atOffice.ready[0]!.request({ generation: generationOne, piece: piece(index), lane: 'control' });
  await world.clock.until(() => atOffice.pieces.some((arrived) => arrived.token === token));
  return (world.clock.nowUs() - before) / 1000;
}

test('a fault overtakes background on a slow link: it waits for a few frames, not for what was asked before it', async (t) => {
  const pair = await connectedPair({ pieces: 1000 });
  pair.world.network.link('home').rate = SLOW;
  pair.world.network.link('home').delayMs = 25;
  pair.world.network.link('office').delayMs = 25;
  const idleMs = await faultMs(pair, 900);
  askBulk(pair, 0, 200);
  await pair.world.clock.advance(500);
  const busyMs = await faultMs(pair, 901);
  // A chunk takes 26 ms on this link; 200 of them would take 5 s. In the lane's sink are at most 128 KiB and a frame.
  t.true(busyMs - idleMs < 65, `${idleMs} ms idle, ${busyMs} ms behind background`);
  t.true(pair.atOffice.pieces.length > 5);
  await pair.world.clock.until(() => pair.atOffice.pieces.length === 202);
  t.is(pair.atOffice.pieces.length, 202);
});

test('chunks are read only as their lane empties: a cancel finds most of them unread', async (t) => {
  const pair = await connectedPair({ pieces: 1000 });
  pair.world.network.link('home').rate = SLOW;
  let reads = 0;
  pair.atHome.server = {
    ...pair.atHome.server,
    readPiece: async (_generation, index) => {
      reads += 1;
      return chunkOf(index, CHUNK);
    },
  };
  askBulk(pair, 0, 200);
  await pair.world.clock.advance(100);
  t.true(reads <= 12, `${reads} reads after 100 ms, 4 chunks of link time`);
});

test('the upload limit holds, and a fault goes first under it', async (t) => {
  const pair = await connectedPair({ pieces: 1000, home: { uploadBytesPerSecond: 10 * CHUNK } });
  askBulk(pair, 0, 100);
  await pair.world.clock.advance(3000);
  const afterThree = pair.atOffice.pieces.length;
  t.true(afterThree >= 28 && afterThree <= 33, `${afterThree} chunks in 3 s at 10 per second`);
  t.true((await faultMs(pair, 900)) <= 220);
  pair.home.swarm.setLimits({ uploadBytesPerSecond: null });
  t.true(await pair.world.clock.until(() => pair.atOffice.pieces.length === 101, 500));
});

test('the download limit holds back background and not faults', async (t) => {
  const pair = await connectedPair({ pieces: 1000, office: { downloadBytesPerSecond: 10 * CHUNK } });
  askBulk(pair, 0, 100);
  await pair.world.clock.advance(3000);
  const afterThree = pair.atOffice.pieces.length;
  t.true(afterThree >= 26 && afterThree <= 34, `${afterThree} chunks in 3 s at 10 per second`);
  t.true((await faultMs(pair, 900)) <= 10);
  pair.office.swarm.setLimits({ downloadBytesPerSecond: null });
  t.true(await pair.world.clock.until(() => pair.atOffice.pieces.length === 101, 500));
});

test('a lane that is held back by a very low limit is not taken for dead', async (t) => {
  const pair = await connectedPair({ pieces: 1000, office: { downloadBytesPerSecond: 500 } });
  askBulk(pair, 0, 4);
  await pair.world.clock.advance(400_000);
  t.is(pair.atOffice.closed.length, 0);
  t.true(pair.atOffice.pieces.length >= 1);
});

test('two peers that ask for much each get their part, and a fault of one goes before the background of both', async (t) => {
  const world = new World();
  const home = await world.host('home', { uploadBytesPerSecond: 20 * CHUNK });
  const disk = new TestDisk(home.id, world.random);
  const others = [await world.host('office'), await world.host('hotel')];
  for (const other of others) disk.grant(other.id);
  const atHome = home.join(disk);
  serveAll(atHome);
  const at: TestMembership[] = others.map((other) => {
    const membership = other.join(disk);
    other.swarm.addPeerAddress(disk.genesis.disk, 'home:1', 'peer');
    return membership;
  });
  await world.clock.until(() => atHome.ready.length === 2);
  for (const channel of atHome.ready) {
    channel.openGeneration({ generation: generationOne, pieces: 1000, record: Uint8Array.of(1), epochs: [] });
  }
  await world.clock.until(() => at.every(({ generations }) => generations.length === 1));
  for (const membership of at) {
    for (let index = 0; index < 200; index++) {
      membership.ready[0]!.request({ generation: generationOne, piece: piece(index), lane: 'bulk' });
    }
  }
  await world.clock.advance(2000);
  const [office, hotel] = at.map(({ pieces }) => pieces.length);
  t.true(Math.abs(office! - hotel!) <= 2, `${office} and ${hotel}`);
  const token = at[1]!.ready[0]!.request({ generation: generationOne, piece: piece(999), lane: 'control' });
  t.true(await world.clock.until(() => at[1]!.pieces.some((arrived) => arrived.token === token), 150));
});

test('a chunk given back is used again; one that is kept stays as it is', async (t) => {
  const pair = await connectedPair({ pieces: 1000 });
  const channel = pair.atOffice.ready[0]!;
  await faultMs(pair, 1);
  const kept = pair.atOffice.pieces[0]!.bytes;
  await faultMs(pair, 2);
  const given = pair.atOffice.pieces[1]!.bytes;
  channel.release(given);
  channel.release(given);
  channel.release(new Uint8Array(CHUNK));
  await faultMs(pair, 3);
  t.is(pair.atOffice.pieces[2]!.bytes.buffer, given.buffer);
  await faultMs(pair, 4);
  t.not(pair.atOffice.pieces[3]!.bytes.buffer, given.buffer);
  t.deepEqual(kept, new Uint8Array(chunkOf(1, CHUNK)));
});

class Source implements UploadSource {
  backlog = 0;
  readonly lane;
  readonly gate = { open: true, waitMs: 0, take: () => undefined };

  constructor(lane: 'control' | 'bulk') {
    this.lane = lane;
  }

  backlogBytes(): number {
    return this.backlog;
  }
}

test('the queue bounds reads, and keeps room for faults', async (t) => {
  const clock: Clock = new TestClock();
  const queue = new UploadQueue(clock, new TokenBucket(clock, null));
  let running = 0;
  const finish: (() => void)[] = [];
  const job = (): UploadJob => ({
    lengthBytes: 1,
    run: () => {
      running += 1;
      return new Promise((resolve) => {
        finish.push(() => {
          running -= 1;
          resolve(1);
        });
      });
    },
  });
  const bulk = new Source('bulk');
  const control = new Source('control');
  for (let count = 0; count < 100; count++) queue.add(bulk, job());
  t.is(running, 16);
  for (let count = 0; count < 100; count++) queue.add(control, job());
  t.is(running, 24);
  finish[0]!();
  await new Promise(setImmediate);
  t.is(running, 24);
  queue.forget(bulk);
  queue.stop();
  for (const end of finish.slice(1)) end();
  await new Promise(setImmediate);
  t.is(running, 0);
});

test('a rate limit allows one item of debt and pays it back', (t) => {
  let nowUs = 0;
  const clock = { nowUs: () => nowUs, wallMs: () => 0, setTimer: () => ({ cancel: () => undefined }) };
  const bucket = new TokenBucket(clock, 1000);
  t.true(bucket.open);
  bucket.take(500);
  t.false(bucket.open);
  t.is(bucket.waitMs, 500);
  nowUs = 499_000;
  t.false(bucket.open);
  nowUs = 500_000;
  t.true(bucket.open);
  nowUs = 60_000_000;
  bucket.take(100);
  t.is(bucket.waitMs, 50);
  bucket.setRate(null);
  t.true(bucket.open);
  t.is(bucket.waitMs, 0);
});
