/** The DHT on a local network of nodes: who is found under a topic, what a dialled connection is like, and how it ends. */
import { type Address, type Connection, type ConnectionHandlers, hasCode, toHex } from '@diskswarm/core';
import NoiseSecretStream from '@hyperswarm/secret-stream';
import anyTest, { type ExecutionContext, type TestFn } from 'ava';
import HyperDHT from 'hyperdht';
import createTestnet from 'hyperdht/testnet.js';
import { dhtAddressOf, dhtKeyOf } from '../src/discovery/dht-address.ts';
import { DhtNode } from '../src/transport/dht/dht-node.ts';

interface Context {
  bootstrap: Address[];
}

const test = anyTest as TestFn<Context>;
const ignore: ConnectionHandlers = { onData: () => undefined, onDrain: () => undefined, onClose: () => undefined };
const topicOf = (value: number): Uint8Array => new Uint8Array(32).fill(value);

let network: Awaited<ReturnType<typeof createTestnet>> | null = null;

test.before(async () => {
  network = await createTestnet(10, { host: '127.0.0.1' });
});

test.after.always(() => network?.destroy());

test.beforeEach((t) => {
  t.context.bootstrap = network!.bootstrap.map(({ host, port }) => `${host}:${port}`);
});

/** A node of the network; `accepted` are the connections that others made to it. */
function join(t: ExecutionContext<Context>): {
  node: DhtNode;
  accepted: Connection[];
  next: () => Promise<Connection>;
} {
  const node = new DhtNode({ bootstrap: t.context.bootstrap, host: '127.0.0.1' });
  const accepted: Connection[] = [];
  let wake = (): void => undefined;
  node.start((connection) => {
    accepted.push(connection);
    wake();
  });
  t.teardown(() => node.stop());
  return {
    node,
    accepted,
    next: async () => {
      while (accepted.length === 0) await new Promise<void>((resolve) => (wake = resolve));
      return accepted.shift()!;
    },
  };
}

test('hosts find each other under a topic, until they leave; under another one nobody is found', async (t) => {
  const [home, office, stranger] = [join(t), join(t), join(t)];
  t.deepEqual(await home.node.meet(topicOf(1)), []);
  t.deepEqual(await office.node.meet(topicOf(1)), [home.node.address]);
  t.deepEqual(await home.node.meet(topicOf(1)), [office.node.address]);
  t.deepEqual(await stranger.node.meet(topicOf(2)), []);
  await office.node.leave(topicOf(1));
  t.deepEqual(await home.node.meet(topicOf(1)), []);
});

test('both ends share a binding that no other connection has, however many there are', async (t) => {
  const [home, office] = [join(t), join(t)];
  await home.node.meet(topicOf(3));
  const [address] = await office.node.meet(topicOf(3));
  const bindings = new Set<string>();
  for (let count = 0; count < 3; count += 1) {
    const dialled = await office.node.dial(address!, { timeoutMs: 10_000 });
    const accepted = await home.next();
    t.true(dialled.initiator && !accepted.initiator);
    t.is(dialled.binding.length, 32);
    t.is(toHex(dialled.binding), toHex(accepted.binding));
    t.is(accepted.remoteAddress, office.node.address);
    t.is(dialled.remoteAddress, home.node.address);
    bindings.add(toHex(dialled.binding));
    for (const end of [dialled, accepted]) end.start(ignore);
  }
  t.is(bindings.size, 3);
});

test('bytes arrive in order, little waits in the connection, drained writes are told, an end is orderly', async (t) => {
  const [home, office] = [join(t), join(t)];
  await home.node.meet(topicOf(4));
  const dialled = await office.node.dial(home.node.address, { timeoutMs: 10_000 });
  const accepted = await home.next();
  const total = 6_000_000;
  const chunk = 100_000;
  let received = 0;
  let wrong = 0;
  const ended = new Promise<Error | undefined>((resolve) => {
    accepted.start({
      onData: (bytes) => {
        for (const byte of bytes) if (byte !== received++ % 251) wrong += 1;
      },
      onDrain: () => undefined,
      onClose: resolve,
    });
  });
  let sent = 0;
  let mostQueued = 0;
  let drains = 0;
  const pump = (): void => {
    while (sent < total) {
      const start = sent;
      sent += chunk;
      const room = dialled.write([Uint8Array.from({ length: chunk }, (_, index) => (start + index) % 251)]);
      mostQueued = Math.max(mostQueued, dialled.queuedBytes);
      if (!room) return;
    }
    dialled.close();
  };
  const ownEnd = new Promise<Error | undefined>((resolve) => {
    dialled.start({
      onData: () => undefined,
      onDrain: () => {
        drains += 1;
        pump();
      },
      onClose: resolve,
    });
  });
  pump();
  t.is(await ended, undefined);
  t.is(await ownEnd, undefined);
  t.is(received, total);
  t.is(wrong, 0);
  t.true(drains > 5);
  t.true(mostQueued <= 64 * 1024 + chunk);
});

