/** Sessions under any cut of the stream, any request, and garbage. */
import test from 'ava';
import fc from 'fast-check';
import { MemoryBacking } from './support/memory-backing.ts';
import {
  CLIENT_FLAGS,
  concat,
  GO,
  parseReplies,
  type Request,
  request,
  SET_CONTEXTS,
  STRUCTURED,
  TestClient,
} from './support/test-client.ts';

const SIZE = 64 * 1024;
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

const anyRequest: fc.Arbitrary<Request> = fc
  .record({
    command: fc.oneof(fc.constantFrom(0, 1, 3, 4, 5, 6, 7), fc.nat(0xffff)),
    flags: fc.oneof(fc.constant(0), fc.nat(31)),
    offset: fc.oneof(fc.nat(SIZE), fc.bigInt(0n, 2n ** 64n - 1n)),
    length: fc.nat(20_000),
  })
  .filter(({ command }) => command !== 2)
  .map(({ command, flags, offset, length }) =>
    command === 1
      ? { command, flags, offset, data: new Uint8Array(length).fill((length % 255) + 1) }
      : { command, flags, offset, length },
  );

const script = fc.array(anyRequest, { maxLength: 12 }).map((requests) => {
  const numbered = requests.map((one, index) => ({ ...one, cookie: BigInt(index) }));
  return { requests: numbered, bytes: concat(...numbered.map(request)) };
});

function handshaken(): { client: TestClient; backing: MemoryBacking } {
  const backing = new MemoryBacking(SIZE);
  backing.bytes.forEach((_, index) => {
    backing.bytes[index] = index % 253;
  });
  return { client: TestClient.in(backing, { contexts: ['base:allocation'] }), backing };
}

/** Feeds the bytes in the given pieces, each in an array that is scribbled over when the session is done with it. */
async function run(pieces: Uint8Array[]): Promise<{ replies: string[]; bytes: Uint8Array }> {
  const { client, backing } = handshaken();
  for (const piece of pieces) {
    const array = Buffer.from(piece);
    if (client.session.push(array)) array.fill(0xee);
    if (!client.reading) await settle();
  }
  await settle();
  const replies = client.replies().map((reply) => {
    const payload = Buffer.from(reply.payload).toString('hex');
    return `${reply.cookie} ${reply.kind} ${reply.type} ${reply.errno} ${reply.done} ${payload}`;
  });
  return { replies: replies.sort(), bytes: backing.bytes };
}

test('the stream may be cut anywhere: replies and disk are the same', async (t) => {
  await fc.assert(
    fc.asyncProperty(
      script,
      fc.array(fc.integer({ min: 1, max: 9000 }), { minLength: 1, maxLength: 20 }),
      async ({ bytes }, cuts) => {
        const whole = await run([bytes]);
        const pieces: Uint8Array[] = [];
        for (let at = 0, index = 0; at < bytes.length; index += 1) {
          const next = at + cuts[index % cuts.length]!;
          pieces.push(bytes.subarray(at, next));
          at = next;
        }
        const cut = await run(pieces);
        t.deepEqual(cut.replies, whole.replies);
        t.is(Buffer.compare(cut.bytes, whole.bytes), 0);
      },
    ),
    { numRuns: 60 },
  );
});

test('handshake and requests arrive byte by byte', async (t) => {
  const backing = new MemoryBacking(SIZE);
  const client = new TestClient([{ name: 'disk', description: '', backing, multiConn: false }]);
  const data = new Uint8Array(5000).fill(4);
  const bytes = concat(
    CLIENT_FLAGS,
    STRUCTURED,
    SET_CONTEXTS('disk', 'base:allocation'),
    GO('disk'),
    request({ command: 1, cookie: 1n, offset: 3, data }),
    request({ command: 0, cookie: 2n, offset: 3, length: 5000 }),
    request({ command: 7, cookie: 3n, length: 100 }),
  );
  let handshakeBytes = 0;
  for (let at = 0; at < bytes.length; at += 1) {
    client.session.push(bytes.slice(at, at + 1));
    if (client.session.handle === null) handshakeBytes = at;
  }
  t.is(handshakeBytes, bytes.length - 28 * 3 - 5000 - 2);
  await settle();
  t.deepEqual(backing.bytes.subarray(3, 5003), data);
  const transmission = Buffer.from(client.take());
  const replies = parseReplies(new Uint8Array(transmission.subarray(transmission.indexOf('67446698', 'hex'))));
  t.deepEqual(
    replies.map(({ cookie, errno }) => [cookie, errno]),
    [
      [1n, 0],
      [2n, 0],
      [3n, 0],
    ],
  );
});

test('every request gets exactly one final reply, whatever its fields', async (t) => {
  await fc.assert(
    fc.asyncProperty(script, async ({ requests, bytes }) => {
      const { client } = handshaken();
      client.session.push(bytes);
      await settle();
      const final = client.replies().filter(({ done }) => done);
      t.deepEqual(final.map(({ cookie }) => cookie).sort(), requests.map(({ cookie }) => cookie).sort());
      t.deepEqual(client.defects, []);
    }),
    { numRuns: 100 },
  );
});

test('garbage never throws, in either phase', async (t) => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 8 }),
      fc.boolean(),
      async (pieces, late) => {
        const client = late ? handshaken().client : new TestClient([]);
        for (const piece of pieces) client.session.push(piece);
        await settle();
        await client.session.close();
        t.deepEqual(client.defects, []);
      },
    ),
    { numRuns: 300 },
  );
});

test('valid option headers around random data never throw and never enter transmission', async (t) => {
  const backing = new MemoryBacking(4096);
  await fc.assert(
    fc.property(fc.constantFrom(3, 5, 6, 8, 9, 10, 99), fc.uint8Array({ maxLength: 64 }), (code, data) => {
      const client = new TestClient([{ name: 'disk', description: '', backing, multiConn: false }]);
      client.push(CLIENT_FLAGS, STRUCTURED);
      client.take();
      const header = new DataView(new ArrayBuffer(16));
      header.setBigUint64(0, 0x49484156454f5054n);
      header.setUint32(8, code);
      header.setUint32(12, data.length);
      client.push(new Uint8Array(header.buffer), data);
      t.is(client.session.handle, null);
      t.true(client.take().length >= 20, 'an answer');
    }),
    { numRuns: 300 },
  );
});
