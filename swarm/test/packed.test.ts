/** Chunks in fewer bytes between hosts: deltas to what the asker holds, compression on slow links, and whoever lies about either. */
import { chunkIdOf } from '@diskswarm/chunk';
import { type ChunkId, type DiskswarmError, hasCode, PRIORITY } from '@diskswarm/core';
import { ChunkBuffers, encodeDelta } from '@diskswarm/wire';
import test from 'ava';
import { PackedArrivals } from '../src/packed-arrivals.ts';
import { Fetcher } from './helpers/fetcher.ts';
import { TestRandom } from './helpers/test-clock.ts';
import { generationOne, offered, piece, TestDisk, type TestMembership } from './helpers/test-host.ts';
import { type HostLimits, serveAll, World } from './helpers/world.ts';

const CHUNK = 65_536;
const PIECES = 400;
const NOTHING = { count: 0, bytes: 0, savedBytes: 0 };

const NOISE = Buffer.from(new TestRandom(7).bytes(2 * CHUNK));

/** Bytes that do not compress, the same for the same number. */
function noise(seed: number): Uint8Array {
  const bytes = new Uint8Array(NOISE.subarray(seed * 31, seed * 31 + CHUNK));
  new DataView(bytes.buffer).setUint32(0, seed);
  return bytes;
}
const oldChunk = noise;
/** The old chunk with one block of 4 KiB written anew. */
function newChunk(index: number): Uint8Array {
  const chunk = oldChunk(index);
  chunk.set(noise(1000 + index).subarray(0, 4096), 8192);
  return chunk;
}
const idOf = (chunk: Uint8Array): ChunkId => chunkIdOf(chunk);

interface Site {
  readonly world: World;
  readonly fetcher: Fetcher;
  readonly peers: readonly { id: string; membership: TestMembership }[];
  /** Everything that a get of `index` brought. */
  get(index: number, priority?: 0 | 3): Promise<Uint8Array | null>;
}

/** The chunks of a host by their ids, read as a store does. */
function holding(membership: TestMembership, chunks: readonly Uint8Array[]): void {
  const byId = new Map(chunks.map((chunk) => [idOf(chunk), chunk]));
  const readChunk = async (id: ChunkId, room: Uint8Array): Promise<Uint8Array | null> => {
    const chunk = byId.get(id);
    if (chunk !== undefined) room.set(chunk);
    return chunk === undefined ? null : room;
  };
  membership.server = { ...membership.server, readChunk };
}

/** Hotel held the old chunk of every piece up to 10; the peers serve the new ones and hold the old ones too. */
async function site(
  names: readonly string[],
  link: { rate?: number; delayMs?: number } = {},
  limits: HostLimits = {},
): Promise<Site> {
  const world = new World(3);
  const hotel = await world.host('hotel');
  const disk = new TestDisk(hotel.id, world.random);
  const hosts = await Promise.all(names.map((name) => world.host(name, limits)));
  for (const { id } of hosts) disk.grant(id);
  const fetcher = new Fetcher(world, hotel.join(disk));
  fetcher.contentOf = newChunk;
  fetcher.baseOf = (index) => (index < 10 ? idOf(oldChunk(index)) : null);
  const olds = Array.from({ length: 10 }, (_, index) => oldChunk(index));
  holding(fetcher.membership, olds);
  const peers = hosts.map((host) => ({ id: host.id, membership: host.join(disk) }));
  for (const [index, { membership }] of peers.entries()) {
    serveAll(membership);
    membership.server = { ...membership.server, readPiece: async (_generation, at) => newChunk(at) };
    holding(membership, olds);
    Object.assign(world.network.link(names[index]!), link);
    hotel.swarm.addPeerAddress(disk.genesis.disk, `${names[index]}:1`, 'peer');
  }
  await world.clock.until(() => fetcher.membership.ready.length === names.length);
  for (const { membership } of peers) membership.ready[0]!.openGeneration(offered(PIECES));
  await world.clock.until(() => fetcher.membership.generations.length === names.length);
  const get = async (index: number, priority: 0 | 3 = PRIORITY.fault): Promise<Uint8Array | null> => {
    let got: Uint8Array | null = null;
    void fetcher.get(index, priority).then((bytes) => {
      got = bytes;
    });
    await world.clock.until(() => got !== null);
    return got;
  };
  return { world, fetcher, peers, get };
}

const packing = (membership: TestMembership) => membership.ready[0]!.packing;

