/** Two ends of a channel: requests, answers, cancels; and what a dishonest end can do. */
import { type ChunkId, DiskswarmError } from '@diskswarm/core';
import test, { type ExecutionContext } from 'ava';
import {
  BASE_EXTENSION,
  BittorrentChannel,
  type BittorrentHandlers,
  encodeBase,
  encodeExtension,
  PACKED_EXTENSION,
  type PackedChunk,
} from '../src/index.ts';

const CHUNK = 16 * 1024;

interface End {
  readonly channel: BittorrentChannel;
  readonly events: string[];
  readonly pieces: Map<number, Uint8Array>;
  readonly outbox: Uint8Array[];
}

function makeEnd(
  overrides: { infoHash?: Uint8Array; maxPeerRequests?: number; extensions?: readonly string[] } = {},
): End {
  const events: string[] = [];
  const outbox: Uint8Array[] = [];
  const pieces = new Map<number, Uint8Array>();
  const handlers: BittorrentHandlers = {
    send: (views) => outbox.push(...views.map((view) => view.slice())),
    onReady: () => events.push('ready'),
    onRequest: (index, base) => events.push(`request ${index}${base === null ? '' : ` ${base.slice(0, 4)}`}`),
    onCancel: (index) => events.push(`cancel ${index}`),
    onPiece: (index, bytes, cancelled) => {
      pieces.set(index, bytes);
      events.push(`piece ${index}${cancelled ? ' cancelled' : ''}`);
    },
    onPacked: (index, { base, zstd, body }, cancelled) =>
      events.push(`packed ${index} ${base?.slice(0, 4)} ${zstd} ${body.length}${cancelled ? ' cancelled' : ''}`),
    onReject: (index, cancelled) => events.push(`reject ${index}${cancelled ? ' cancelled' : ''}`),
    onChoke: (choked) => events.push(choked ? 'choke' : 'unchoke'),
    onExtension: (name, payload) => events.push(`${name} ${payload.length}`),
  };
  const channel = new BittorrentChannel(
    {
      infoHash: overrides.infoHash ?? new Uint8Array(20).fill(7),
      peerId: new Uint8Array(20).fill(1),
      chunkSizeBytes: CHUNK,
      extensions: overrides.extensions ?? ['ds_roster', 'ds_ownership', BASE_EXTENSION, PACKED_EXTENSION],
      maxPeerRequests: overrides.maxPeerRequests ?? 4,
    },
    handlers,
  );
  return { channel, events, pieces, outbox };
}

/** Carries bytes both ways, in parts of `partBytes`, until neither end has anything to say. */
function exchange(a: End, b: End, partBytes = 1000): void {
  while (a.outbox.length + b.outbox.length > 0) {
    for (const [from, to] of [
      [a, b],
      [b, a],
    ] as const) {
      const bytes = Buffer.concat(from.outbox.splice(0));
      for (let start = 0; start < bytes.length; start += partBytes)
        to.channel.receive(bytes.subarray(start, start + partBytes));
    }
  }
}

function connected(overrides: Parameters<typeof makeEnd>[0] = {}): { a: End; b: End } {
  const a = makeEnd();
  const b = makeEnd(overrides);
  a.channel.open();
  b.channel.open();
  exchange(a, b);
  a.events.length = 0;
  b.events.length = 0;
  return { a, b };
}

test('both ends become ready and take requests', (t) => {
  const a = makeEnd();
  const b = makeEnd();
  t.false(a.channel.request(1));
  a.channel.open();
  b.channel.open();
  exchange(a, b, 1);
  t.deepEqual(a.events, ['ready', 'unchoke']);
  t.deepEqual(b.events, ['ready', 'unchoke']);
  t.true(a.channel.request(1));
});

for (const partBytes of [1, 13, 16_384, 1_000_000]) {
  test(`a chunk arrives whole however its bytes are cut: parts of ${partBytes}`, (t) => {
    const { a, b } = connected();
    const chunk = new Uint8Array(CHUNK).map((_, index) => index % 251);
    a.channel.request(0x7fff_fffe);
    exchange(a, b, partBytes);
    t.deepEqual(b.events, ['request 2147483646']);
    b.channel.answer(0x7fff_fffe, chunk);
    exchange(a, b, partBytes);
    t.deepEqual(a.events, ['piece 2147483646']);
    t.deepEqual(a.pieces.get(0x7fff_fffe), chunk);
    t.is(a.channel.answersDue, 0);
  });
}

test('what is not served is rejected, and too much at once', (t) => {
  const { a, b } = connected();
  for (const index of [1, 2, 3, 4, 5]) a.channel.request(index);
  exchange(a, b);
  t.deepEqual(a.events, ['reject 5']);
  b.channel.answer(2, null);
  exchange(a, b);
  t.deepEqual(a.events, ['reject 5', 'reject 2']);
});

