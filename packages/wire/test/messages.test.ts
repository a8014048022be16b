/** Extension messages, lane control, hellos and piece spaces: round trips, golden bytes, garbage, bounds. */
import { RangeSet } from '@diskswarm/bitfield';
import {
  type ChunkId,
  DiskswarmError,
  type GenerationId,
  hasCode,
  PAGE_BYTES,
  type PieceIndex,
  toHex,
} from '@diskswarm/core';
import test from 'ava';
import fc from 'fast-check';
import {
  BASE_EXTENSION,
  BULK_EXTENSIONS,
  CONTROL_EXTENSIONS,
  claimsMessages,
  decodeExtension,
  decodeLaneHello,
  type ExtensionMessage,
  encodeExtension,
  encodeLaneControl,
  encodeLaneHello,
  generationMessages,
  type LaneControl,
  LaneControlReader,
  MAX_EXTENSION_BYTES,
  PACKED_EXTENSION,
  PieceSpaces,
} from '../src/index.ts';
import golden from './fixtures/messages.json' with { type: 'json' };

const generation = '11'.repeat(32) as GenerationId;
const root = '22'.repeat(32) as ChunkId;
const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);

const messages: Record<string, ExtensionMessage> = {
  roster: { kind: 'roster', bundle: bytes(1, 2, 3) },
  generation: {
    kind: 'generation',
    space: 2 ** 30,
    pieces: 512,
    generation,
    record: bytes(9),
    epochs: [bytes(4), bytes(5, 6)],
  },
  epochs: { kind: 'epochs', epochs: [bytes(1, 2), bytes(3)] },
  claims: {
    kind: 'claims',
    space: 0,
    has: RangeSet.from([{ from: 0, to: 300 }]),
    lacks: RangeSet.from([{ from: 400, to: 401 }]),
  },
  path: { kind: 'path', request: 7, root, piece: 300 as PieceIndex, fromLevel: 1 },
  pages: { kind: 'pages', request: 7, pages: [] },
  trace: { kind: 'trace', generation, trace: bytes(0, 1) },
  ownership: { kind: 'ownership', message: bytes(8, 8) },
  migration: { kind: 'migration', message: bytes(9, 9) },
  packing: { kind: 'packing', compressed: true },
};

for (const [kind, message] of Object.entries(messages)) {
  test(`${kind}: round trip and golden bytes`, (t) => {
    const { name, payload } = encodeExtension(message);
    t.is(name, `ds_${kind}`);
    t.is(toHex(payload), (golden.extensions as Record<string, string>)[kind]!);
    t.deepEqual(decodeExtension(name, payload), message);
  });
}

test('every kind of message has its lane; those that belong to a chunk have both', (t) => {
  const ofBoth = [BASE_EXTENSION, PACKED_EXTENSION];
  t.true([CONTROL_EXTENSIONS, BULK_EXTENSIONS].every((names) => ofBoth.every((name) => names.includes(name))));
  t.deepEqual(
    [...CONTROL_EXTENSIONS, ...BULK_EXTENSIONS].filter((name) => !ofBoth.includes(name)).toSorted(),
    Object.keys(messages)
      .map((kind) => `ds_${kind}`)
      .toSorted(),
  );
});

test('a long history travels ahead of its generation, in messages that fit', (t) => {
  const epochs = Array.from({ length: 3000 }, (_, index) => new Uint8Array(450).fill(index % 251));
  const message = { kind: 'generation', space: 0, pieces: 9, generation, record: bytes(1), epochs } as const;
  const parts = [...generationMessages(message)];
  const sent = parts.map((part) => encodeExtension(part));
  t.true(sent.every(({ payload }) => payload.length <= MAX_EXTENSION_BYTES));
  const decoded = sent.map(({ name, payload }) => decodeExtension(name, payload));
  t.deepEqual(
    decoded.flatMap((part) => (part.kind === 'epochs' || part.kind === 'generation' ? part.epochs : [])),
    epochs,
  );
  t.deepEqual([...new Set(decoded.slice(0, -1).map(({ kind }) => kind))], ['epochs']);
  t.is(decoded.at(-1)?.kind, 'generation');
  t.deepEqual([...generationMessages({ ...message, epochs: [] })], [{ ...message, epochs: [] }]);
});

