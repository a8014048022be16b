/** Hosts that meet through another one: who is joined, who is refused, what passes, and that the host between reads nothing. */
import { type Address, type Connection, type ConnectionHandlers, type HostId, hasCode, toHex } from '@diskswarm/core';
import { createHostKeys } from '@diskswarm/identity';
import test from 'ava';
import { relayAddressOf } from '../src/index.ts';
import { Relay } from '../src/relay/relay.ts';
import { relayedHostOf } from '../src/relay/relay-address.ts';
import { RelayTransport } from '../src/transport/index.ts';
import { type MemoryStream, MemoryWorld } from './helpers/memory-streams.ts';
import { TestRandom } from './helpers/test-clock.ts';

const host = (seed: number): HostId => createHostKeys(new TestRandom(seed)).hostId;
const [home, office, between, other] = [host(1), host(2), host(3), host(4)];
const ignore: ConnectionHandlers = { onData: () => undefined, onDrain: () => undefined, onClose: () => undefined };

/** A host with a relay of its own; `accepted` are connections that others made to it. */
function join(world: MemoryWorld, self: HostId): { transport: RelayTransport; accepted: Connection[] } {
  const transport = new RelayTransport();
  const accepted: Connection[] = [];
  transport.attach(world.view(self));
  transport.start((connection) => accepted.push(connection));
  world.acceptors.set(self, (stream) => (transport.owns(stream.label) ? transport.onStream(stream) : null));
  world.members.add(self);
  return { transport, accepted };
}

function three(): MemoryWorld & { hosts: Record<'home' | 'office' | 'between', ReturnType<typeof join>> } {
  const world = new MemoryWorld();
  world.connect(home, between);
  world.connect(office, between);
  const hosts = { home: join(world, home), office: join(world, office), between: join(world, between) };
  return Object.assign(world, { hosts });
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise(setImmediate);
}

test('two hosts share a binding that the host between does not have, and everything arrives in order', async (t) => {
  const world = three();
  const dialled = await world.hosts.home.transport.dial(relayAddressOf(office), { timeoutMs: 10_000 });
  await until(() => world.hosts.office.accepted.length === 1);
  const accepted = world.hosts.office.accepted[0]!;
  t.is(toHex(dialled.binding), toHex(accepted.binding));
  t.deepEqual(
    [dialled.initiator, dialled.remoteAddress, accepted.initiator, accepted.remoteAddress],
    [true, relayAddressOf(office), false, relayAddressOf(home)],
  );
  const total = 3_000_000;
  let received = 0;
  let wrong = 0;
  const ended = new Promise<Error | undefined>((resolve) =>
    accepted.start({
      ...ignore,
      onData: (bytes) => {
        for (const byte of bytes) if (byte !== received++ % 249) wrong += 1;
      },
      onClose: resolve,
    }),
  );
  dialled.start(ignore);
  dialled.write([Uint8Array.from({ length: total }, (_, index) => index % 249)]);
  dialled.close();
  t.is(await ended, undefined);
  t.deepEqual([received, wrong], [total, 0]);
  t.is(world.hosts.between.accepted.length, 0);
  await until(() => world.opened.every(({ stream }) => stream.over));
});

test('a slow reader holds the sender up through the host between, where little waits', async (t) => {
  const world = three();
  const dialled = await world.hosts.home.transport.dial(relayAddressOf(office), { timeoutMs: 10_000 });
  await until(() => world.hosts.office.accepted.length === 1);
  const accepted = world.hosts.office.accepted[0]!;
  let received = 0;
  accepted.start({
    ...ignore,
    onData: (bytes) => {
      received += bytes.length;
      accepted.pause();
    },
  });
  dialled.start(ignore);
  dialled.write([new Uint8Array(8 * 1024 * 1024)]);
  await until(() => received > 0);
  for (let turn = 0; turn < 2_000; turn += 1) await new Promise(setImmediate);
  const sent = world.opened.find(({ from }) => from === home)!.stream.sentBytes;
  t.true(sent < 1024 * 1024, `${sent} bytes left for a reader that took ${received}`);
  for (const end of [dialled, accepted]) end.destroy();
});

test('an end that is cut is cut at the other side too', async (t) => {
  const world = three();
  const dialled = await world.hosts.home.transport.dial(relayAddressOf(office), { timeoutMs: 10_000 });
  await until(() => world.hosts.office.accepted.length === 1);
  const closed = new Promise((resolve) => world.hosts.office.accepted[0]!.start({ ...ignore, onClose: resolve }));
  dialled.start(ignore);
  dialled.destroy();
  await closed;
  await until(() => world.opened.every(({ stream }) => stream.over));
  t.pass();
});

/** What the relay at `between` does with a stream that `from` opens. */
function judged(world: MemoryWorld, label: string, from = home): Promise<'joined' | 'refused'> {
  return new Promise((resolve) => {
    const before = world.opened.length;
    const end = { onData: () => undefined, onDrain: () => undefined, onEnd: () => undefined };
    world.open(from, between, label, () => ({ ...end, onClose: () => resolve('refused') }));
    setImmediate(() => setImmediate(() => world.opened.length > before + 1 && resolve('joined')));
  });
}

