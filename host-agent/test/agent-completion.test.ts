/** Receipts and `pull`: nothing is promised that is not durable, nothing is tried again and again, and a failure is told. */
import { DiskswarmError, type GenerationId, PRIORITY } from '@diskswarm/core';
import { createSimulation, type Simulation } from '@diskswarm/sim';
import test, { type ExecutionContext } from 'ava';
import { ChangeSignal } from '../src/agent/change-signal.ts';
import { DiskCompletion, type DiskCompletionOptions } from '../src/agent/disk-completion.ts';

const never = { signal: new AbortController().signal };
const NONCE = new Uint8Array(16);
const id = (digit: string): GenerationId => digit.repeat(64) as GenerationId;

/** Everything around a completion that a test turns by hand. */
interface Around {
  readonly simulation: Simulation;
  readonly completion: DiskCompletion;
  readonly changed: ChangeSignal;
  readonly log: string[];
  head: GenerationId;
  view: {
    subject: { generation: GenerationId };
    complete: boolean;
    piecesTotal: number;
    leaves: number;
    has(piece?: number): boolean;
    missingIn(): Promise<{ piece: number }[]>;
  };
  doubted: boolean;
  wanted: boolean;
  /** In how many rounds of a move a piece changed. */
  changes: Map<number, number>;
  /** Pieces of the last trace. */
  trace: number[];
  /** What bringing a piece does. */
  bring: () => Promise<void>;
}

function scenario(title: string, seed: number, run: (t: ExecutionContext, around: Around) => Promise<void>): void {
  test(title, async (t) => {
    const simulation = createSimulation(seed);
    const { clock } = simulation.host('home');
    const log: string[] = [];
    const changed = new ChangeSignal();
    const viewOf = (generation: GenerationId, complete: boolean): Around['view'] => ({
      subject: { generation },
      complete,
      piecesTotal: 4,
      leaves: 1,
      has: () => false,
      missingIn: async () => [0, 1, 2, 3].map((piece) => ({ piece })),
    });
    const around: Partial<Around> = {
      simulation,
      changed,
      log,
      head: id('1'),
      view: viewOf(id('1'), false),
      doubted: false,
      wanted: false,
      changes: new Map(),
      trace: [],
      bring: async () => {},
    };
    const options = {
      env: {
        clock,
        store: { sync: async () => void log.push('sync') },
        log: { warn: (_fields: object, message: string) => void log.push(message) },
      },
      name: 'desk',
      records: {
        disk: 'd1',
        get head() {
          return { id: around.head };
        },
      },
      content: {
        get head() {
          return around.view;
        },
        get doubted() {
          return around.doubted;
        },
        wholeManifest: async () => {},
        history: { changesOf: (piece: number) => around.changes!.get(piece) ?? 0 },
      },
      chunks: {
        ensure: async (_view: unknown, piece: number, priority: number) => {
          log.push(`bring ${piece}${priority === PRIORITY.bulk ? '' : ' early'}`);
          await around.bring!();
        },
      },
      intake: { flush: async () => void log.push('flush') },
      receipts: {
        own: null,
        give: async (head: { id: string }) => {
          log.push(`receipt ${head.id[0]}`);
          return { kind: 'receipt' };
        },
      },
      changed,
      trace: () => around.trace!,
      sendAll: () => log.push('told'),
      isWanted: () => around.wanted,
    } as unknown as DiskCompletionOptions;
    const whole = Object.assign(around, { completion: new DiskCompletion(options) }) as Around;
    await simulation.run(() => run(t, whole));
  });
}

scenario(
  'a receipt is signed after the flush and the sync, for the generation that is complete',
  1,
  async (t, around) => {
    const { completion, log } = around;
    t.is(await completion.receiptFor(id('1'), NONCE), null);
    around.view.complete = true;
    t.is(await completion.receiptFor(id('2'), NONCE), null);
    t.deepEqual(log, []);
    t.like(await completion.receiptFor(id('1'), NONCE), { kind: 'receipt' });
    t.deepEqual(log, ['flush', 'sync', 'receipt 1']);
  },
);