test('pages keep their size', (t) => {
  const pages = [new Uint8Array(PAGE_BYTES).fill(1), new Uint8Array(PAGE_BYTES).fill(2)];
  const { name, payload } = encodeExtension({ kind: 'pages', request: 0, pages });
  t.deepEqual(decodeExtension(name, payload), { kind: 'pages', request: 0, pages });
  const short = encodeExtension({ kind: 'pages', request: 0, pages: [new Uint8Array(100)] });
  t.true(
    hasCode(
      t.throws(() => decodeExtension(short.name, short.payload)),
      'FORMAT_INVALID',
    ),
  );
});

test('a message that does not fit is refused by its sender', (t) => {
  const error = t.throws(() =>
    encodeExtension({ kind: 'trace', generation, trace: new Uint8Array(MAX_EXTENSION_BYTES) }),
  );
  t.true(hasCode(error, 'LIMIT_EXCEEDED'));
});

test('scattered claims travel in several messages', (t) => {
  const has = RangeSet.from(Array.from({ length: 2500 }, (_, index) => ({ from: 3 * index, to: 3 * index + 1 })));
  const lacks = RangeSet.from([{ from: 9000, to: 9500 }]);
  const received = { has: new RangeSet(), lacks: new RangeSet() };
  let count = 0;
  for (const claims of claimsMessages(5, has, lacks)) {
    const { name, payload } = encodeExtension(claims);
    t.true(payload.length <= 16 * 1024);
    const decoded = decodeExtension(name, payload);
    if (decoded.kind !== 'claims') return t.fail();
    received.has = received.has.union(decoded.has);
    received.lacks = received.lacks.union(decoded.lacks);
    count++;
  }
  t.is(count, 3);
  t.true(received.has.equals(has));
  t.true(received.lacks.equals(lacks));
});

test('property: garbage is refused with a stable code, whole or as a mutation of something true', (t) => {
  const names = [...CONTROL_EXTENSIONS, ...BULK_EXTENSIONS, 'ds_', 'ds_unheard'];
  const refusedOrDecoded = (name: string, payload: Uint8Array): boolean => {
    try {
      decodeExtension(name, payload);
      return true;
    } catch (error) {
      return error instanceof DiskswarmError;
    }
  };
  fc.assert(fc.property(fc.constantFrom(...names), fc.uint8Array({ maxLength: 400 }), refusedOrDecoded));
  fc.assert(
    fc.property(fc.constantFrom(...Object.values(messages)), fc.nat(), fc.nat({ max: 255 }), (message, at, value) => {
      const { name, payload } = encodeExtension(message);
      const changed = payload.slice();
      changed[at % changed.length] = value;
      return refusedOrDecoded(name, changed);
    }),
  );
  t.pass();
});

const controls: LaneControl[] = [
  { kind: 'offer', tag: new Uint8Array(32).fill(3) },
  { kind: 'open', channel: 1, tag: new Uint8Array(32).fill(4) },
  { kind: 'opened', channel: 65_535, tag: new Uint8Array(32).fill(5) },
  { kind: 'refused', channel: 2 },
  { kind: 'shut', channel: 2 },
  { kind: 'ping', nonce: 0 },
  { kind: 'pong', nonce: 12_345 },
];

test('lane control: golden bytes, and any cut of the stream', (t) => {
  const stream = Buffer.concat(controls.map(encodeLaneControl));
  t.is(stream.toString('hex'), golden.laneControl);
  for (const partBytes of [1, 7, 1000]) {
    const read: LaneControl[] = [];
    const reader = new LaneControlReader((message) => read.push(message));
    for (let start = 0; start < stream.length; start += partBytes)
      reader.push(stream.subarray(start, start + partBytes));
    t.deepEqual(read, controls);
  }
});

