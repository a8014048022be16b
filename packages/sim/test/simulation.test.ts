/** The loop: time, order, determinism, and how runs fail. */
import { hasCode, sleep } from '@diskswarm/core';
import test from 'ava';
import { createSimulation, type Simulation, SimulationFailure } from '../src/index.ts';

/** Three machines that write, talk, lose connections and power, for a while. */
async function busy(simulation: Simulation): Promise<string> {
  const hosts = ['a', 'b', 'c'].map((name) => simulation.host(name));
  await simulation.run(async () => {
    for (const host of hosts) {
      await host.transport.listen('0.0.0.0:7000', (connection) => {
        connection.start({
          onData: (bytes) => void connection.write([bytes.slice()]),
          onDrain: () => {},
          onClose: () => {},
        });
      });
    }
    for (let round = 0; round < 20; round++) {
      const [from, to] = [simulation.random.pick(hosts), simulation.random.pick(hosts)];
      const file = await from.storage.open(`file-${simulation.random.below(5)}`, 'create');
      await file.write(
        [simulation.random.bytes(simulation.random.between(1, 20_000))],
        simulation.random.below(10_000),
      );
      if (simulation.random.chance(0.5)) await file.sync();
      const dialled = from.transport.dial(`${to.name}:7000`, { timeoutMs: 500 });
      const connection = await dialled.catch(() => null);
      connection?.start({ onData: () => {}, onDrain: () => {}, onClose: () => {} });
      connection?.write([simulation.random.bytes(30_000)]);
      await sleep(simulation.clock, simulation.random.between(1, 5));
      const trouble = simulation.random.below(5);
      if (trouble === 0) simulation.random.pick(hosts).powerCut();
      if (trouble === 1) simulation.network.breakAnyConnection();
    }
  });
  return simulation.eventHash;
}

test('the same seed gives the same events, another seed others', async (t) => {
  const first = createSimulation(42);
  const second = createSimulation(42);
  t.is(await busy(first), await busy(second));
  t.deepEqual(first.trace, second.trace);
  t.true(first.eventCount > 200);
  t.not(await busy(createSimulation(43)), first.eventHash);
});

test('promise work is drained before time moves', async (t) => {
  const simulation = createSimulation(1);
  const seen: string[] = [];
  const { clock } = simulation;
  await simulation.run(async () => {
    clock.setTimer(10, () => seen.push(`ten at ${clock.nowUs()}`));
    clock.setTimer(5, () => {
      seen.push('five');
      void Promise.resolve()
        .then(() => seen.push('promise'))
        .then(() => process.nextTick(() => void Promise.resolve().then(() => seen.push('after the tick'))));
    });
    await sleep(clock, 20);
  });
  t.deepEqual(seen, ['five', 'promise', 'after the tick', 'ten at 10000']);
});

test('timers of one time run in their order; cancelled ones never', async (t) => {
  const simulation = createSimulation(1);
  const seen: number[] = [];
  for (let number = 0; number < 200; number++) {
    const timer = simulation.clock.setTimer((number * 7) % 10, () => seen.push(number));
    if (number % 3 === 0) timer.cancel();
  }
  await simulation.runFor(100);
  const expected = Array.from({ length: 200 }, (_, number) => number).filter((number) => number % 3 !== 0);
  t.deepEqual(
    seen,
    expected.sort((a, b) => ((a * 7) % 10) - ((b * 7) % 10) || a - b),
  );
  t.is(simulation.clock.nowUs(), 100_000);
});

test('runFor stops exactly then and leaves the rest', async (t) => {
  const simulation = createSimulation(1);
  let fired = false;
  simulation.clock.setTimer(50, () => {
    fired = true;
  });
  await simulation.runFor(49);
  t.false(fired);
  const wall = simulation.clock.wallMs();
  await simulation.runFor(1);
  t.true(fired);
  t.is(simulation.clock.wallMs(), wall + 1);
});

test('a failing scenario names its seed and shows the last events', async (t) => {
  const simulation = createSimulation(777);
  const cause = new Error('the disk lied');
  const failure = await t.throwsAsync(
    simulation.run(async () => {
      simulation.note('about to fail');
      throw cause;
    }),
    { instanceOf: SimulationFailure },
  );
  t.regex(failure.message, /seed 777: the disk lied .*--seed 777/);
  t.is(failure.cause, cause);
  t.deepEqual(failure.trace, ['0 about to fail']);
});

test('a scenario that waits for nothing is a failure, not a hang', async (t) => {
  await t.throwsAsync(
    createSimulation(1).run(() => new Promise(() => {})),
    { message: /nothing is left to happen/ },
  );
});

test('a scenario that goes on forever is ended', async (t) => {
  const forever = (simulation: Simulation) => async (): Promise<void> => {
    for (;;) await sleep(simulation.clock, 1);
  };
  const many = createSimulation(1);
  await t.throwsAsync(many.run(forever(many), { maxEvents: 50 }), { message: /after 50 events/ });
  const long = createSimulation(1);
  await t.throwsAsync(long.run(forever(long), { maxSimulatedMs: 50 }), { message: /after 50 simulated ms/ });
});

test('an assertion that fails in a callback fails the run', async (t) => {
  const simulation = createSimulation(5);
  simulation.clock.setTimer(1, () => {
    throw new RangeError('bad index');
  });
  await t.throwsAsync(
    simulation.run(() => sleep(simulation.clock, 10)),
    { message: /seed 5: bad index/ },
  );
});

test('a dead process does nothing more', async (t) => {
  const simulation = createSimulation(1);
  const host = simulation.host('home');
  const seen: string[] = [];
  await simulation.run(async () => {
    const { clock, storage } = host;
    clock.setTimer(10, () => seen.push('timer'));
    const file = await storage.open('f', 'create');
    void file.write([new Uint8Array(9)], 0).then(() => seen.push('write'));
    host.crash();
    void storage.stat('f').then(() => seen.push('stat'));
    t.throws(() => file.readSync(new Uint8Array(1), 0), { message: /dead/ });
    await sleep(simulation.clock, 100);
    t.is(host.incarnation, 1);
    t.not(await host.storage.stat('f'), null);
  });
  t.deepEqual(seen, []);
});

test('draws are uniform enough, and streams do not disturb each other', (t) => {
  const { random } = createSimulation(9);
  const counts = new Array<number>(10).fill(0);
  for (let draw = 0; draw < 10_000; draw++) counts[random.below(10)]!++;
  t.true(
    counts.every((count) => count > 850 && count < 1150),
    counts.join(),
  );
  t.deepEqual(random.fork('x').bytes(16), createSimulation(9).random.fork('x').bytes(16));
  t.notDeepEqual(random.fork('x').bytes(16), random.fork('y').bytes(16));
  t.is(random.bytes(7).length, 7);
  t.throws(() => random.below(0), { instanceOf: RangeError });
});

test('an abort ends a wait on simulated time', async (t) => {
  const simulation = createSimulation(1);
  const controller = new AbortController();
  simulation.clock.setTimer(3, () => controller.abort());
  const error = await simulation.run(() =>
    sleep(simulation.clock, 1000, { signal: controller.signal }).catch((reason: unknown) => reason),
  );
  t.true(hasCode(error, 'ABORTED'));
  t.is(simulation.clock.nowUs(), 3000);
});
