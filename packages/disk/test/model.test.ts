/**
 * Random histories of a disk held against a model: reads and writes of any shape, discards, flushes, seals with writes in the
 * middle, deaths of the process and power cuts in any step, full disks. A failure prints the history that repeats it.
 */

import { hasCode } from '@diskswarm/core';
import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import { randomFrom } from './support/memory-storage.ts';
import { ModelDisk } from './support/model.ts';
import { noise, TestDisk } from './support/test-disk.ts';

const SIZE = 20 * 16384 + 5 * 512;
const SECTOR = 512;

type Command =
  | {
      readonly do: 'write';
      readonly at: number;
      readonly length: number;
      readonly seed: number;
      readonly wait: boolean;
    }
  | { readonly do: 'trim' | 'zero' | 'allocate'; readonly at: number; readonly length: number }
  | { readonly do: 'read'; readonly at: number; readonly length: number }
  | { readonly do: 'flush' | 'seal' | 'freeze' | 'reopen' | 'settle' }
  | {
      readonly do: 'crash' | 'cut';
      readonly during: 'nothing' | 'flush' | 'seal' | 'drop' | 'open';
      readonly turns: number;
    }
  | { readonly do: 'absent'; readonly piece: number };

const place = fc.oneof(
  fc.nat(Math.floor(SIZE / 4096)).map((block) => block * 4096),
  fc.nat(SIZE / SECTOR - 1).map((sector) => sector * SECTOR),
  fc.nat(SIZE - 1),
);
const length = fc.oneof(fc.constantFrom(1, 512, 4096, 4096, 8192, 16384, 40000), fc.integer({ min: 1, max: 12000 }));
const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({
      do: fc.constant('write' as const),
      at: place,
      length,
      seed: fc.nat(1000),
      wait: fc.boolean(),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constantFrom('trim' as const, 'zero' as const, 'allocate' as const),
      at: place,
      length,
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('read' as const), at: place, length }) },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constantFrom(
        'flush' as const,
        'flush' as const,
        'seal' as const,
        'freeze' as const,
        'reopen' as const,
        'settle' as const,
      ),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constantFrom('crash' as const, 'cut' as const, 'cut' as const),
      during: fc.constantFrom('nothing' as const, 'flush' as const, 'seal' as const, 'drop' as const, 'open' as const),
      turns: fc.nat(60),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('absent' as const), piece: fc.nat(19) }) },
);

class Run {
  readonly model: ModelDisk;
  readonly disk: TestDisk;
  readonly random: (limit: number) => number;
  /** Operations that wait; settled ones remove themselves. */
  readonly waiting = new Set<Promise<unknown>>();
  #life = 0;

  constructor(disk: TestDisk, content: Uint8Array, seed: number) {
    this.disk = disk;
    this.model = new ModelDisk(content);
    this.random = randomFrom(seed);
  }

