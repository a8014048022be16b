/** The handshake, option by option, with every wrong turn of a client. */
import test from 'ava';
import { MemoryBacking } from './support/memory-backing.ts';
import {
  CLIENT_FLAGS,
  concat,
  GO,
  hex,
  option,
  request,
  SET_CONTEXTS,
  STRUCTURED,
  sized,
  TestClient,
  text,
  uint32,
} from './support/test-client.ts';

interface OptionReply {
  readonly option: number;
  readonly type: number;
  readonly data: Uint8Array;
}

const ACK = 1;
const UNSUPPORTED = 0x80000001;
const POLICY = 0x80000002;
const INVALID = 0x80000003;
const UNKNOWN = 0x80000006;
const TOO_BIG = 0x80000009;

function optionReplies(bytes: Uint8Array): OptionReply[] {
  const replies: OptionReply[] = [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at < bytes.length; ) {
    if (view.getBigUint64(at) !== 0x0003e889045565a9n) throw new Error('no option reply');
    const length = view.getUint32(at + 16);
    replies.push({
      option: view.getUint32(at + 8),
      type: view.getUint32(at + 12),
      data: bytes.slice(at + 20, at + 20 + length),
    });
    at += 20 + length;
  }
  return replies;
}

function fresh(): TestClient {
  const client = new TestClient([
    { name: 'disk', description: 'a disk', backing: new MemoryBacking(1 << 20), multiConn: false },
    { name: 'other', description: '', backing: new MemoryBacking(4096), multiConn: true },
  ]);
  client.take();
  client.push(CLIENT_FLAGS);
  return client;
}

function ask(client: TestClient, ...options: Uint8Array[]): OptionReply[] {
  client.push(...options);
  return optionReplies(client.take());
}

test('the server greets with fixed newstyle and no zeroes', (t) => {
  const client = new TestClient([]);
  t.is(hex(client.take()), '4e42444d41474943' + '49484156454f5054' + '0003');
});

test('unknown client flags end the connection', (t) => {
  const client = new TestClient([]);
  client.push(uint32(4));
  t.true(client.ended);
});

test('a wrong option magic ends the connection', (t) => {
  const client = fresh();
  client.push(new Uint8Array(16));
  t.true(client.ended);
});

test('LIST names every export with its description', (t) => {
  const replies = ask(fresh(), option(3));
  t.deepEqual(
    replies.map(({ type }) => type),
    [2, 2, ACK],
  );
  t.deepEqual(replies[0]!.data, concat(sized('disk'), text('a disk')));
  t.deepEqual(replies[1]!.data, sized('other'));
});

test('INFO tells size, flags, name, description and block sizes, and stays in the handshake', (t) => {
  const client = fresh();
  const data = concat(sized('disk'), new Uint8Array([0, 4, 0, 0, 0, 1, 0, 2, 0, 3]));
  const replies = ask(client, option(6, data));
  t.deepEqual(
    replies.map(({ type, data: reply }) => [type, hex(reply)]),
    [
      [3, `0000${'0000000000100000'}0c6d`],
      [3, `0001${hex(text('disk'))}`],
      [3, `0002${hex(text('a disk'))}`],
      [3, '0003' + '00000001' + '00001000' + '02000000'],
      [ACK, ''],
    ],
  );
  t.is(client.session.handle, null);
  t.is(ask(client, option(3)).length, 3);
});

test('flags follow the export: DF with structured replies, no writing when read-only, multi-conn when told', (t) => {
  const flagsOf = (client: TestClient, name: string): number => {
    const data = ask(client, option(6, concat(sized(name), new Uint8Array(2))))[0]!.data;
    return new DataView(data.buffer).getUint16(10);
  };
  const client = fresh();
  t.is(flagsOf(client, 'other') & 0x100, 0x100);
  t.is(flagsOf(client, 'disk') & 0x180, 0);
  client.push(STRUCTURED);
  client.take();
  t.is(flagsOf(client, 'disk') & 0x80, 0x80);
  (client.handles[0]!.backing as MemoryBacking).readOnly = true;
  t.is(flagsOf(client, 'disk') & (0x2 | 0x20 | 0x40 | 0x800), 0x2);
});

test('GO enters transmission without zeroes', (t) => {
  const client = fresh();
  const replies = ask(client, GO('disk'));
  t.deepEqual(
    replies.map(({ type }) => type),
    [3, ACK],
  );
  t.is(client.session.handle?.name, 'disk');
});