for (const [lane, priority] of [
  ['control', PRIORITY.fault],
  ['bulk', PRIORITY.bulk],
] as const) {
  test(`a chunk of which 4 KiB changed moves in less than 8 KiB, on the ${lane} lane`, async (t) => {
    const { fetcher, peers, get } = await site(['home']);
    t.deepEqual(await get(3, priority), newChunk(3));
    const { totalBytes } = fetcher.membership.ready[0]!.received;
    t.true(totalBytes < 8192, `${totalBytes} bytes`);
    const deltas = { count: 1, bytes: totalBytes, savedBytes: CHUNK - totalBytes };
    t.deepEqual(packing(fetcher.membership).received, { deltas, compression: NOTHING });
    t.deepEqual(packing(peers[0]!.membership).sent, { deltas, compression: NOTHING });
    t.is(peers[0]!.membership.ready[0]!.sent.totalBytes, totalBytes);
  });
}

test('a piece that had no chunk here, and one whose old chunk the sender does not have, come whole in the same round trip', async (t) => {
  const { world, fetcher, peers, get } = await site(['home'], { delayMs: 50 });
  world.network.link('hotel').delayMs = 50;
  holding(peers[0]!.membership, []);
  for (const index of [3, 300]) {
    const before = world.clock.nowUs();
    t.deepEqual(await get(index), newChunk(index));
    t.true(world.clock.nowUs() - before < 150_000);
  }
  t.deepEqual(packing(fetcher.membership).received.deltas, NOTHING);
});

test('an upload limit is spent on what leaves, not on what the whole chunks would have been', async (t) => {
  const { world, fetcher } = await site(['home'], {}, { uploadBytesPerSecond: 2 * CHUNK });
  const before = world.clock.nowUs();
  let ended = false;
  void fetcher.pull(0, 10).then(() => {
    ended = true;
  });
  await world.clock.until(() => ended, 60_000);
  const seconds = (world.clock.nowUs() - before) / 1e6;
  t.true(seconds < 0.6, `${seconds} s for 10 blocks of 4 KiB at 128 KiB/s, where 10 chunks take 5 s`);
});

test('an old chunk that is gone here costs one more round trip, and is not asked about again', async (t) => {
  const { fetcher, get } = await site(['home']);
  const asked: (ChunkId | null)[] = [];
  fetcher.membership.server = {
    ...fetcher.membership.server,
    readChunk: async (id) => {
      asked.push(id);
      return null;
    },
  };
  t.deepEqual(await get(3), newChunk(3));
  t.deepEqual(asked, [idOf(oldChunk(3))]);
  t.deepEqual(packing(fetcher.membership).received.deltas, NOTHING);
  t.is(fetcher.membership.ready[0]!.outstanding, 0);
});

test('a delta that makes another chunk is blamed on its sender, and the chunk comes from elsewhere', async (t) => {
  const { world, fetcher, peers, get } = await site(['home', 'office']);
  const [liar, honest] = peers as [Site['peers'][0], Site['peers'][0]];
  // It compares with something else than it says: what it leaves out differs too.
  const wrong = async (_id: ChunkId, room: Uint8Array): Promise<Uint8Array> => {
    room.set(newChunk(3));
    room.set(noise(77).subarray(0, 4096), 20_480);
    return room;
  };
  liar.membership.server = { ...liar.membership.server, readChunk: wrong };
  honest.membership.server = { ...honest.membership.server, readPiece: async () => null };
  const got = get(3);
  await world.clock.until(() => fetcher.membership.ready.length === 1, 5000);
  t.deepEqual(
    fetcher.membership.ready.map(({ host }) => host as string),
    [honest.id],
    'the liar is gone',
  );
  honest.membership.server = { ...honest.membership.server, readPiece: async (_generation, at) => newChunk(at) };
  t.deepEqual(await got, newChunk(3));
  t.is(fetcher.bytesBySource.get(liar.id), undefined);
});

test('a chunk that is given up while its delta is made whole is told to nobody, and its place can be asked for again', async (t) => {
  const { world, fetcher, peers } = await site(['home']);
  const gate = Promise.withResolvers<Uint8Array | null>();
  fetcher.membership.server = { ...fetcher.membership.server, readChunk: () => gate.promise };
  const { server } = peers[0]!.membership;
  let served = 0;
  peers[0]!.membership.server = {
    ...server,
    readPiece: (...wanted) => {
      served++;
      return server.readPiece(...wanted);
    },
  };
  const channel = fetcher.membership.ready[0]!;
  const wanted = { generation: generationOne, piece: piece(3), lane: 'bulk' as const, base: idOf(oldChunk(3)) };
  const token = channel.request(wanted)!;
  await world.clock.until(() => channel.received.totalBytes > 0);
  channel.cancel(token);
  gate.resolve(null);
  await world.clock.advance(1000);
  t.is(served, 1, 'what was given up is not asked for again because its base is gone');
  t.not(channel.request({ ...wanted, base: null }), null);
  await world.clock.advance(1000);
  t.is(served, 2);
  t.deepEqual(packing(fetcher.membership).received.deltas, NOTHING);
  t.is(channel.outstanding, 0);
});

