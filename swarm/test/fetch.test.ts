/** What a caller of the fetch engine notices: bytes that are right, shared fetches, blame, times, and nothing left behind. */
import { chunkIdOf } from '@diskswarm/chunk';
import {
  type ChunkId,
  type DiskId,
  type GenerationId,
  type HostId,
  hasCode,
  type PieceIndex,
  PRIORITY,
  type Priority,
  pieceIndex,
  ZERO_ID,
} from '@diskswarm/core';
import test from 'ava';
import { type FetchChannel, type FetchDisk, FetchEngine, type FetchTimes, type RequestToken } from '../src/index.ts';
import { TestClock, TestRandom } from './helpers/test-clock.ts';

const CHUNK = 16_384;
const disk = 'd1'.repeat(32) as DiskId;
const root = 'a1'.repeat(32) as ChunkId;
const generation = 'b1'.repeat(32) as GenerationId;
const chunk = (piece: number): Uint8Array => new Uint8Array(CHUNK).fill(piece + 1);
const idOf = (piece: number): ChunkId => chunkIdOf(chunk(piece));
const position = (piece: number) => ({ disk, root, piece: pieceIndex(piece) });

class FakeChannel implements FetchChannel {
  readonly host: HostId;
  readonly rttUs = null;
  readonly asked: { token: RequestToken; piece: PieceIndex; lane: string }[] = [];
  readonly cancelled: RequestToken[] = [];
  blamed: string | null = null;
  open = true;
  compressed = false;
  onBlame: () => void = () => undefined;

  constructor(number: number) {
    this.host = `c${number}`.repeat(68) as HostId;
  }

  request(wanted: { generation: GenerationId; piece: PieceIndex; lane: string }): RequestToken | null {
    if (!this.open) return null;
    const token = this.asked.length + 1;
    this.asked.push({ token, piece: wanted.piece, lane: wanted.lane });
    return token;
  }

  acceptCompressed(compressed: boolean): void {
    this.compressed = compressed;
  }

  cancel(token: RequestToken): void {
    this.cancelled.push(token);
  }

  readonly released: Uint8Array[] = [];

  release(bytes: Uint8Array): void {
    this.released.push(bytes);
  }

  misbehaved(why: string): void {
    this.blamed = why;
    this.onBlame();
  }
}

class Bench {
  readonly clock = new TestClock();
  readonly engine = new FetchEngine({ clock: this.clock, random: new TestRandom(5) });
  readonly channels: FakeChannel[] = [];
  readonly received: [host: HostId, bytes: number, fault: boolean][] = [];
  readonly times: FetchTimes[] = [];
  readonly source: FetchDisk = {
    disk,
    chunkSizeBytes: CHUNK,
    generationOf: (asked) => (asked === root ? generation : null),
    baseOf: () => null,
    holders: () => this.channels.map((channel) => ({ channel, certainty: 'has' as const })),
  };

  constructor(peers: number) {
    const { engine, received, times } = this;
    engine.addDisk(this.source, {
      received: (...what) => received.push(what),
      fetched: (what) => times.push(what),
    });
    for (let number = 1; number <= peers; number++) this.connect(new FakeChannel(number));
  }

  connect(channel: FakeChannel): void {
    channel.onBlame = () => this.close(channel);
    this.channels.push(channel);
    this.engine.channelReady(channel, disk);
  }

  close(channel: FakeChannel): void {
    this.channels.splice(this.channels.indexOf(channel), 1);
    this.engine.channelClosed(channel);
  }

  get(
    piece: number,
    options: { priority?: Priority; signal?: AbortSignal; id?: ChunkId | Promise<ChunkId> } = {},
  ): Promise<Uint8Array> {
    const { priority = PRIORITY.fault, signal = new AbortController().signal, id = idOf(piece) } = options;
    return this.engine.get(id, position(piece), priority, { signal });
  }

  /** Lets `channel` answer everything it was asked and did not answer. */
  answer(channel: FakeChannel, bytes: (piece: number) => Uint8Array = chunk): void {
    for (const { token, piece } of channel.asked.splice(0)) this.engine.piece(channel, token, bytes(piece));
  }

  get idle(): boolean {
    const { wants, faultBytes, backgroundBytes } = this.engine.snapshot();
    return wants + faultBytes + backgroundBytes === 0;
  }
}