for (const [title, flags, length] of [
  ['with 124 zeroes', 1, 134],
  ['without zeroes', 3, 10],
] as const) {
  test(`EXPORT_NAME enters transmission ${title}`, (t) => {
    const client = new TestClient([
      { name: 'disk', description: '', backing: new MemoryBacking(8192), multiConn: false },
    ]);
    client.take();
    client.push(uint32(flags), option(1, text('disk')));
    const reply = client.take();
    t.is(reply.length, length);
    t.is(hex(reply.subarray(0, 10)), '0000000000002000' + '0c6d');
    client.push(request({ command: 0, cookie: 5n, length: 16 }));
    t.is(client.replies(new Map([[5n, 16]])).length, 1);
  });
}

test('an unknown export: GO says so, EXPORT_NAME ends the connection', (t) => {
  const client = fresh();
  t.deepEqual(
    ask(client, GO('nothing')).map(({ type }) => type),
    [UNKNOWN],
  );
  client.push(option(1, text('nothing')));
  t.true(client.ended);
});

test('a client that is not admitted is told why', (t) => {
  const client = fresh();
  client.refusal = 'too many clients';
  const [reply] = ask(client, GO('disk'));
  t.is(reply!.type, POLICY);
  t.is(new TextDecoder().decode(reply!.data), 'too many clients');
  t.is(client.session.handle, null);
});

test('ABORT is acknowledged and ends', (t) => {
  const client = fresh();
  t.deepEqual(
    ask(client, option(2)).map(({ type }) => type),
    [ACK],
  );
  t.true(client.ended);
});

test('options that are unknown, TLS, or malformed get an error and the handshake goes on', (t) => {
  const client = fresh();
  const typeOf = (...options: Uint8Array[]): number => ask(client, ...options).at(-1)!.type;
  t.is(typeOf(option(99, text('hello'))), UNSUPPORTED);
  t.is(typeOf(option(5)), UNSUPPORTED);
  t.is(typeOf(option(3, text('x'))), INVALID);
  t.is(typeOf(option(8, text('x'))), INVALID);
  t.is(typeOf(option(6, uint32(100))), INVALID);
  t.is(typeOf(option(6, concat(sized('disk'), new Uint8Array([0, 1])))), INVALID);
  t.is(typeOf(option(6, concat(sized('disk\0'), new Uint8Array(2)))), INVALID);
  t.is(typeOf(option(6, concat(uint32(2), new Uint8Array([0xc3, 0x28, 0, 0])))), INVALID);
  t.is(typeOf(option(6, concat(sized('x'.repeat(4097)), new Uint8Array(2)))), INVALID);
  t.is(typeOf(option(10, new Uint8Array(0))), INVALID);
  t.is(typeOf(GO('disk')), ACK);
});

test('a long option is skipped without being kept', (t) => {
  const client = fresh();
  const replies = ask(client, option(6, new Uint8Array(40_000)), option(3));
  t.is(replies[0]!.type, TOO_BIG);
  t.is(replies.length, 4);
});

test('too many options end the connection', (t) => {
  const client = fresh();
  for (let count = 0; count < 256; count += 1) client.push(option(99));
  t.false(client.ended);
  client.push(option(99));
  t.true(client.ended);
});

test('metadata contexts: wildcards list, exact names select, unknown ones are ignored', (t) => {
  const client = fresh();
  const names = (replies: OptionReply[]): string[] =>
    replies.filter(({ type }) => type === 4).map(({ data }) => new TextDecoder().decode(data.subarray(4)));
  const list = (...queries: string[]): string[] =>
    names(ask(client, option(9, concat(sized('disk'), uint32(queries.length), ...queries.map(sized)))));
  const set = (...queries: string[]): string[] => names(ask(client, SET_CONTEXTS('disk', ...queries)));

  t.is(ask(client, SET_CONTEXTS('disk', 'base:allocation'))[0]!.type, INVALID, 'needs structured replies');
  client.push(STRUCTURED);
  client.take();
  t.deepEqual(list(), ['base:allocation', 'diskswarm:presence']);
  t.deepEqual(list('base:'), ['base:allocation']);
  t.deepEqual(list('diskswarm:', 'base:allocation'), ['base:allocation', 'diskswarm:presence']);
  t.deepEqual(list('x-other:thing'), []);
  t.deepEqual(set('base:'), [], 'a wildcard selects nothing');
  t.deepEqual(set('diskswarm:presence', 'base:nothing'), ['diskswarm:presence']);
  t.is(ask(client, SET_CONTEXTS('disk', 'nocolon'))[0]!.type, INVALID);
  t.is(ask(client, SET_CONTEXTS('nothing', 'base:allocation'))[0]!.type, UNKNOWN);
});

test('contexts selected for another export do not count', async (t) => {
  const client = fresh();
  client.push(STRUCTURED, SET_CONTEXTS('other', 'base:allocation'), GO('disk'));
  client.take();
  client.send({ command: 7, length: 4096 });
  t.is(client.replies()[0]!.errno, 22);
});

test('a client that stops in the handshake is let go', (t) => {
  const client = fresh();
  client.session.finish();
  t.true(client.ended);
});