scenario(
  'there is no receipt for a newer generation that is known but not looked at, nor while the store lost something',
  2,
  async (t, around) => {
    const { completion, log } = around;
    around.view.complete = true;
    around.head = id('2');
    t.is(await completion.receiptFor(id('2'), NONCE), null);
    await completion.check();
    around.head = id('1');
    around.doubted = true;
    t.is(await completion.receiptFor(id('1'), NONCE), null);
    await completion.check();
    t.deepEqual(log, []);
    around.doubted = false;
    await completion.check();
    t.deepEqual(log, ['flush', 'sync', 'receipt 1', 'told']);
  },
);

scenario('a pull ends when all is here, durable', 3, async (t, around) => {
  around.bring = async () => {
    around.view.complete = true;
  };
  await around.completion.complete(never);
  t.deepEqual(around.log.slice(0, 4).sort(), ['bring 0', 'bring 1', 'bring 2', 'bring 3']);
  t.is(around.log.at(-1), 'sync');
});

scenario('a pull on a full disk fails with what to do, instead of fetching for ever', 4, async (t, around) => {
  around.bring = async () => {
    throw new DiskswarmError('DISK_FULL', 'store/packs/1: ENOSPC');
  };
  const error = await t.throwsAsync(around.completion.complete(never), { instanceOf: DiskswarmError });
  t.is(error?.code, 'DISK_FULL');
  t.regex(error?.message ?? '', /"desk".*Free space/);
  t.true(around.log.length < 10, around.log.join('\n'));
});

scenario('a disk that is wanted is tried again after pauses', 5, async (t, around) => {
  around.wanted = true;
  let failures = 3;
  around.bring = async () => {
    if (failures-- > 0) throw new DiskswarmError('DISK_FULL', 'store/packs/1: ENOSPC');
    around.view.complete = true;
  };
  around.completion.update();
  const startUs = around.simulation.clock.nowUs();
  await around.changed.until(() => around.view.complete, never);
  t.true(around.simulation.clock.nowUs() - startUs >= 5_000_000);
  t.true(around.log.filter((line) => /stopped/.test(line)).length >= 1);
  around.completion.stop();
});

scenario(
  'pieces that changed in several rounds of a move come last, the hottest at the very end, also where a boot would want them first',
  6,
  async (t, around) => {
    const { completion, log } = around;
    around.trace = [1, 3];
    around.changes = new Map([
      [0, 5],
      [1, 2],
      [2, 1],
    ]);
    around.wanted = true;
    const present = new Set<number>();
    around.view.has = (piece) => present.has(piece!);
    around.view.missingIn = async () => [0, 1, 2, 3].filter((piece) => !present.has(piece)).map((piece) => ({ piece }));
    around.bring = async () => {
      for (const line of log.filter((told) => told.startsWith('bring'))) present.add(Number(line.split(' ')[1]));
      around.view.complete = present.size === 4;
    };
    completion.update();
    await around.changed.until(() => around.view.complete, never);
    t.deepEqual(
      log.filter((line) => line.startsWith('bring')),
      ['bring 3 early', 'bring 2', 'bring 1', 'bring 0'],
    );
    completion.stop();
  },
);

scenario(
  'what a guest stands still for is asked for as its faults are, also where it is on its way',
  7,
  async (t, around) => {
    const { completion, log } = around;
    around.wanted = true;
    const asked = Promise.withResolvers<void>();
    around.bring = async () => {
      if (log.filter((line) => line.endsWith(' early')).length === 4) asked.resolve();
      await asked.promise;
      around.view.complete = true;
    };
    completion.update();
    await completion.complete({ ...never, urgent: true });
    const early = log.filter((line) => line.endsWith(' early'));
    t.deepEqual(early.sort(), ['bring 0 early', 'bring 1 early', 'bring 2 early', 'bring 3 early']);
  },
);