test('a fault comes verified over the control lane, counted and timed', async (t) => {
  const bench = new Bench(1);
  const [channel] = bench.channels as [FakeChannel];
  const got = bench.get(3);
  t.deepEqual(channel.asked, [{ token: 1, piece: pieceIndex(3), lane: 'control' }]);
  await bench.clock.advance(40);
  bench.answer(channel);
  t.deepEqual(await got, chunk(3));
  t.deepEqual(bench.received, [[channel.host, CHUNK, true]]);
  t.deepEqual(bench.times, [{ host: channel.host, queueUs: 0, networkUs: 40_000, verifyUs: 0 }]);
  t.true(bench.idle);
});

test('background uses the bulk lane and has no fault times', async (t) => {
  const bench = new Bench(1);
  const [channel] = bench.channels as [FakeChannel];
  const got = bench.get(3, { priority: PRIORITY.bulk });
  t.is(channel.asked[0]?.lane, 'bulk');
  bench.answer(channel);
  t.deepEqual(await got, chunk(3));
  t.deepEqual(bench.received, [[channel.host, CHUNK, false]]);
  t.deepEqual(bench.times, []);
});

test('identical gets share one fetch, each gets bytes of its own, and one that gives up leaves the others', async (t) => {
  const bench = new Bench(1);
  const [channel] = bench.channels as [FakeChannel];
  const leaver = new AbortController();
  const first = bench.get(1, { signal: leaver.signal });
  const second = bench.get(1);
  const third = bench.get(1, { priority: PRIORITY.bulk });
  t.is(channel.asked.length, 1);
  leaver.abort();
  t.true(hasCode(await t.throwsAsync(first), 'ABORTED'));
  t.deepEqual(channel.cancelled, []);
  bench.answer(channel);
  const [mine, yours] = await Promise.all([second, third]);
  t.deepEqual([mine, yours], [chunk(1), chunk(1)]);
  t.not(mine.buffer, yours.buffer);
  t.is(bench.received.length, 1);
});

test('when the last waiter gives up the request is taken back, and a late answer is nobody’s', async (t) => {
  const bench = new Bench(1);
  const [channel] = bench.channels as [FakeChannel];
  const leaver = new AbortController();
  const got = bench.get(1, { signal: leaver.signal });
  leaver.abort();
  t.true(hasCode(await t.throwsAsync(got), 'ABORTED'));
  t.deepEqual(channel.cancelled, [1]);
  bench.answer(channel);
  t.deepEqual(bench.received, []);
  t.true(bench.idle);
  t.true(hasCode(await t.throwsAsync(bench.get(1, { signal: leaver.signal })), 'ABORTED'));
});

test('wrong bytes end the session of their sender; the chunk comes from another peer', async (t) => {
  const bench = new Bench(2);
  const [one, two] = bench.channels as [FakeChannel, FakeChannel];
  const got = bench.get(4);
  const [liar, honest] = one.asked.length > 0 ? [one, two] : [two, one];
  bench.answer(liar, () => chunk(99));
  t.is(liar.blamed, 'a chunk that does not match its id');
  t.is(honest.blamed, null);
  bench.answer(honest);
  t.deepEqual(await got, chunk(4));
  t.deepEqual(bench.received, [[honest.host, CHUNK, true]]);
});

test('a chunk of the wrong length is wrong', async (t) => {
  const bench = new Bench(1);
  const [channel] = bench.channels as [FakeChannel];
  const leaver = new AbortController();
  const got = bench.get(4, { signal: leaver.signal });
  bench.answer(channel, (piece) => chunk(piece).subarray(1));
  t.truthy(channel.blamed);
  leaver.abort();
  await t.throwsAsync(got);
});

test('the id may come later than the bytes: they are judged then', async (t) => {
  const bench = new Bench(1);
  const [channel] = bench.channels as [FakeChannel];
  const naming = Promise.withResolvers<ChunkId>();
  const got = bench.get(7, { id: naming.promise });
  t.is(channel.asked.length, 1, 'asked in the same breath');
  bench.answer(channel);
  await bench.clock.advance(15);
  t.deepEqual(bench.received, []);
  naming.resolve(idOf(7));
  t.deepEqual(await got, chunk(7));
  t.deepEqual(bench.times, [{ host: channel.host, queueUs: 0, networkUs: 0, verifyUs: 15_000 }]);
});

test('bytes held for an id that proves them wrong are blamed, and asked elsewhere', async (t) => {
  const bench = new Bench(2);
  const naming = Promise.withResolvers<ChunkId>();
  const got = bench.get(7, { id: naming.promise });
  const liar = bench.channels.find(({ asked }) => asked.length > 0)!;
  bench.answer(liar, () => chunk(50));
  naming.resolve(idOf(7));
  await bench.clock.advance(0);
  t.truthy(liar.blamed);
  bench.answer(bench.channels[0]!);
  t.deepEqual(await got, chunk(7));
});

