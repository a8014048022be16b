/** Writes whose answers an export's gate puts off: what waits, what does not, and what becomes of it when the client goes. */
import test from 'ava';
import type { WriteGate } from '../src/index.ts';
import { MemoryBacking } from './support/memory-backing.ts';
import { TestClient } from './support/test-client.ts';

const READ = 0;
const WRITE = 1;
const DISCONNECT = 2;
const FLUSH = 3;
const TRIM = 4;
const WRITE_ZEROES = 6;
const FUA = 1;
const MIB = 1 << 20;
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Holds every answer until the test lets it go. */
class HeldGate implements WriteGate {
  readonly booked: number[] = [];
  readonly answers: (() => void)[] = [];
  open = false;

  book(payloadBytes: number): number {
    this.booked.push(payloadBytes);
    return this.open ? 0 : this.booked.length;
  }

  wait(_ticket: number, answer: () => void): void {
    this.answers.push(answer);
  }
}

function start(limits?: { maxRequests: number; maxBytes: number; maxUnsentBytes: number }) {
  const backing = new MemoryBacking(MIB);
  const gate = new HeldGate();
  const client = TestClient.in(backing, { gate, ...(limits === undefined ? {} : { limits }) });
  return { backing, gate, client };
}

test('an answer that is put off is to a write that is done and committed; reads and flushes pass it', async (t) => {
  const { backing, gate, client } = start();
  const data = new Uint8Array(4096).fill(7);
  client.send(
    { command: WRITE, cookie: 1n, data },
    { command: READ, cookie: 2n, length: 4096 },
    { command: FLUSH, cookie: 3n },
  );
  await settle();
  t.deepEqual(
    client.replies().map(({ cookie, errno, payload }) => ({ cookie, errno, first: payload[8] ?? null })),
    [
      { cookie: 2n, errno: 0, first: 7 },
      { cookie: 3n, errno: 0, first: null },
    ],
  );
  t.is(backing.uncommitted, 0);
  t.true(client.reading);
  gate.answers[0]!();
  await settle();
  t.like(client.replies(), [{ cookie: 1n, errno: 0 }]);
});

test('writes, discards, zeroings and FUA are booked by their payload; flushes, reads and failures are not', async (t) => {
  const { backing, gate, client } = start();
  client.send(
    { command: WRITE, cookie: 1n, data: new Uint8Array(10_000) },
    { command: TRIM, cookie: 2n, length: MIB },
    { command: WRITE_ZEROES, cookie: 3n, length: MIB },
    { command: WRITE, cookie: 4n, flags: FUA, data: new Uint8Array(5000) },
    { command: FLUSH, cookie: 5n },
    { command: READ, cookie: 6n, length: 512 },
    { command: WRITE, cookie: 7n, offset: MIB, data: new Uint8Array(512) },
    { command: WRITE, cookie: 8n, data: new Uint8Array(0) },
  );
  await settle();
  t.deepEqual(gate.booked, [10_000, 1, 1, 5000]);
  t.true(backing.calls.indexOf('flush') > 0, 'FUA is durable before it waits');
  t.deepEqual(
    client
      .replies()
      .map(({ cookie }) => cookie)
      .sort(),
    [5n, 6n, 7n, 8n],
  );
  for (const answer of gate.answers) answer();
  await settle();
  t.deepEqual(
    client
      .replies()
      .map(({ cookie }) => cookie)
      .sort(),
    [1n, 2n, 3n, 4n],
  );
});

test('a write that the gate lets pass is answered at once', (t) => {
  const { gate, client } = start();
  gate.open = true;
  client.send({ command: WRITE, cookie: 1n, data: new Uint8Array(512) });
  t.like(client.replies(), [{ cookie: 1n, errno: 0 }]);
});

test('what the gate holds counts as in flight: a client cannot pile up writes', async (t) => {
  const { gate, client } = start({ maxRequests: 4, maxBytes: 64 * MIB, maxUnsentBytes: MIB });
  const write = (cookie: bigint) => ({ command: WRITE, cookie, data: new Uint8Array(512) });
  for (let cookie = 1n; cookie <= 4n; cookie++) client.send(write(cookie));
  t.false(client.reading);
  gate.answers[0]!();
  await settle();
  t.true(client.reading);
});

test('a client that has said good-bye gets its answers, and then the connection ends', async (t) => {
  const { gate, client } = start();
  client.send({ command: WRITE, cookie: 1n, data: new Uint8Array(512) }, { command: DISCONNECT });
  await settle();
  t.false(client.ended);
  gate.answers[0]!();
  await settle();
  t.like(client.replies(), [{ cookie: 1n, errno: 0 }]);
  t.true(client.ended);
});

test('a client that is gone is not waited for, and a late answer goes nowhere', async (t) => {
  const { backing, gate, client } = start();
  backing.holdFlushes = true;
  client.send(
    { command: WRITE, cookie: 1n, data: new Uint8Array(512) },
    { command: WRITE, cookie: 2n, flags: FUA, data: new Uint8Array(512) },
  );
  client.take();
  const closed = client.session.close();
  backing.heldFlushes[0]!.finish();
  await closed;
  for (const answer of gate.answers) answer();
  await settle();
  t.is(client.take().length, 0);
});