test('a cancelled request is answered once and serves nobody', (t) => {
  const { a, b } = connected();
  a.channel.request(9);
  exchange(a, b);
  a.channel.cancel(9);
  exchange(a, b);
  t.deepEqual(b.events, ['request 9', 'cancel 9']);
  t.deepEqual(a.events, ['reject 9 cancelled']);
  b.channel.answer(9, new Uint8Array(CHUNK));
  t.is(b.outbox.length, 0);
  t.is(a.channel.answersDue, 0);
});

test('a request made again after its cancel gets its own answer, in either order of crossing', (t) => {
  const crossing = connected();
  crossing.a.channel.request(9);
  exchange(crossing.a, crossing.b);
  crossing.b.channel.answer(9, new Uint8Array(CHUNK).fill(1));
  crossing.a.channel.cancel(9);
  t.true(crossing.a.channel.request(9));
  exchange(crossing.a, crossing.b);
  crossing.b.channel.answer(9, new Uint8Array(CHUNK).fill(1));
  exchange(crossing.a, crossing.b);
  t.deepEqual(crossing.a.events, ['piece 9', 'piece 9 cancelled']);

  const plain = connected();
  plain.a.channel.request(9);
  plain.a.channel.cancel(9);
  plain.a.channel.request(9);
  exchange(plain.a, plain.b);
  plain.b.channel.answer(9, new Uint8Array(CHUNK).fill(1));
  exchange(plain.a, plain.b);
  t.deepEqual(plain.a.events, ['reject 9 cancelled', 'piece 9']);
});

test('choking rejects what waits and stops requests', (t) => {
  const { a, b } = connected();
  a.channel.request(1);
  exchange(a, b);
  b.channel.setChoking(true);
  exchange(a, b);
  t.deepEqual(a.events, ['choke', 'reject 1']);
  t.false(a.channel.request(2));
  b.channel.setChoking(false);
  exchange(a, b);
  t.true(a.channel.request(2));
});

test('extension messages pass, also ones that look like other messages', (t) => {
  const { a, b } = connected();
  const message = new Uint8Array(12).fill(7);
  const { name, payload } = encodeExtension({ kind: 'ownership', message });
  t.true(a.channel.extension(name, payload));
  t.false(a.channel.extension('ds_unheard_of', payload));
  exchange(a, b);
  t.deepEqual(b.events, ['ds_ownership 12']);
});

test('a closed channel is silent', (t) => {
  const { a, b } = connected();
  a.channel.request(1);
  exchange(a, b);
  b.channel.close();
  b.channel.answer(1, new Uint8Array(CHUNK));
  b.channel.receive(new Uint8Array(100).fill(255));
  t.is(b.outbox.length, 0);
});

const base = 'ab'.repeat(32) as ChunkId;
const packed: PackedChunk = { base, zstd: false, body: new Uint8Array(5000).fill(3) };

test('a request says which chunk the asker holds, and its answer may be packed', (t) => {
  const { a, b } = connected();
  a.channel.request(1, base);
  a.channel.request(2);
  exchange(a, b);
  t.deepEqual(b.events, ['request 1 abab', 'request 2']);
  b.channel.answerPacked(1, packed);
  b.channel.answerPacked(2, { base: null, zstd: true, body: new Uint8Array(9) });
  exchange(a, b);
  t.deepEqual(a.events, ['packed 1 abab false 5000', 'packed 2 undefined true 9']);
  t.is(a.channel.answersDue, 0);
  b.channel.answerPacked(1, packed);
  t.is(b.outbox.length, 0);
  // The library behind knows nothing of it: the same index can be asked for again, by request and answer of any form.
  a.channel.request(1);
  exchange(a, b);
  b.channel.answer(1, new Uint8Array(CHUNK));
  exchange(a, b);
  t.is(a.events.at(-1), 'piece 1');
});

test('what is said of one request is not taken for another, nor kept', (t) => {
  const { a, b } = connected();
  a.channel.extension(BASE_EXTENSION, encodeBase({ index: 5, base }));
  a.channel.request(1);
  a.channel.request(5);
  exchange(a, b);
  t.deepEqual(b.events, ['request 1', 'request 5']);
});

test('a packed answer to a request that was cancelled serves nobody, or the same request made again', (t) => {
  const { a, b } = connected();
  a.channel.request(9, base);
  exchange(a, b);
  b.channel.answerPacked(9, packed);
  a.channel.cancel(9);
  exchange(a, b);
  t.deepEqual(a.events, ['packed 9 abab false 5000 cancelled']);
  a.events.length = 0;
  a.channel.request(9, base);
  exchange(a, b);
  b.channel.answerPacked(9, packed);
  a.channel.cancel(9);
  a.channel.request(9);
  exchange(a, b);
  t.deepEqual(a.events, ['packed 9 abab false 5000']);
  b.channel.answer(9, null);
  exchange(a, b);
  t.deepEqual(a.events, ['packed 9 abab false 5000', 'reject 9 cancelled']);
});