  async apply(command: Command): Promise<void> {
    const { disk, model } = this;
    switch (command.do) {
      case 'write': {
        const data = noise(Math.min(command.length, SIZE - command.at), command.seed);
        this.#started(model.write(command.at, data), disk.view.write(command.at, data), command.wait);
        if (command.wait) await this.settle();
        return;
      }
      case 'trim': {
        const end = Math.min(SIZE, command.at + command.length);
        const from = Math.ceil(command.at / 4096) * 4096;
        const to = end === SIZE ? SIZE : Math.floor(end / 4096) * 4096;
        const done = model.write(from, new Uint8Array(Math.max(0, to - from)));
        this.#started(done, disk.view.trim(command.at, end - command.at), false);
        return;
      }
      case 'zero':
      case 'allocate': {
        const count = Math.min(command.length, SIZE - command.at);
        const done = model.write(command.at, new Uint8Array(count));
        this.#started(
          done,
          disk.view.writeZeroes(command.at, count, { keepAllocated: command.do === 'allocate' }),
          false,
        );
        return;
      }
      case 'read':
        return this.check(command.at, Math.min(command.length, SIZE - command.at));
      case 'flush': {
        const done = model.beginFlush();
        await disk.view.flush();
        done();
        return;
      }
      case 'freeze':
        await disk.overlay.freeze();
        return;
      case 'seal':
        await this.#sealWhileWriting();
        return;
      case 'settle':
        return this.settle();
      case 'absent':
        disk.base.absent.add(command.piece);
        return;
      case 'reopen': {
        await this.settle();
        await disk.overlay.close();
        await disk.pieces.close();
        await disk.attach();
        return;
      }
      case 'crash':
      case 'cut':
        await this.#die(command.do, command.during, command.turns);
    }
  }

  /** Waits for everything under way. */
  async settle(): Promise<void> {
    while (this.waiting.size > 0) await Promise.all(this.waiting);
  }

  async check(at: number, length: number): Promise<void> {
    const from = Math.floor(at / SECTOR) * SECTOR;
    const to = Math.ceil((at + length) / SECTOR) * SECTOR;
    const open = this.model.openSectors();
    const found = await this.disk.read(from, to - from);
    const wrong = this.model.firstWrong(from, found, open);
    if (wrong >= 0) throw new Error(`wrong content at ${wrong}`);
    // The same bytes, read as the guest asked for them.
    const exact = await this.disk.read(at, length);
    const bad = exact.findIndex(
      (byte, index) => byte !== found[at - from + index] && !open.has(Math.floor((at + index) / SECTOR)),
    );
    if (bad >= 0) throw new Error(`two reads differ at ${at + bad}`);
  }

  #started(done: () => void, result: void | Promise<void>, mustWait: boolean): void {
    const life = this.#life;
    if (result === undefined) {
      this.disk.view.commit();
      done();
      return;
    }
    const tracked = result.then(
      () => {
        if (life === this.#life) done();
      },
      (error: unknown) => {
        if (life === this.#life) throw error;
      },
    );
    this.waiting.add(tracked);
    const forget = (): void => void this.waiting.delete(tracked);
    tracked.then(forget, forget);
    if (mustWait) return;
    tracked.catch(() => {});
  }

  async #sealWhileWriting(): Promise<void> {
    const sealing = this.disk.seal();
    for (let index = 0; index < 6; index++) {
      const at = this.random(SIZE / SECTOR) * SECTOR;
      const data = noise(Math.min(SIZE - at, 1 + this.random(9000)), this.random(1000));
      this.#started(this.model.write(at, data), this.disk.view.write(at, data), false);
      await turns(this.random(6));
    }
    await sealing;
  }

  /** The process or the machine dies `turns` turns into something; whatever is found must be explained by the model. */
  async #die(how: 'crash' | 'cut', during: string, count: number): Promise<void> {
    const { disk, model } = this;
    let running: Promise<unknown> = Promise.resolve();
    let flushed = (): void => {};
    if (during === 'flush') {
      const done = model.beginFlush();
      running = disk.view.flush().then(() => {
        flushed = done;
      });
    } else if (during === 'seal') running = disk.seal();
    else if (during === 'drop') running = disk.seal(() => turns(count % 4));
    else if (during === 'open') {
      await this.#end(how);
      running = disk.attach();
    }
    running.catch(() => {});
    await turns(count);
    flushed();
    await this.#end(how);
    await disk.attach();
    const found = await disk.readAll();
    const wrong = model.firstWrong(0, found, how === 'cut' ? 'all' : model.openSectors());
    if (wrong >= 0) throw new Error(`after a ${how} during ${during}: wrong content at ${wrong}`);
    model.adopt(found);
    if (how === 'cut') return;
    // Nothing that the crash kept is durable yet: a power cut may still take it back. A flush ends that.
    await disk.view.flush();
  }

  async #end(how: 'crash' | 'cut'): Promise<void> {
    const { disk } = this;
    this.#life++;
    this.waiting.clear();
    if (how === 'crash') disk.storage.crash();
    else {
      disk.storage.powerCut(this.random);
      disk.boot++;
    }
    // What the dead process had begun runs into its dead files.
    await turns(30);
    await disk.base.reopen();
    disk.base.gate = null;
  }
}

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** Prints why a shrunk history failed, not only that it did. */
async function assertProperty<Values>(
  t: ExecutionContext,
  property: fc.IAsyncPropertyWithHooks<Values>,
  parameters: fc.Parameters<Values>,
): Promise<void> {
  try {
    await fc.assert(property, parameters);
  } catch (error) {
    t.log((error as Error).cause);
    throw error;
  }
}

test('random histories read back as the model says, whatever crashes', async (t) => {
  // What a dead process had begun fails where nobody listens; nothing else may.
  const unheard: unknown[] = [];
  process.on('unhandledRejection', (error: Error) => {
    if (!error.message.includes('is dead')) unheard.push(error);
  });
  await assertProperty(
    t,
    fc.asyncProperty(fc.array(command, { minLength: 5, maxLength: 45 }), fc.nat(1_000_000), async (commands, seed) => {
      const content = noise(SIZE, seed);
      content.fill(0, 3 * 16384, 6 * 16384);
      const disk = await TestDisk.of(content, { warmBytes: 12 * 4096 });
      const run = new Run(disk, content, seed);
      for (const command of commands) await run.apply(command);
      await run.settle();
      await run.check(0, SIZE);
      await disk.seal();
      await run.check(0, SIZE);
    }),
    { numRuns: Number(process.env.DISK_MODEL_RUNS ?? 80), interruptAfterTimeLimit: 40_000 },
  );
  t.deepEqual(unheard, []);
});

test('a storage that fills up at any moment loses nothing that was acknowledged', async (t) => {
  await assertProperty(
    t,
    fc.asyncProperty(fc.nat(60), fc.nat(1000), async (pages, seed) => {
      const content = noise(SIZE, seed);
      const disk = await TestDisk.of(content, { marginBytes: -1e12 });
      const model = new ModelDisk(content);
      const random = randomFrom(seed);
      disk.storage.capacityBytes = disk.storage.usedBytes() + pages * 4096;
      for (let index = 0; index < 60; index++) {
        const at = random(SIZE / SECTOR) * SECTOR;
        // Whole sectors: a refused write may have been taken in part, which the model knows sector by sector.
        const data = noise(Math.min(SIZE - at, (1 + random(18)) * SECTOR), random(1000));
        const acknowledged = model.write(at, data);
        try {
          await disk.write(at, data);
          acknowledged();
        } catch (error) {
          if (!hasCode(error, 'DISK_FULL')) throw error;
        }
        if (index === 30) await disk.view.flush();
      }
      const wrong = model.firstWrong(0, await disk.readAll(), new Set());
      if (wrong >= 0) throw new Error(`wrong content at ${wrong}`);
      disk.storage.crash();
      await disk.base.reopen();
      await disk.attach();
      const after = model.firstWrong(0, await disk.readAll(), new Set());
      if (after >= 0) throw new Error(`wrong content at ${after} after a crash`);
    }),
    { numRuns: 25 },
  );
  t.pass();
});
