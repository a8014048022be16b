/** The simulated network: order, rates, back-pressure, ends of connections, and everything that cuts them. */
import { type Address, type Connection, hasCode, sleep } from '@diskswarm/core';
import test from 'ava';
import { createSimulation, type SimHost, type Simulation } from '../src/index.ts';

/** What one end saw. */
class End {
  readonly connection: Connection;
  readonly chunks: Uint8Array[] = [];
  drains = 0;
  closed: 'open' | 'orderly' | 'error' = 'open';
  #onChange: () => void = () => {};

  constructor(connection: Connection) {
    this.connection = connection;
  }

  start(): this {
    this.connection.start({
      onData: (bytes) => this.#note(() => this.chunks.push(bytes.slice())),
      onDrain: () => this.#note(() => this.drains++),
      onClose: (error) =>
        this.#note(() => {
          if (this.closed !== 'open') throw new Error('closed twice');
          this.closed = error === undefined ? 'orderly' : 'error';
        }),
    });
    return this;
  }

  get received(): Buffer {
    return Buffer.concat(this.chunks);
  }

  until(condition: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      this.#onChange = () => condition() && resolve();
      this.#onChange();
    });
  }

  #note(change: () => void): void {
    change();
    this.#onChange();
  }
}

async function pair(simulation: Simulation, a = 'a', b = 'b'): Promise<{ near: End; far: End }> {
  const [from, to] = [simulation.host(a), simulation.host(b)];
  const accepted = Promise.withResolvers<Connection>();
  const { address } = await to.transport.listen('0.0.0.0:0', accepted.resolve);
  const near = await from.transport.dial(address, { timeoutMs: 10_000 });
  return { near: new End(near).start(), far: new End(await accepted.promise).start() };
}

function scenario(run: (simulation: Simulation) => Promise<void>, seed = 1): Promise<void> {
  const simulation = createSimulation(seed);
  return simulation.run(() => run(simulation));
}

const dialCode = (host: SimHost, address: Address, timeoutMs = 1000): Promise<string> =>
  host.transport.dial(address, { timeoutMs }).then(
    () => 'connected',
    (error) => (error as { code: string }).code,
  );

test('both ends share a binding, know their side and each other', async (t) => {
  await scenario(async (simulation) => {
    const { near, far } = await pair(simulation);
    t.true(near.connection.initiator && !far.connection.initiator);
    t.deepEqual(near.connection.binding, far.connection.binding);
    t.is(near.connection.binding.length, 32);
    t.true(near.connection.remoteAddress.startsWith(`${simulation.network.addressOf('b')}:`));
    t.true(far.connection.remoteAddress.startsWith(`${simulation.network.addressOf('a')}:`));
    t.notDeepEqual((await pair(simulation)).near.connection.binding, near.connection.binding);
  });
});

test('bytes arrive whole and in order, however they were cut', async (t) => {
  await scenario(async (simulation) => {
    const { near, far } = await pair(simulation);
    const sent = simulation.random.bytes(300_000);
    for (let at = 0; at < sent.length; ) {
      const length = simulation.random.between(1, 40_000);
      near.connection.write([sent.subarray(at, at + 10), sent.subarray(at + 10, at + length)]);
      at += length;
    }
    near.connection.close();
    await far.until(() => far.closed !== 'open');
    t.deepEqual(far.received, Buffer.from(sent));
    t.is(far.closed, 'orderly');
    await near.until(() => near.closed !== 'open');
    t.is(near.closed, 'orderly');
  });
});

test('connections overtake each other, segments of one never do', async (t) => {
  await scenario(async (simulation) => {
    simulation.host('a');
    simulation.host('b');
    simulation.network.setLink('a', 'b', { delayMs: 5, jitterMs: 20 });
    const order: number[] = [];
    for (let number = 0; number < 10; number++) {
      const { near, far } = await pair(simulation);
      void far.until(() => far.received.length === 2).then(() => order.push(number));
      simulation.clock.setTimer(1000 - simulation.clock.nowUs() / 1000, () => {
        near.connection.write([Uint8Array.of(1)]);
        near.connection.write([Uint8Array.of(2)]);
      });
      simulation.clock.setTimer(1900 - simulation.clock.nowUs() / 1000, () =>
        t.deepEqual(far.received, Buffer.of(1, 2)),
      );
    }
    await sleep(simulation.clock, 2000);
    t.is(order.length, 10);
    t.notDeepEqual(order, [...order].sort());
  });
});