test('a peer from before hears nothing of packed chunks and is asked for whole ones', (t) => {
  const { a, b } = connected({ extensions: ['ds_roster', 'ds_ownership'] });
  t.false(a.channel.supports(PACKED_EXTENSION));
  a.channel.request(1, base);
  b.channel.request(2);
  exchange(a, b);
  t.deepEqual(b.events, ['request 1']);
  a.channel.answerPacked(2, packed);
  t.is(a.outbox.length, 0);
  a.channel.answer(2, new Uint8Array(CHUNK));
  b.channel.answer(1, new Uint8Array(CHUNK));
  exchange(a, b);
  t.is(a.events.at(-1), 'piece 1');
  t.is(b.events.at(-1), 'piece 2');
});

test('refused: a packed answer to nothing, of an unknown form, without a body, as long as a chunk', (t) => {
  const send = (...form: number[]): Uint8Array => {
    const { a } = connected();
    a.channel.request(1);
    const payload = Uint8Array.from([0, 0, 0, 1, ...form]);
    const head = Uint8Array.from([0, 0, 0, 0, 20, 4]);
    new DataView(head.buffer).setUint32(0, payload.length + 2);
    throwsOurs(t, () => a.channel.receive(Buffer.concat([head, payload])));
    return payload;
  };
  send();
  send(0, 1);
  send(4, 1);
  send(2);
  send(1, ...new Uint8Array(32));
  send(2, ...new Uint8Array(CHUNK));
  const { a, b } = connected();
  a.channel.request(1);
  exchange(a, b);
  b.channel.answerPacked(1, packed);
  const bytes = Buffer.concat(b.outbox);
  a.channel.receive(bytes);
  throwsOurs(t, () => a.channel.receive(bytes));
});

function message(id: number, ...numbers: number[]): Uint8Array {
  const bytes = new DataView(new ArrayBuffer(5 + 4 * numbers.length));
  bytes.setUint32(0, 1 + 4 * numbers.length);
  bytes.setUint8(4, id);
  numbers.forEach((number, index) => {
    bytes.setUint32(5 + 4 * index, number);
  });
  return new Uint8Array(bytes.buffer);
}

const dishonest: Record<string, Uint8Array> = {
  'a length of 2 GiB': Uint8Array.from([0x80, 0, 0, 0, 7]),
  'a keep-alive': Uint8Array.from([0, 0, 0, 0, 0]),
  'a have': message(4, 1),
  'a bitfield': message(5, 0xffffffff),
  'a request of part of a chunk': message(6, 1, 4096, CHUNK),
  'a request of another length': message(6, 1, 0, CHUNK / 2),
  'a request beyond the index space': message(6, 0x8000_0000, 0, CHUNK),
  'a short request': message(6, 1, 0),
  'an answer to nothing': message(16, 1, 0, CHUNK),
  'a piece that nobody asked for': Buffer.concat([Uint8Array.from([0, 0, 0x40, 9, 7]), new Uint8Array(CHUNK + 8)]),
  'the same request twice': Buffer.concat([message(6, 3, 0, CHUNK), message(6, 3, 0, CHUNK)]),
  'an extension that was not offered': Uint8Array.from([0, 0, 0, 3, 20, 99, 1]),
  'an extended handshake that nests deeply': Buffer.concat([
    Uint8Array.from([0, 0, 3, 0xea, 20, 0]),
    Buffer.alloc(1000, 'l'),
  ]),
  'an extension of 1 MiB': Uint8Array.from([0, 0x10, 0, 0, 20]),
};

function throwsOurs(t: ExecutionContext, run: () => void): void {
  const error = t.throws(run) as DiskswarmError;
  t.true(error instanceof DiskswarmError, String(error?.stack));
  t.true(['PROTOCOL_ERROR', 'FORMAT_INVALID'].includes(error.code));
}

for (const [name, bytes] of Object.entries(dishonest)) {
  test(`refused: ${name}`, (t) => {
    const { b } = connected();
    throwsOurs(t, () => b.channel.receive(bytes));
  });
}

test('refused: another topic, another protocol', (t) => {
  const a = makeEnd({ infoHash: new Uint8Array(20).fill(8) });
  const b = makeEnd();
  a.channel.open();
  throwsOurs(t, () => b.channel.receive(Buffer.concat(a.outbox)));
  throwsOurs(t, () => makeEnd().channel.receive(Buffer.alloc(68, 'GET / HTTP/1.1\r\n')));
});