test('joined are members of one roster, both connected directly, and nobody else', async (t) => {
  const world = three();
  await world.hosts.home.transport.dial(relayAddressOf(office), { timeoutMs: 10_000 });
  const label = world.opened[0]!.label;
  const labelTo = async (wanted: HostId): Promise<string> => {
    const probe = new MemoryWorld();
    probe.connect(home, between);
    for (const each of [home, between, wanted]) probe.members.add(each);
    const { transport } = join(probe, home);
    await transport.dial(relayAddressOf(wanted), { timeoutMs: 50 }).catch(() => undefined);
    return probe.opened[0]!.label;
  };
  t.is(await judged(world, label), 'joined');
  t.is(await judged(world, await labelTo(other)), 'refused', 'not connected');
  world.connect(other, between);
  t.is(await judged(world, await labelTo(other)), 'refused', 'in no roster');
  join(world, other);
  t.is(await judged(world, await labelTo(other)), 'joined');
  t.is(await judged(world, await labelTo(home)), 'refused', 'to itself');
  world.members.delete(home);
  t.is(await judged(world, label), 'refused', 'revoked');
  world.members.add(home);
  world.connect(office, between, relayAddressOf(office));
  t.is(await judged(world, label), 'refused', 'a chain');
  world.connect(office, between);
  world.connect(home, between, relayAddressOf(home));
  t.is(await judged(world, label), 'refused', 'for one that is itself relayed');
  for (const garbage of ['relay-to/', 'relay-to/????', `${label}A`, 'relay-from/', 'relay-from/AAAA'])
    t.is(await judged(world, garbage), 'refused', garbage);
});

test('a bounded number of connections go through a host; one that ends makes room', async (t) => {
  const world = three();
  await world.hosts.home.transport.dial(relayAddressOf(office), { timeoutMs: 10_000 });
  const { label } = world.opened[0]!;
  // The end at office leaves them open: they are counted where they pass.
  world.acceptors.set(office, () => ({
    onData: () => undefined,
    onDrain: () => undefined,
    onEnd: () => undefined,
    onClose: () => undefined,
  }));
  let joined = 1;
  while ((await judged(world, label)) === 'joined') joined += 1;
  t.is(joined, 48);
  const mine = world.opened.filter(({ from, stream }) => from === home && !stream.over);
  (mine[5]!.stream as MemoryStream).destroy();
  t.is(await judged(world, label), 'joined');
  t.is(await judged(world, label), 'refused');
});

test('no way, a refused way, a wait in vain and a dial that is given up say so', async (t) => {
  const alone = new MemoryWorld();
  const { transport } = join(alone, home);
  await t.throwsAsync(transport.dial(relayAddressOf(office), { timeoutMs: 1_000 }), {
    code: 'PEER_UNREACHABLE',
    message: /no host is connected/,
  });
  const world = three();
  world.acceptors.set(between, () => null);
  const dial = (options: { timeoutMs: number; signal?: AbortSignal }): Promise<Connection> =>
    world.hosts.home.transport.dial(relayAddressOf(office), options);
  await t.throwsAsync(dial({ timeoutMs: 1_000 }), { code: 'PEER_UNREACHABLE' });
  world.acceptors.set(between, () => ({
    onData: () => undefined,
    onDrain: () => undefined,
    onEnd: () => undefined,
    onClose: () => undefined,
  }));
  await t.throwsAsync(dial({ timeoutMs: 50 }), { code: 'PEER_UNREACHABLE' });
  const abort = new AbortController();
  const given = dial({ timeoutMs: 10_000, signal: abort.signal });
  abort.abort();
  t.true(hasCode(await t.throwsAsync(given), 'ABORTED'));
  t.true(world.opened.every(({ stream }) => stream.over));
});

test('the nearest host between is asked first, another one when it refuses', async (t) => {
  const world = three();
  const second = host(5);
  world.connect(home, second);
  world.connect(office, second);
  const far = join(world, second);
  const ways = new Relay(world.view(home), () => null).waysTo(office);
  t.deepEqual(new Set(ways), new Set([between, second]));
  world.acceptors.set(ways[0]!, () => null);
  const dialled = await world.hosts.home.transport.dial(relayAddressOf(office), { timeoutMs: 10_000 });
  t.is(dialled.remoteAddress, relayAddressOf(office));
  t.is(far.accepted.length, 0);
  dialled.destroy();
});

test('before it has sessions, and after it stopped, it refuses', async (t) => {
  const transport = new RelayTransport();
  await t.throwsAsync(transport.dial(relayAddressOf(office), { timeoutMs: 100 }), { code: 'PEER_UNREACHABLE' });
  const world = three();
  world.hosts.office.transport.stop();
  world.hosts.office.transport.stop();
  await t.throwsAsync(world.hosts.home.transport.dial(relayAddressOf(office), { timeoutMs: 5_000 }), {
    code: 'PEER_UNREACHABLE',
  });
});

test('addresses name a host and nothing else does', (t) => {
  t.is(relayedHostOf(relayAddressOf(home)), home);
  const wrong = (home.startsWith('0') ? '1' : '0') + home.slice(1);
  for (const text of [
    '10.0.0.1:80',
    `${home}:1`,
    `${wrong}.relay:1`,
    `${home}.relay.example:1`,
    '.relay:1',
  ] as Address[])
    t.is(text === '.relay:1' ? relayedHostOf('x.relay:1') : relayedHostOf(text), null, text);
});
