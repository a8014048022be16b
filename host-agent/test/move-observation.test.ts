/** What is known of a machine before it moves: two agents on a simulated network, and a machine without a QEMU. */
import { createSimulation, withSimulatedGlobals } from '@diskswarm/sim';
import test, { type ExecutionContext } from 'ava';
import type { MigrationPort } from '../src/agent/agent-options.ts';

const MIB = 1024 * 1024;

type Support = typeof import('./support/agent.ts');

/** Two agents that share a disk whose pieces are all different, the first tenth of them zero. */
async function withTwo(
  run: (hosts: Record<'home' | 'office', InstanceType<Support['OneHost']>>, support: Support) => Promise<void>,
): Promise<void> {
  const simulation = createSimulation(7);
  await withSimulatedGlobals(simulation, async () => {
    const support = await import('./support/agent.ts');
    await simulation.run(async () => {
      const [home, office] = [new support.OneHost(simulation), new support.OneHost(simulation, 'office')];
      await home.agent.start();
      await office.agent.start();
      await home.import((piece) => (piece < support.PIECES / 10 ? 0 : 1 + (piece % 200)));
      const joined = await office.join();
      await joined.changed.until(() => joined.content.head !== null, support.never);
      await run({ home, office }, support);
      await office.agent.stop();
      await home.agent.stop();
    });
  });
}

const WISHES = {
  diskMode: 'hybrid',
  maxDowntimeMs: 300,
  bytesPerSecond: null,
  compress: true,
  throttle: 'off',
  autoConverge: false,
} as const;

async function observer(home: InstanceType<Support['OneHost']>, office: InstanceType<Support['OneHost']>, report = '') {
  const { LinkRates, observeMove } = await import('../src/migration/move-observation.ts');
  const rates = new LinkRates(home.agent);
  const vm = {
    disks: () => [home.disk],
    process: null,
    record: { definition: { memoryBytes: 128 * MIB }, report },
  };
  return (wishes: object = {}) =>
    observeMove({ agent: home.agent, vm: vm as never, to: office.records.office.hostId, rates }, {
      ...WISHES,
      ...wishes,
    } as typeof WISHES);
}

/** Lets `office` answer probes, as the migrations of an agent do. */
async function answering(office: InstanceType<Support['OneHost']>, answers = true): Promise<void> {
  const { answerProbe } = await import('../src/migration/rate-probe.ts');
  const { clock } = office.agent.env;
  const port: Pick<MigrationPort, 'onStream'> = {
    onStream: (stream) => (answers && stream.label === 'rate-probe' ? answerProbe(stream, clock) : null),
  };
  office.agent.migrations = port as MigrationPort;
}

function near(t: ExecutionContext, actual: number | null, expected: number, factor = 1.3): void {
  t.true(actual !== null && actual > expected / factor && actual < expected * factor, `${actual}, not ${expected}`);
}

test('what the destination lacks, what the guest wrote, and how fast the link is', async (t) => {
  await withTwo(async ({ home, office }, { PIECE_BYTES, PIECES, never }) => {
    await answering(office);
    home.agent.env.swarm.setLimits({ uploadBytesPerSecond: 2 * MIB });
    await home.attach();
    const observe = await observer(home, office);
    const first = await observe();
    const dataBytes = 0.9 * PIECES * PIECE_BYTES;
    t.like(first, { diskBytesMissing: dataBytes });
    t.like(first.observation, {
      ...{ diskBytesOnlyHere: dataBytes, diskBytesElsewhere: 0, diskSizeBytes: PIECES * PIECE_BYTES },
      ...{
        memoryBytes: 128 * MIB,
        memoryDirtyRate: null,
        diskDirtyRate: 0,
        chunkSizeBytes: PIECE_BYTES,
        missingInUse: null,
      },
    });
    near(t, first.observation.linkRate, 2 * MIB);

    await office.disk.completion.complete(never);
    for (let piece = 0; piece < 10; piece++) await home.write(piece, 0xaa);
    await home.read(50);
    const { sleep } = await import('@diskswarm/core');
    await sleep(home.machine.clock, 5_000);
    const later = (await observe()).observation;
    t.is(later.diskBytesOnlyHere, 10 * 4096, 'nothing but what was written');
    t.true(later.diskDirtyRate > 0 && later.diskDirtyRate <= 10 * 4096, String(later.diskDirtyRate));
    t.is(later.missingInUse, 0);
    t.is(later.linkRate, first.observation.linkRate, 'no other probe within a minute');
    t.is((await observe({ bytesPerSecond: 100_000 })).observation.linkRate, 100_000, 'the limit is the link');
  });
});

test('a host that answers no probe: the rate is unknown, and a limit stands for it', async (t) => {
  await withTwo(async ({ home, office }) => {
    await answering(office, false);
    const observe = await observer(home, office);
    t.is((await observe()).observation.linkRate, null);
    t.is((await observe({ bytesPerSecond: 5 * MIB })).observation.linkRate, 5 * MIB);
  });
});

test('how much of the memory travels is learned from the last move with the same compression', async (t) => {
  await withTwo(async ({ home, office }) => {
    await answering(office);
    const ratio = async (report: string, compress: boolean): Promise<number> =>
      (await (await observer(home, office, report))({ compress })).observation.memoryRatio;
    const report = JSON.stringify({ result: 'done', compress: true, memoryRatio: 0.21 });
    t.is(await ratio(report, true), 0.21);
    t.is(await ratio(report, false), 1);
    for (const odd of ['', '{', '"x"', 'null', JSON.stringify({ compress: true, memoryRatio: -1 })])
      t.is(await ratio(odd, true), 0.3, odd);
  });
});