test('an uplink and a downlink take their time, whichever is slower', async (t) => {
  for (const rates of [
    { up: 1_000_000, down: undefined },
    { up: undefined, down: 1_000_000 },
    { up: 4_000_000, down: 1_000_000 },
  ]) {
    await scenario(async (simulation) => {
      const { near, far } = await pair(simulation);
      if (rates.up !== undefined) simulation.network.setRates('a', { upBytesPerSecond: rates.up });
      if (rates.down !== undefined) simulation.network.setRates('b', { downBytesPerSecond: rates.down });
      const start = simulation.clock.nowUs();
      near.connection.write([new Uint8Array(2_000_000)]);
      await far.until(() => far.received.length === 2_000_000);
      const seconds = (simulation.clock.nowUs() - start) / 1e6;
      t.true(seconds > 1.95 && seconds < 2.1, `${seconds} s`);
    });
  }
});

test('two connections share an uplink fairly', async (t) => {
  await scenario(async (simulation) => {
    const [first, second] = [await pair(simulation), await pair(simulation)];
    simulation.network.setRates('a', { upBytesPerSecond: 1_000_000 });
    first.near.connection.write([new Uint8Array(4_000_000)]);
    second.near.connection.write([new Uint8Array(500_000)]);
    await second.far.until(() => second.far.received.length === 500_000);
    t.true(first.far.received.length > 400_000 && first.far.received.length < 600_000, `${first.far.received.length}`);
  });
});

test('a paused reader stops the writer, and resuming lets it go on', async (t) => {
  await scenario(async (simulation) => {
    const { near, far } = await pair(simulation);
    far.connection.pause();
    let accepted = 0;
    while (near.connection.write([new Uint8Array(65_536)])) accepted += 65_536;
    await sleep(simulation.clock, 1000);
    t.is(far.received.length, 0);
    t.true(near.connection.queuedBytes > 65_536);
    t.true(accepted < 2_000_000);
    t.is(near.drains, 0);
    far.connection.resume();
    await near.until(() => near.drains === 1);
    t.true(near.connection.queuedBytes <= 16_384);
    await far.until(() => far.received.length === accepted + 65_536);
  });
});

test('the view given to onData is gone after the call', async (t) => {
  await scenario(async (simulation) => {
    const accepted = Promise.withResolvers<Connection>();
    const { address } = await simulation.host('b').transport.listen('b:0', accepted.resolve);
    const near = await simulation.host('a').transport.dial(address, { timeoutMs: 100 });
    const seen = Promise.withResolvers<Uint8Array>();
    (await accepted.promise).start({ onData: seen.resolve, onDrain: () => {}, onClose: () => {} });
    near.write([Uint8Array.of(1, 2, 3)]);
    t.deepEqual([...(await seen.promise)], [0xdd, 0xdd, 0xdd]);
  });
});

test('destroy drops what is queued and the peer sees an error', async (t) => {
  await scenario(async (simulation) => {
    const { near, far } = await pair(simulation);
    simulation.network.setRates('a', { upBytesPerSecond: 1_000_000 });
    near.connection.write([new Uint8Array(1_000_000)]);
    near.connection.destroy(new Error('enough'));
    await near.until(() => near.closed === 'error');
    await far.until(() => far.closed === 'error');
    t.true(far.received.length < 100_000);
    t.is(near.connection.queuedBytes, 0);
  });
});

test('what was written before close arrives even when both ends close', async (t) => {
  await scenario(async (simulation) => {
    const { near, far } = await pair(simulation);
    near.connection.write([new Uint8Array(200_000)]);
    far.connection.write([new Uint8Array(1000)]);
    near.connection.close();
    far.connection.close();
    await near.until(() => near.closed === 'orderly');
    await far.until(() => far.closed === 'orderly');
    t.is(near.received.length, 1000);
    t.is(far.received.length, 200_000);
  });
});