test('a reader that pauses gets nothing, then everything; a sender without end is cut off', async (t) => {
  const [home, office] = [join(t), join(t)];
  await home.node.meet(topicOf(5));
  const dialled = await office.node.dial(home.node.address, { timeoutMs: 10_000 });
  const accepted = await home.next();
  let received = 0;
  const first = Promise.withResolvers<void>();
  const all = Promise.withResolvers<void>();
  const cut = Promise.withResolvers<Error | undefined>();
  const total = 2_000_000;
  accepted.start({
    ...ignore,
    onData: (bytes) => {
      if (received === 0) {
        accepted.pause();
        first.resolve();
      }
      received += bytes.length;
      if (received === total) all.resolve();
    },
    onClose: cut.resolve,
  });
  let drained = Promise.withResolvers<void>();
  dialled.start({ ...ignore, onDrain: () => drained.resolve() });
  dialled.write([new Uint8Array(total)]);
  await Promise.all([first.promise, drained.promise]);
  const held = received;
  await office.node.meet(topicOf(5));
  t.is(received, held);
  accepted.resume();
  await all.promise;
  accepted.pause();
  for (let count = 0; count < 32; count += 1) {
    drained = Promise.withResolvers<void>();
    if (!dialled.write([new Uint8Array(1024 * 1024)])) await Promise.race([drained.promise, cut.promise]);
  }
  t.regex(String(await cut.promise), /more than was asked for/);
  t.is(received, total);
});

test('a host that went away, dialled again by the way it was reached before, is unreachable and no more', async (t) => {
  const [home, office] = [join(t), join(t)];
  await home.node.meet(topicOf(9));
  const [address] = await office.node.meet(topicOf(9));
  const dialled = await office.node.dial(address!, { timeoutMs: 10_000 });
  dialled.start(ignore);
  (await home.next()).start(ignore);
  await home.node.stop();
  // ava fails on a rejection that nobody handles, as an agent would end on it.
  for (const timeoutMs of [10_000, 300])
    t.true(hasCode(await t.throwsAsync(office.node.dial(address!, { timeoutMs })), 'PEER_UNREACHABLE'));
  // What was given up is answered for until then.
  await t.throwsAsync(office.node.dial(address!, { timeoutMs: 10_000 }));
});

test('a long message ends the connection before there is room for it', async (t) => {
  const [home] = [join(t)];
  await home.node.meet(topicOf(8));
  const stranger = new HyperDHT({
    bootstrap: t.context.bootstrap.map((address) => ({ host: '127.0.0.1', port: Number(address.split(':')[1]) })),
    host: '127.0.0.1',
  });
  t.teardown(() => stranger.destroy({ force: true }));
  const stream = stranger.connect(dhtKeyOf(home.node.address)!, {
    keyPair: HyperDHT.keyPair(),
    reusableSocket: false,
    createSecretStream: (isInitiator, rawStream, options) => new NoiseSecretStream(isInitiator, rawStream, options),
    relayAddresses: [],
  });
  stream.on('error', () => undefined);
  const accepted = await home.next();
  let received = 0;
  const ended = new Promise((resolve) =>
    accepted.start({
      ...ignore,
      onData: (bytes) => {
        received += bytes.length;
      },
      onClose: resolve,
    }),
  );
  stream.write(new Uint8Array(10_000));
  stream.write(new Uint8Array(8 * 1024 * 1024));
  t.regex(String(await ended), /a message of more than/);
  t.true(received <= 10_000);
});

test('a destroyed connection ends at the other side too', async (t) => {
  const [home, office] = [join(t), join(t)];
  await home.node.meet(topicOf(6));
  const dialled = await office.node.dial(home.node.address, { timeoutMs: 10_000 });
  const accepted = await home.next();
  const ended = new Promise((resolve) => accepted.start({ ...ignore, onClose: resolve }));
  const ownEnd = new Promise((resolve) => dialled.start({ ...ignore, onClose: resolve }));
  dialled.destroy();
  await Promise.all([ended, ownEnd]);
  t.pass();
});

test('a key that nobody has, an aborted dial and a node that stopped: errors that say so', async (t) => {
  const [home] = [join(t)];
  const nobody = dhtAddressOf(new Uint8Array(32).fill(9));
  await t.throwsAsync(home.node.dial(nobody, { timeoutMs: 10_000 }), { code: 'PEER_UNREACHABLE' });
  const abort = new AbortController();
  const dial = home.node.dial(nobody, { timeoutMs: 10_000, signal: abort.signal });
  abort.abort();
  t.true(hasCode(await t.throwsAsync(dial), 'ABORTED'));
  await home.node.stop();
  await home.node.stop();
  await t.throwsAsync(home.node.dial(nobody, { timeoutMs: 1_000 }), { code: 'PEER_UNREACHABLE' });
  await t.throwsAsync(home.node.meet(topicOf(7)), { code: 'ABORTED' });
});

test('a DHT that is not there is said, and a stop does not wait for it', async (t) => {
  const node = new DhtNode({ bootstrap: ['127.0.0.1:1'], host: '127.0.0.1' });
  node.start(() => undefined);
  await t.throwsAsync(node.meet(topicOf(8)), { code: 'PEER_UNREACHABLE' });
  await node.stop();
});

test('addresses name a key and nothing else does', (t) => {
  const key = new Uint8Array(32).fill(0xab);
  t.deepEqual(dhtKeyOf(dhtAddressOf(key)), key);
  const hex = 'ab'.repeat(32);
  for (const other of ['10.0.0.1:80', `${hex}:1`, `${hex}00.dht:1`, `x${hex}.dht:1`, `${hex}.dht.example:1`])
    t.is(dhtKeyOf(other), null);
});