test('an id that cannot be found fails its own caller alone', async (t) => {
  const bench = new Bench(1);
  const [channel] = bench.channels as [FakeChannel];
  const naming = Promise.withResolvers<ChunkId>();
  const first = bench.get(7, { id: naming.promise });
  const second = bench.get(7);
  naming.reject(new Error('no path'));
  t.is((await t.throwsAsync(first))?.message, 'no path');
  bench.answer(channel);
  t.deepEqual(await second, chunk(7));
});

test('a piece that turns out to be zero needs nobody', async (t) => {
  const bench = new Bench(1);
  const [channel] = bench.channels as [FakeChannel];
  const got = await bench.get(7, { id: Promise.resolve(ZERO_ID) });
  t.deepEqual(got, new Uint8Array(CHUNK));
  t.deepEqual(channel.cancelled, [1]);
  t.true(bench.idle);
});

test('a fault for a chunk on its way in the background counts from when it was needed', async (t) => {
  const bench = new Bench(1);
  const [channel] = bench.channels as [FakeChannel];
  const pulled = bench.get(1, { priority: PRIORITY.bulk });
  await bench.clock.advance(30);
  const needed = bench.get(1);
  await bench.clock.advance(10);
  for (const { token } of channel.asked.splice(0)) bench.engine.piece(channel, token, chunk(1));
  await Promise.all([pulled, needed]);
  t.deepEqual(bench.times, [{ host: channel.host, queueUs: 0, networkUs: 10_000, verifyUs: 0 }]);
});

test('a late fault is asked of a second peer by the clock, and the loser is taken back', async (t) => {
  const bench = new Bench(2);
  const got = bench.get(1);
  const slow = bench.channels.find(({ asked }) => asked.length > 0)!;
  const other = bench.channels.find((channel) => channel !== slow)!;
  t.true(await bench.clock.until(() => other.asked.length === 1, 2_000));
  bench.answer(other);
  t.deepEqual(await got, chunk(1));
  t.deepEqual(slow.cancelled, [1]);
});

test('rejects, dead channels and channels that take nothing lead to the next peer', async (t) => {
  const bench = new Bench(3);
  const got = bench.get(1);
  const asked = (): FakeChannel => bench.channels.find((channel) => channel.asked.length > 0)!;
  const first = asked();
  const token = first.asked.splice(0)[0]!.token;
  bench.engine.rejected(first, token);
  const second = asked();
  t.not(second, first);
  second.asked.length = 0;
  for (const channel of bench.channels) channel.open = channel !== first;
  bench.close(second);
  const third = asked();
  t.false([first, second].includes(third));
  bench.answer(third);
  t.deepEqual(await got, chunk(1));
});

test('nobody has it: it is said, and waited for until somebody comes', async (t) => {
  const bench = new Bench(0);
  t.true(bench.engine.unavailable(position(1)));
  const got = bench.get(1);
  await bench.clock.advance(600_000);
  bench.connect(new FakeChannel(1));
  t.false(bench.engine.unavailable(position(1)));
  bench.answer(bench.channels[0]!);
  t.deepEqual(await got, chunk(1));
});

test('a host with several disks stays known while one of its channels lives', async (t) => {
  const bench = new Bench(1);
  const [channel] = bench.channels as [FakeChannel];
  const other = new FakeChannel(1);
  bench.engine.channelReady(other, 'd2'.repeat(32) as DiskId);
  const got = bench.get(1);
  bench.engine.channelClosed(other);
  t.is(bench.engine.snapshot().peers.length, 1);
  bench.answer(channel);
  t.deepEqual(await got, chunk(1));
  bench.close(channel);
  t.is(bench.engine.snapshot().peers.length, 0);
});

test('a disk that goes away ends its gets and takes its requests back', async (t) => {
  const bench = new Bench(1);
  const [channel] = bench.channels as [FakeChannel];
  const got = bench.get(1);
  bench.engine.removeDisk(disk);
  t.true(hasCode(await t.throwsAsync(got), 'ABORTED'));
  t.deepEqual(channel.cancelled, [1]);
  t.true(hasCode(await t.throwsAsync(bench.get(2)), 'GENERATION_NOT_FOUND'));
  t.true(bench.idle);
  bench.engine.stop();
  bench.engine.stop();
});
