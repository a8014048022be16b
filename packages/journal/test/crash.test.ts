/** Crashes at every step, damage at every byte: nothing synced is lost, nothing damaged is passed over. */
import { DiskswarmError } from '@diskswarm/core';
import { createSimulation } from '@diskswarm/sim';
import test from 'ava';
import fc from 'fast-check';
import { MemoryStorage } from './support/memory-storage.ts';
import { dice, openTexts, PATH, text } from './support/records.ts';

/** A script of appends, syncs, refills and rewrites that notes what must be found after a crash at any moment. */
class Script {
  readonly storage = new MemoryStorage();
  /** All that was handed over, by the latest rewrite's view. */
  handedOver: string[] = [];
  /** How many of those must survive a power cut. */
  durableCount = 0;
  /** What may be found instead of `handedOver` while a rewrite is under way. */
  rewritten: string[] | null = null;

  async run(seed: number): Promise<void> {
    const below = dice(seed);
    const { journal } = await openTexts(this.storage, below(2) * 300);
    for (let step = 0; step < 25; step++) {
      const choice = below(10);
      if (choice < 6) {
        const batch = Array.from({ length: 1 + below(3) }, (_, index) => `${step}.${index} ${'y'.repeat(below(700))}`);
        // A crash in the middle of the write may have handed over part of it: see `acceptable`.
        this.handedOver.push(...batch);
        journal.appendBatch(batch.map(text));
      } else if (choice < 8) {
        const count = this.handedOver.length;
        await journal.sync();
        this.durableCount = count;
      } else if (choice === 8) {
        await journal.reserve();
      } else {
        const compact = [`sum of ${this.handedOver.length}`];
        this.rewritten = compact;
        await journal.rewrite(compact.map(text));
        this.handedOver = compact;
        this.durableCount = 1;
        this.rewritten = null;
      }
    }
    await journal.close();
  }

  acceptable(found: string[]): boolean {
    if (this.rewritten !== null && found.join() === this.rewritten.join()) return true;
    return found.length >= this.durableCount && found.join() === this.handedOver.slice(0, found.length).join();
  }
}

class Halt extends Error {}

async function crashAt(seed: number, operation: number): Promise<{ script: Script; finished: boolean }> {
  const script = new Script();
  script.storage.hook = () => {
    if (script.storage.operations > operation) throw new Halt();
  };
  try {
    await script.run(seed);
    return { script, finished: true };
  } catch (error) {
    if (!(error instanceof Halt) && !((error as Error).cause instanceof Halt)) throw error;
    return { script, finished: false };
  } finally {
    script.storage.hook = () => {};
  }
}

test('a power cut at every operation keeps what was synced, in order', async (t) => {
  let cuts = 0;
  for (let seed = 1; seed <= 12; seed++) {
    for (let operation = 0; ; operation++) {
      const { script, finished } = await crashAt(seed, operation);
      for (let roll = 0; roll < 3; roll++) {
        const after = script.storage.powerCut(dice(seed * 1000 + operation * 3 + roll));
        const { journal, texts } = await openTexts(after);
        if (!script.acceptable(texts))
          return t.fail(
            `seed ${seed}, operation ${operation}, roll ${roll}: ${texts.length} records, ${script.durableCount} durable`,
          );
        // And the log goes on from there.
        journal.append(text('next'));
        await journal.close();
        const again = await openTexts(after);
        if (again.texts.join() !== [...texts, 'next'].join())
          return t.fail(`seed ${seed}, operation ${operation}: lost after recovery`);
        cuts++;
      }
      if (finished) break;
    }
  }
  t.true(cuts > 1000);
});

test('the death of the process at every operation loses nothing that was handed over', async (t) => {
  for (let seed = 20; seed <= 26; seed++) {
    for (let operation = 0; ; operation++) {
      const { script, finished } = await crashAt(seed, operation);
      const { texts } = await openTexts(script.storage);
      // The batch that was being written when the process died may be missing; nothing before it may.
      const missing = script.handedOver.length - texts.length;
      const complete = script.acceptable(texts) && (script.rewritten !== null || missing <= 3);
      if (!complete)
        return t.fail(`seed ${seed}, operation ${operation}: ${texts.length} of ${script.handedOver.length}`);
      if (finished) break;
    }
  }
  t.pass();
});