test('dials fail with a code: nobody there, nobody listening, too slow, given up', async (t) => {
  await scenario(async (simulation) => {
    const [a, b] = [simulation.host('a'), simulation.host('b')];
    t.is(await dialCode(a, 'nowhere:1'), 'PEER_UNREACHABLE');
    t.is(await dialCode(a, 'b:1'), 'PEER_UNREACHABLE');
    const { address, close } = await b.transport.listen('b:7', () => {});
    t.is(await dialCode(a, 'b:7'), 'connected');
    t.is(await dialCode(a, address), 'connected');
    t.true(hasCode(await t.throwsAsync(b.transport.listen('b:7', () => {})), 'INVALID_ARGUMENT'));
    simulation.network.setLink('a', 'b', { delayMs: 200 });
    t.is(await dialCode(a, address, 500), 'PEER_UNREACHABLE');
    const controller = new AbortController();
    simulation.clock.setTimer(10, () => controller.abort());
    const dial = a.transport.dial(address, { timeoutMs: 5000, signal: controller.signal });
    t.true(hasCode(await t.throwsAsync(dial), 'ABORTED'));
    t.true(
      hasCode(
        await t.throwsAsync(a.transport.dial(address, { timeoutMs: 5000, signal: controller.signal })),
        'ABORTED',
      ),
    );
    await close();
    t.is(await dialCode(a, address, 5000), 'PEER_UNREACHABLE');
  });
});

test('a partition holds everything back and loses nothing', async (t) => {
  await scenario(async (simulation) => {
    const { near, far } = await pair(simulation);
    simulation.network.partition('a', 'b');
    t.true(simulation.network.isPartitioned('b', 'a'));
    near.connection.write([Uint8Array.of(7)]);
    t.is(await dialCode(simulation.host('a'), 'b:49152', 5000), 'PEER_UNREACHABLE');
    t.is(far.received.length, 0);
    t.is(far.closed, 'open');
    const other = await pair(simulation, 'a', 'c');
    other.near.connection.write([Uint8Array.of(8)]);
    await other.far.until(() => other.far.received.length === 1);
    simulation.network.heal('a', 'b');
    await far.until(() => far.received.length === 1);
    t.is(far.received[0], 7);
  });
});

test('broken connections tell both ends, and only theirs', async (t) => {
  await scenario(async (simulation) => {
    const [ab, ac] = [await pair(simulation), await pair(simulation, 'a', 'c')];
    t.is(simulation.network.connectionCount, 2);
    simulation.network.breakConnections('b', 'a');
    await ab.near.until(() => ab.near.closed === 'error');
    await ab.far.until(() => ab.far.closed === 'error');
    t.is(ac.near.closed, 'open');
    t.true(simulation.network.breakAnyConnection());
    await ac.far.until(() => ac.far.closed === 'error');
    t.false(simulation.network.breakAnyConnection());
  });
});

test('a crashed peer is noticed soon; one without power when its machine answers, or much later', async (t) => {
  for (let seed = 0; seed < 8; seed++) {
    await scenario(async (simulation) => {
      const { near, far } = await pair(simulation);
      simulation.host('b').crash();
      await near.until(() => near.closed !== 'open');
      t.true(simulation.clock.nowUs() < 1e6);
      t.is(far.closed, 'open');
      t.is(await dialCode(simulation.host('a'), near.connection.remoteAddress), 'PEER_UNREACHABLE');
    }, seed);
  }
  await scenario(async (simulation) => {
    const { near } = await pair(simulation);
    simulation.host('b').powerCut();
    await sleep(simulation.clock, 5000);
    t.is(near.closed, 'open');
    near.connection.write([Uint8Array.of(1)]);
    await near.until(() => near.closed === 'error');
    t.true(simulation.clock.nowUs() < 6e6);
  });
  await scenario(async (simulation) => {
    const { near } = await pair(simulation);
    simulation.host('b').powerCut();
    await near.until(() => near.closed === 'error');
    t.true(simulation.clock.nowUs() > 50e6);
  });
});

test('a connection that ended before it was started says so when it is', async (t) => {
  await scenario(async (simulation) => {
    const accepted = Promise.withResolvers<Connection>();
    const { address } = await simulation.host('b').transport.listen('b:0', accepted.resolve);
    const near = new End(await simulation.host('a').transport.dial(address, { timeoutMs: 100 }));
    const far = new End(await accepted.promise).start();
    far.connection.destroy();
    await sleep(simulation.clock, 100);
    near.start();
    await near.until(() => near.closed === 'error');
    t.is(near.connection.write([Uint8Array.of(1)]), true);
  });
});
