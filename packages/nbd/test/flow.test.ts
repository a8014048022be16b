/** The flow of a session: what waits, how much of it, in which order it is answered, and when reading stops. */
import { DiskswarmError } from '@diskswarm/core';
import test from 'ava';
import { MemoryBacking } from './support/memory-backing.ts';
import { concat, request, TestClient } from './support/test-client.ts';

const READ = 0;
const WRITE = 1;
const MIB = 1 << 20;
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('an array lent to a waiting write is not declared free, and the write gets what was sent', async (t) => {
  const backing = new MemoryBacking(MIB);
  backing.holdWrites = true;
  const client = TestClient.in(backing);
  const data = new Uint8Array(8192).fill(7);
  t.false(client.push(request({ command: WRITE, cookie: 1n, data })), 'borrowed');
  t.true(client.send({ command: READ, cookie: 2n, length: 16 }), 'the next array is not');
  client.take();
  backing.heldWrites[0]!.finish();
  await settle();
  t.like(client.replies(), [{ cookie: 1n, errno: 0 }]);
  t.deepEqual(backing.bytes.subarray(0, 8192), data);
  t.is(backing.uncommitted, 0, 'committed before the reply');
});

test('a write that waits in parts is acknowledged once, after the last, with the first error', async (t) => {
  const backing = new MemoryBacking(MIB);
  backing.holdWrites = true;
  const client = TestClient.in(backing);
  const bytes = request({ command: WRITE, cookie: 1n, data: new Uint8Array(20_000).fill(9) });
  client.push(bytes.subarray(0, 9000));
  client.push(bytes.subarray(9000));
  t.true(backing.heldWrites.length >= 3);
  const [first, ...others] = backing.heldWrites;
  for (const held of others) held.finish();
  await settle();
  t.deepEqual(client.replies(), []);
  first!.finish(new DiskswarmError('DISK_FULL', 'full'));
  await settle();
  t.like(client.replies(), [{ cookie: 1n, errno: 28 }]);
});

test('a backing never sees half a block that the client sent whole', (t) => {
  const backing = new MemoryBacking(MIB);
  const client = TestClient.in(backing);
  const data = Uint8Array.from({ length: 50_000 }, (_, index) => index % 251);
  const bytes = request({ command: WRITE, cookie: 1n, offset: 1000, data });
  for (let at = 0; at < bytes.length; at += 777) client.push(bytes.subarray(at, at + 777));
  t.deepEqual(backing.bytes.subarray(1000, 51_000), data);
  const writes = backing.calls.filter((call) => call.startsWith('write'));
  for (const call of writes) {
    const [offset, length] = call.slice(6).split('+').map(Number) as [number, number];
    t.true(offset === 1000 || offset % 4096 === 0, call);
    t.true(offset + length === 51_000 || (offset + length) % 4096 === 0, call);
  }
  t.is(backing.calls.filter((call) => call === 'commit').length, 1);
});

test('reading stops at the most requests in flight and goes on when one leaves', async (t) => {
  const backing = new MemoryBacking(MIB);
  backing.absentFrom = 0;
  const limits = { maxRequests: 4, maxBytes: 64 * MIB, maxUnsentBytes: MIB };
  const client = TestClient.in(backing, { limits });
  const requests = Array.from({ length: 10 }, (_, index) => ({ command: READ, cookie: BigInt(index), length: 4096 }));
  const input = Buffer.concat(requests.map(request));
  t.true(client.session.push(input));
  input.fill(0xee);
  t.is(backing.heldReads.length, 4);
  t.false(client.reading);
  backing.heldReads[0]!.finish();
  await settle();
  t.is(backing.heldReads.length, 5, 'the rest of the batch was kept');
  t.false(client.reading);
  for (let index = 1; index < 10; index += 1) {
    backing.heldReads[index]!.finish();
    await settle();
  }
  t.true(client.reading);
  t.is(client.replies().length, 10);
});

test('reading stops at the most bytes in flight', async (t) => {
  const backing = new MemoryBacking(MIB);
  backing.absentFrom = 0;
  const client = TestClient.in(backing, { limits: { maxRequests: 256, maxBytes: 10_000, maxUnsentBytes: MIB } });
  client.send(...[1n, 2n, 3n, 4n].map((cookie) => ({ command: READ, cookie, length: 4096 })));
  t.is(backing.heldReads.length, 3);
  t.false(client.reading);
});