test('appends acknowledged during a rewrite survive the death of the process at every later step', async (t) => {
  for (let operation = 0; ; operation++) {
    const storage = new MemoryStorage();
    const { journal } = await openTexts(storage);
    journal.append(text('base'));
    const acknowledged: string[] = [];
    const start = storage.operations;
    storage.hook = (kind) => {
      if (storage.operations - start > operation) throw new Halt();
      if (kind === 'write') return;
      queueMicrotask(() => {
        const value = `m${acknowledged.length}`;
        try {
          journal.append(text(value));
          acknowledged.push(value);
        } catch {
          // Dead already.
        }
      });
    };
    const finished = await journal.rewrite([text('base')]).then(
      () => true,
      () => false,
    );
    storage.hook = () => {};
    const { texts } = await openTexts(storage);
    t.deepEqual(texts.slice(0, acknowledged.length + 1), ['base', ...acknowledged], `operation ${operation}`);
    if (finished) break;
  }
});

test('damage to any byte of a closed journal is refused or harmless, never a silent loss', async (t) => {
  const storage = new MemoryStorage();
  const { journal } = await openTexts(storage);
  const expected: string[] = [];
  for (let index = 0; index < 8; index++) {
    expected.push(`record ${index} ${'z'.repeat(index * 7)}`);
    journal.append(text(expected[index]!));
    if (index % 3 === 2) await journal.sync();
  }
  await journal.close();
  const sizeBytes = storage.bytesOf(PATH).length;
  let refused = 0;
  for (let position = 0; position < sizeBytes; position++) {
    const copy = new MemoryStorage();
    const file = await copy.open(PATH, 'create');
    file.writeSync(storage.bytesOf(PATH), 0);
    copy.damage(PATH, position);
    try {
      const { texts } = await openTexts(copy);
      t.deepEqual(texts, expected, `byte ${position}`);
    } catch (error) {
      t.true(error instanceof DiskswarmError && error.code === 'JOURNAL_CORRUPT', `byte ${position}: ${error}`);
      t.deepEqual(copy.bytesOf(PATH).length, sizeBytes, 'a refusal changes nothing');
      refused++;
    }
  }
  t.true(refused > sizeBytes - 60, 'only the last marker is harmless');
});

test('an unsynced tail may be cut or holed anywhere', async (t) => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 0, max: 5 }),
      fc.array(fc.nat(2000), { minLength: 1, maxLength: 6 }),
      fc.nat(),
      async (synced, lengths, seed) => {
        const storage = new MemoryStorage();
        const { journal } = await openTexts(storage);
        const values = lengths.map((length, index) => `${index}${'q'.repeat(length)}`);
        for (const [index, value] of values.entries()) {
          journal.append(text(value));
          if (index + 1 === synced) await journal.sync();
        }
        const { texts } = await openTexts(storage.powerCut(dice(seed)));
        return (
          texts.length >= Math.min(synced, synced <= values.length ? synced : 0) &&
          texts.join() === values.slice(0, texts.length).join()
        );
      },
    ),
    { numRuns: 200 },
  );
  t.pass();
});

test('garbage is never taken for a journal', async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), async (garbage) => {
      const storage = new MemoryStorage();
      const file = await storage.open(PATH, 'create');
      file.writeSync(garbage, 0);
      const error = await openTexts(storage).then(
        () => null,
        (reason: unknown) => reason,
      );
      return error instanceof DiskswarmError && error.code === 'JOURNAL_CORRUPT';
    }),
  );
  t.pass();
});

test('what a replay showed survives a power cut, even if an earlier sync failed', async (t) => {
  for (let seed = 0; seed < 20; seed++) {
    const simulation = createSimulation(seed);
    const host = simulation.host('home');
    await simulation.run(async () => {
      await host.storage.makeFolder('log');
      await host.storage.syncFolder('');
      const { journal } = await openTexts(host.storage, 300);
      for (let index = 0; index < 40; index++) {
        journal.append(text(`${index} ${'w'.repeat(index * 20)}`));
        if (index === 5) await journal.sync();
      }
      host.disk.fail({ operation: 'sync' });
      await t.throwsAsync(journal.sync(), { code: 'WRITE_FAILED' });
      host.crash();
      const again = await openTexts(host.storage);
      t.true(again.texts.length >= 6);
      host.powerCut();
      const last = await openTexts(host.storage);
      t.deepEqual(last.texts, again.texts, `seed ${seed}`);
    });
  }
});