test('lane control: what is too long, empty or unknown is refused', (t) => {
  const read = (data: Uint8Array) => () => new LaneControlReader(() => t.fail()).push(data);
  t.true(hasCode(t.throws(read(bytes(0xff, 0xff))), 'PROTOCOL_ERROR'));
  t.true(hasCode(t.throws(read(bytes(0, 0))), 'PROTOCOL_ERROR'));
  t.true(hasCode(t.throws(read(Buffer.from('\0\x0cd4:kind2:noe', 'latin1'))), 'FORMAT_INVALID'));
});

test('hello: both sides, and another version', (t) => {
  const instance = new Uint8Array(16).fill(1);
  const session = new Uint8Array(16).fill(2);
  const asked = { instance, listenPort: 7000, lane: { kind: 'bulk', session } } as const;
  const decoded = (fields: object): Parameters<typeof decodeLaneHello>[0] =>
    Object.fromEntries(
      Object.entries(fields).map(([key, value]) => [key, typeof value === 'string' ? Buffer.from(value) : value]),
    );
  t.deepEqual(decodeLaneHello(decoded(encodeLaneHello(asked)), 'initiator'), asked);
  const answered = { instance, listenPort: 0, lane: null };
  t.deepEqual(decodeLaneHello(decoded(encodeLaneHello(answered)), 'responder'), answered);
  t.throws(() => decodeLaneHello(decoded({ ...encodeLaneHello(answered), protocol: 1 }), 'responder'));
  t.throws(() => decodeLaneHello(decoded({ ...encodeLaneHello(asked), lane: 'scenic' }), 'initiator'));
  const marked = { ...answered, rosterMark: new Uint8Array(16).fill(5) };
  t.deepEqual(decodeLaneHello(decoded(encodeLaneHello(marked)), 'responder'), marked);
  t.throws(() => decodeLaneHello(decoded({ ...encodeLaneHello(marked), roster: new Uint8Array(15) }), 'responder'));
  const control = { ...asked, lane: { ...asked.lane, kind: 'control' as const } };
  for (const letter of ['shown', 'wanted'] as const) {
    t.deepEqual(decodeLaneHello(decoded(encodeLaneHello({ ...control, letter })), 'initiator'), { ...control, letter });
    t.throws(() => decodeLaneHello(decoded(encodeLaneHello({ ...asked, letter })), 'initiator'));
  }
  t.throws(() => decodeLaneHello(decoded({ ...encodeLaneHello(control), letter: 'burnt' }), 'initiator'));
});

test('piece spaces: each side in its half, and late answers find their generation', (t) => {
  const dialled = new PieceSpaces({ initiator: true });
  const accepted = new PieceSpaces({ initiator: false });
  const other = '33'.repeat(32) as GenerationId;
  const first = dialled.open(generation, 1000)!;
  const second = accepted.open(other, 500)!;
  accepted.adopt(first.space, generation, 1000);
  dialled.adopt(second.space, other, 500);
  for (const spaces of [dialled, accepted]) {
    t.deepEqual(spaces.find(first.space + 999), { space: spaces.of(generation)!, piece: 999 as PieceIndex });
    t.is(spaces.find(first.space + 1000), undefined);
    t.is(spaces.find(second.space + 7)?.space.generation, other);
    t.is(spaces.at(second.space)?.generation, other);
    t.is(spaces.at(second.space + 1), undefined);
  }
  t.is(dialled.open(generation, 1000), first);
});

test('piece spaces: out of turn, out of the half and too large are refused; a full half opens nothing', (t) => {
  const spaces = new PieceSpaces({ initiator: true });
  for (const space of [0, 2 ** 30 + 1, 2 ** 31 - 1]) {
    t.true(
      hasCode(
        t.throws(() => spaces.adopt(space, generation, 10)),
        'PROTOCOL_ERROR',
      ),
    );
  }
  t.throws(() => spaces.adopt(2 ** 30, generation, 2 ** 30 + 1));
  t.truthy(spaces.open(generation, 2 ** 30));
  t.is(spaces.open('44'.repeat(32) as GenerationId, 1), null);
});