test('a client that does not take its replies stops the session, and gets all of them later', (t) => {
  const backing = new MemoryBacking(8 * MIB);
  backing.bytes.fill(5);
  const client = TestClient.in(backing);
  client.slow = true;
  client.send(
    { command: READ, cookie: 1n, length: 8 * MIB },
    { command: READ, cookie: 2n, length: 4096 },
    { command: WRITE, cookie: 3n, data: new Uint8Array(4096) },
  );
  t.false(client.reading);
  const first = client.take().length;
  t.true(first <= 1.5 * MIB, `${first} bytes before the client took any`);
  let total = first;
  for (let round = 0; round < 20 && !client.reading; round += 1) {
    client.drain();
    total += client.take().length;
  }
  t.true(client.reading);
  t.is(total, 32 * (262144 + 28) + 4096 + 28 + 16);
});

test('replies that the output still holds are not overwritten', (t) => {
  const backing = new MemoryBacking(MIB);
  backing.bytes.fill(1, 0, 4096);
  backing.bytes.fill(2, 4096, 8192);
  const client = TestClient.in(backing);
  client.slow = true;
  client.send({ command: READ, cookie: 1n, length: 4096 });
  client.send({ command: READ, cookie: 2n, offset: 4096, length: 4096 });
  const replies = client.replies();
  t.deepEqual(
    replies.map(({ payload }) => payload[8]),
    [1, 2],
  );
});

test('a client that goes away: waiting reads are given up, writes finish and are committed', async (t) => {
  const backing = new MemoryBacking(MIB);
  backing.absentFrom = 0;
  backing.holdWrites = true;
  const client = TestClient.in(backing);
  client.send(
    { command: READ, cookie: 1n, length: 4096 },
    { command: WRITE, cookie: 2n, flags: 1, data: new Uint8Array(4096).fill(3) },
  );
  client.push(request({ command: WRITE, cookie: 3n, offset: 8192, data: new Uint8Array(4096) }).subarray(0, 100));
  let closed = false;
  const closing = client.session.close().then(() => {
    closed = true;
  });
  await settle();
  t.false(closed, 'a write is in flight');
  backing.heldWrites[0]!.finish();
  await closing;
  t.is(backing.bytes[0], 3);
  t.is(backing.uncommitted, 0);
  t.is(backing.calls.at(-1), 'flush', 'a FUA write is made durable all the same');
  t.deepEqual(client.take(), new Uint8Array(0));
  t.true(client.session.push(concat(new Uint8Array(100))), 'later bytes are ignored');
  client.session.drained();
  client.session.finish();
  t.false(client.ended, 'nothing is called on the output after close');
});

test('closing during a suspended read or before the handshake is over resolves', async (t) => {
  const backing = new MemoryBacking(8 * MIB);
  const client = TestClient.in(backing);
  backing.bytes.fill(1);
  client.slow = true;
  client.send({ command: READ, cookie: 1n, length: 8 * MIB });
  await client.session.close();
  await new TestClient([]).session.close();
  t.pass();
});

test('finish gives waiting reads up, answers writes, and then ends', async (t) => {
  const backing = new MemoryBacking(MIB);
  backing.absentFrom = 0;
  backing.holdWrites = true;
  const client = TestClient.in(backing);
  client.send({ command: READ, cookie: 1n, length: 4096 }, { command: WRITE, cookie: 2n, data: new Uint8Array(4096) });
  client.session.finish();
  await settle();
  t.like(client.replies(), [{ cookie: 1n, errno: 108 }]);
  t.false(client.ended);
  backing.heldWrites[0]!.finish();
  await settle();
  t.like(client.replies(), [{ cookie: 2n, errno: 0 }]);
  t.true(client.ended);
});

test('many waiting reads share one signal without a warning', async (t) => {
  const warnings: Error[] = [];
  const listen = (warning: Error): void => void warnings.push(warning);
  process.on('warning', listen);
  const backing = new MemoryBacking(MIB);
  backing.absentFrom = 0;
  const client = TestClient.in(backing);
  client.send(...Array.from({ length: 200 }, (_, index) => ({ command: READ, cookie: BigInt(index), length: 512 })));
  await settle();
  await client.session.close();
  process.off('warning', listen);
  t.deepEqual(warnings, []);
});
