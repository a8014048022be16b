/** Real sockets on loopback: bindings, order, back-pressure, ends; handshakes that never finish. */
import { connect } from 'node:net';
import { type Connection, type ConnectionHandlers, hasCode, type Listener, toHex } from '@diskswarm/core';
import test, { type ExecutionContext } from 'ava';
import { createPlainTransport } from '../src/transport/plain.ts';
import { MAX_HANDSHAKES, type SocketTransport } from '../src/transport/socket-transport.ts';
import { createTlsTransport } from '../src/transport/tls.ts';

interface Pair {
  readonly dialled: Connection;
  readonly accepted: Connection;
}

async function connectPair(t: ExecutionContext, transport: SocketTransport): Promise<Pair & { listener: Listener }> {
  const accepted = Promise.withResolvers<Connection>();
  const listener = await transport.listen('127.0.0.1:0', (connection) => accepted.resolve(connection));
  const dialled = await transport.dial(listener.address, { timeoutMs: 5000 });
  const pair = { dialled, accepted: await accepted.promise, listener };
  t.teardown(async () => {
    pair.dialled.destroy();
    pair.accepted.destroy();
    await listener.close();
  });
  return pair;
}

const ignore: ConnectionHandlers = { onData: () => undefined, onDrain: () => undefined, onClose: () => undefined };

for (const [name, create] of [
  ['tls', createTlsTransport],
  ['plain', createPlainTransport],
] as const) {
  test(`${name}: both ends share a binding that no other connection has`, async (t) => {
    const transport = create();
    const [first, second] = [await connectPair(t, transport), await connectPair(t, transport)];
    t.is(first.dialled.binding.length, 32);
    t.is(toHex(first.dialled.binding), toHex(first.accepted.binding));
    t.not(toHex(first.dialled.binding), toHex(second.dialled.binding));
    t.true(first.dialled.initiator && !first.accepted.initiator);
    for (const pair of [first, second]) for (const end of [pair.dialled, pair.accepted]) end.start(ignore);
  });

  test(`${name}: bytes arrive in order, drained writes are told, an end is orderly`, async (t) => {
    const { dialled, accepted } = await connectPair(t, create());
    const total = 3_000_000;
    const received: Uint8Array[] = [];
    const ended = new Promise<Error | undefined>((resolve) => {
      accepted.start({ ...ignore, onData: (bytes) => received.push(bytes.slice()), onClose: resolve });
    });
    await new Promise<void>((resolve) => {
      dialled.start({ ...ignore, onDrain: resolve });
      const bytes = new Uint8Array(total).map((_, index) => index % 253);
      t.false(dialled.write([bytes.subarray(0, 10), bytes.subarray(10, 1_000_000), bytes.subarray(1_000_000)]));
      t.is(dialled.queuedBytes, total);
    });
    t.true(dialled.queuedBytes < total);
    dialled.close();
    t.is(await ended, undefined);
    const whole = Buffer.concat(received);
    t.is(whole.length, total);
    t.true(whole.every((value, index) => value === index % 253));
  });

  test(`${name}: a dial into nothing fails with a stable code, and so does one that is given up`, async (t) => {
    const transport = create();
    const listener = await transport.listen('127.0.0.1:0', () => undefined);
    await listener.close();
    await listener.close();
    const error = await t.throwsAsync(transport.dial(listener.address, { timeoutMs: 2000 }));
    t.true(hasCode(error, 'PEER_UNREACHABLE'));
    const aborted = await t.throwsAsync(
      transport.dial(listener.address, { timeoutMs: 2000, signal: AbortSignal.abort() }),
    );
    t.true(hasCode(aborted, 'ABORTED'));
  });
}

test('a paused connection delivers nothing until it is resumed', async (t) => {
  const { dialled, accepted } = await connectPair(t, createTlsTransport());
  let received = 0;
  const arrived = new Promise<void>((resolve) => {
    accepted.start({
      ...ignore,
      onData: (bytes) => {
        received += bytes.length;
        resolve();
      },
    });
  });
  accepted.pause();
  const roundTrip = new Promise<void>((resolve) => dialled.start({ ...ignore, onData: () => resolve() }));
  dialled.write([new Uint8Array(100)]);
  accepted.write([new Uint8Array(1)]);
  await roundTrip;
  t.is(received, 0);
  accepted.resume();
  await arrived;
  t.is(received, 100);
});

test('garbage and silence do not keep an honest peer out', async (t) => {
  const transport = createTlsTransport();
  const accepted = Promise.withResolvers<Connection>();
  const listener = await transport.listen('127.0.0.1:0', (connection) => accepted.resolve(connection));
  const port = Number(listener.address.split(':')[1]);
  const idle = Array.from({ length: MAX_HANDSHAKES + 20 }, () =>
    connect(port, '127.0.0.1').on('error', () => undefined),
  );
  const garbage = connect(port, '127.0.0.1').on('error', () => undefined);
  garbage.write('GET / HTTP/1.1\r\n\r\n'.repeat(100));
  await new Promise((resolve) => garbage.on('close', resolve).resume());
  const dialled = await transport.dial(listener.address, { timeoutMs: 5000 });
  t.is(toHex((await accepted.promise).binding), toHex(dialled.binding));
  dialled.start(ignore);
  dialled.destroy();
  for (const socket of idle) socket.destroy();
  await listener.close();
});

test('a dial to a host that never answers ends at its time limit', async (t) => {
  const { createServer } = await import('node:net');
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const error = await t.throwsAsync(createTlsTransport().dial(`127.0.0.1:${port}`, { timeoutMs: 200 }));
  t.true(hasCode(error, 'PEER_UNREACHABLE'));
  server.close();
});

test('a port that is in use, and an address of another machine, are refused with a code of their own', async (t) => {
  const transport = createTlsTransport();
  const listener = await transport.listen('127.0.0.1:0', () => undefined);
  t.teardown(() => listener.close());
  for (const address of [listener.address, '192.0.2.1:0']) {
    const error = await t.throwsAsync(transport.listen(address, () => undefined));
    t.true(hasCode(error, 'ADDRESS_UNAVAILABLE'), address);
  }
});