/** Text-like bytes: about a third is left when they are compressed. */
function text(index: number): Uint8Array {
  const hex = Buffer.from(noise(index)).toString('hex');
  return new Uint8Array(Buffer.from(hex.slice(0, CHUNK)));
}

async function pulled(link: { rate: number; delayMs: number }, content: (index: number) => Uint8Array): Promise<Site> {
  const at = await site(['home'], link);
  at.fetcher.contentOf = content;
  at.fetcher.baseOf = () => null;
  const { membership } = at.peers[0]!;
  membership.server = { ...membership.server, readPiece: async (_generation, index) => content(index) };
  let ended = false;
  void at.fetcher.pull(0, PIECES).then(() => {
    ended = true;
  });
  await at.world.clock.until(() => ended, 120_000);
  return at;
}

test('on a slow link chunks come compressed once its rate is known; on a fast one they never do', async (t) => {
  const slow = await pulled({ rate: 5_000_000, delayMs: 5 }, text);
  const { compression } = packing(slow.fetcher.membership).received;
  t.true(compression.count > PIECES * 0.7, `${compression.count} of ${PIECES}`);
  t.true(compression.bytes < 0.7 * compression.count * CHUNK);
  t.is(compression.savedBytes, compression.count * CHUNK - compression.bytes);
  t.deepEqual(packing(slow.peers[0]!.membership).sent.compression, compression);
  const fast = await pulled({ rate: 200_000_000, delayMs: 0 }, text);
  t.deepEqual(packing(fast.fetcher.membership).received.compression, NOTHING);
});

test('bytes that do not compress travel as they are, on a slow link too', async (t) => {
  const { fetcher } = await pulled({ rate: 5_000_000, delayMs: 5 }, noise);
  t.deepEqual(packing(fetcher.membership).received.compression, NOTHING);
  t.is(fetcher.membership.ready[0]!.received.totalBytes, PIECES * CHUNK);
});

test('a host that answers with what differs from a chunk that is not here, again and again, is taken to have refused', async (t) => {
  const log: string[] = [];
  const arrivals = new PackedArrivals({
    chunkSizeBytes: CHUNK,
    buffers: new ChunkBuffers({ chunkSizeBytes: CHUNK, max: 4 }),
    readChunk: async () => null,
    arrived: (token) => log.push(`arrived ${token}`),
    askAgain: (lane, index, token) => log.push(`again ${lane} ${index} ${token}`),
    rejected: (token) => log.push(`rejected ${token}`),
    failed: (error) => log.push(String(error)),
  });
  const packed = { base: idOf(oldChunk(1)), zstd: false, body: encodeDelta(oldChunk(1), newChunk(1))! };
  for (let answer = 0; answer < 2; answer++) {
    arrivals.take('bulk', 9, 1, packed);
    await new Promise(setImmediate);
  }
  t.deepEqual(log, ['again bulk 9 1', 'rejected 1']);
  // What is given up, or answered whole, in between begins anew.
  for (let answer = 0; answer < 2; answer++) {
    arrivals.take('bulk', 9, 2, packed);
    await new Promise(setImmediate);
    arrivals.forget(2);
  }
  t.deepEqual(log.slice(2), ['again bulk 9 2', 'again bulk 9 2']);
  arrivals.take('bulk', 9, 3, packed);
  arrivals.close();
  await new Promise(setImmediate);
  t.is(log.length, 4);
});

test('garbage in the place of a delta is an error of the peer, not of this host', async (t) => {
  const told: unknown[] = [];
  const arrivals = new PackedArrivals({
    chunkSizeBytes: CHUNK,
    buffers: new ChunkBuffers({ chunkSizeBytes: CHUNK, max: 4 }),
    readChunk: async (_id, into) => into,
    arrived: () => told.push('arrived'),
    askAgain: () => told.push('again'),
    rejected: () => told.push('rejected'),
    failed: (error) => told.push((error as DiskswarmError).code),
  });
  const garbage = { base: idOf(oldChunk(1)), zstd: false, body: new Uint8Array(100) };
  arrivals.take('bulk', 1, 1, garbage);
  arrivals.take('bulk', 1, 2, { ...garbage, zstd: true });
  await new Promise(setImmediate);
  t.deepEqual(told, ['FORMAT_INVALID', 'FORMAT_INVALID']);
  const error = t.throws(() => arrivals.take('bulk', 1, 3, { base: null, zstd: true, body: garbage.body }));
  t.true(hasCode(error, 'FORMAT_INVALID'));
});
