/** News over restarts: however a tracker ends, the next one has it, refuses what was old, and forgets it when it is time. */
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Clock, DiskswarmError, type Storage } from '@diskswarm/core';
import { FolderStorage, systemClock } from '@diskswarm/core/system';
import { Journal } from '@diskswarm/journal';
import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import { BLOB_LIFE_SECONDS } from '../src/limits.ts';
import { NewsBoard } from '../src/news-board.ts';
import { NewsJournal } from '../src/news-journal.ts';
import { makeSwarm } from './news.ts';

const HOME = '7f000001';
const DAY = 86_400;

async function makeFolder(t: ExecutionContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'dsnews-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** `target` with other methods in the place of some. */
function replaced<Target extends object>(target: Target, others: Partial<Target>): Target {
  return new Proxy(target, {
    get(inner, name) {
      const value: unknown = Reflect.get(name in others ? others : inner, name, inner);
      return typeof value === 'function' ? value.bind(inner) : value;
    },
  });
}

/** A folder whose syncs cost nothing, since no machine ends here. */
function quick(folder: string): Storage {
  const storage: Storage = new FolderStorage(folder);
  const sync = async (): Promise<void> => {};
  return replaced(storage, {
    open: async (...args) => replaced(await storage.open(...args), { sync }),
    syncFolder: sync,
  });
}

/** A machine's clock: a process that starts on it counts from zero. */
class Machine {
  wallSeconds = 1_800_000_000;

  boot(): Clock {
    const start = this.wallSeconds;
    return {
      ...systemClock,
      nowUs: () => (this.wallSeconds - start) * 1e6,
      wallMs: () => this.wallSeconds * 1000,
    };
  }
}

async function open(storage: Storage, machine = new Machine(), max = 20_000) {
  const clock = machine.boot();
  const board = new NewsBoard(clock, { max });
  return { board, journal: await NewsJournal.open(storage, board, clock) };
}

test('what was taken is there after a death at any moment, and what was old before is old still', async (t) => {
  const storage = quick(await makeFolder(t));
  const [desk, lab] = [makeSwarm(), makeSwarm()];
  const [one, two, three] = [desk.blob(1), desk.blob(2), desk.blob(3)];
  const before = await open(storage);
  t.true(before.board.post(desk.infoHash, one, HOME));
  t.true(before.board.post(desk.infoHash, two, HOME));
  t.true(before.board.post(lab.infoHash, lab.blob(5), HOME));
  // Nobody closes it, and no time passes: the next one opens what is there.
  const after = await open(storage);
  t.deepEqual(after.board.get(desk.infoHash), two);
  t.is(after.board.count, 2);
  t.false(after.board.post(desk.infoHash, one, HOME));
  t.false(after.board.post(desk.infoHash, two.with(300, two[300]! ^ 1), HOME));
  t.true(after.board.post(desk.infoHash, two, HOME));
  t.true(after.board.post(desk.infoHash, three, HOME));
  await after.journal.close();
  const last = await open(storage);
  t.deepEqual(last.board.get(desk.infoHash), three);
  await last.journal.close();
});

test('a week without a repetition ends it, running or not; repetitions count over restarts', async (t) => {
  const storage = quick(await makeFolder(t));
  const machine = new Machine();
  const [silent, alive] = [makeSwarm(), makeSwarm()];
  const news = alive.blob(1);
  const first = await open(storage, machine);
  first.board.post(silent.infoHash, silent.blob(1), HOME);
  for (let day = 0; day < 6; day++) {
    first.board.post(alive.infoHash, news, HOME);
    machine.wallSeconds += DAY;
  }
  const second = await open(storage, machine);
  t.not(second.board.get(silent.infoHash), undefined);
  machine.wallSeconds += DAY;
  t.is(second.board.get(silent.infoHash), undefined);
  const third = await open(storage, machine);
  t.is(third.board.get(silent.infoHash), undefined);
  t.deepEqual(third.board.get(alive.infoHash), news);
  // The tracker is off for the rest of it.
  machine.wallSeconds += BLOB_LIFE_SECONDS - 2 * DAY;
  const fourth = await open(storage, machine);
  t.is(fourth.board.count, 0);
  // A clock that was set back makes it look fresh, and breaks nothing.
  machine.wallSeconds -= 100 * DAY;
  const fifth = await open(storage, machine);
  t.deepEqual(fifth.board.get(alive.infoHash), news);
  await fifth.journal.close();
});

test('what is repeated for years leaves a small file: one blob of each swarm, and no more swarms than the board has', async (t) => {
  const folder = await makeFolder(t);
  const storage = quick(folder);
  const machine = new Machine();
  const swarms = Array.from({ length: 12 }, makeSwarm).map(({ infoHash, blob }) => ({ infoHash, blob, news: blob(2) }));
  const { board, journal } = await open(storage, machine, 10);
  for (const { infoHash, news } of swarms) board.post(infoHash, news, HOME);
  let writtenBytes = 0;
  for (let hours = 0; hours < 8000; hours += 6) {
    machine.wallSeconds += 6 * 3600;
    for (const { infoHash, news } of swarms.slice(2)) {
      t.true(board.post(infoHash, news, HOME));
      writtenBytes += news.length;
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
  await journal.close();
  t.true(writtenBytes > 6 * 2 ** 20);
  t.true((await stat(join(folder, 'news.journal'))).size < 4 * 2 ** 20);
  const next = await open(storage, machine, 10);
  t.is(next.board.count, 10);
  for (const { infoHash, blob, news } of swarms.slice(2)) {
    t.deepEqual(next.board.get(infoHash), news);
    t.false(next.board.post(infoHash, blob(1), HOME));
  }
  await next.journal.close();
});

test('whatever the file holds, a tracker starts; news in it is what was there or nothing, and goes on', async (t) => {
  const folder = await makeFolder(t);
  const storage = quick(folder);
  const path = join(folder, 'news.journal');
  const swarms = Array.from({ length: 4 }, makeSwarm);
  const blobs = new Map(swarms.map(({ infoHash, blob }) => [infoHash, blob(7)]));
  const first = await open(storage);
  for (const [infoHash, blob] of blobs) first.board.post(infoHash, blob, HOME);
  await first.journal.close();
  const whole = await readFile(path);
  const damage = fc.record({
    cut: fc.option(fc.nat({ max: whole.length }), { nil: whole.length }),
    flips: fc.array(fc.tuple(fc.nat({ max: whole.length - 1 }), fc.integer({ min: 1, max: 255 })), { maxLength: 3 }),
    tail: fc.uint8Array({ maxLength: 40 }),
  });
  await fc.assert(
    fc.asyncProperty(damage, async ({ cut, flips, tail }) => {
      const bytes = Buffer.concat([whole.subarray(0, cut), tail]);
      for (const [at, bits] of flips) if (at < bytes.length) bytes[at]! ^= bits;
      await writeFile(path, bytes);
      const found = await open(storage).catch((error: unknown) => {
        if (error instanceof DiskswarmError && error.code === 'STATE_VERSION') return null;
        throw error;
      });
      if (found === null) return;
      for (const { infoHash } of swarms) {
        const blob = found.board.get(infoHash);
        if (blob !== undefined) t.deepEqual(blob, new Uint8Array(blobs.get(infoHash)!));
        t.true(found.board.post(infoHash, blobs.get(infoHash)!, HOME));
      }
      await found.journal.close();
      const next = await open(storage);
      t.is(next.board.count, swarms.length);
      await next.journal.close();
    }),
    { numRuns: 40 },
  );
});

test('records that are none put the journal aside; those that are no news of their swarm are left out', async (t) => {
  const folder = await makeFolder(t);
  const storage = quick(folder);
  const [one, two] = [makeSwarm(), makeSwarm()];
  const record = (infoHash: string, blob: Uint8Array): Uint8Array =>
    Buffer.concat([Uint8Array.of(1), Buffer.from(infoHash, 'hex'), Buffer.alloc(4, 0xff), blob]);
  const write = async (...records: Uint8Array[]): Promise<void> => {
    await rm(join(folder, 'news.journal'), { force: true });
    const options = { kind: 'TRKNEWS1', maxRecordBytes: 4096, onRecord: () => {} };
    const journal = await Journal.open(storage, 'news.journal', options);
    journal.appendBatch(records);
    await journal.close();
  };
  await write(
    record(one.infoHash, two.blob(9)),
    record(one.infoHash, Buffer.alloc(300)),
    record(two.infoHash, two.blob(3)),
  );
  const first = await open(storage);
  t.is(first.board.count, 1);
  t.not(first.board.get(two.infoHash), undefined);
  await first.journal.close();
  t.deepEqual(await readdir(folder), ['news.journal']);

  await write(record(one.infoHash, one.blob(2)), Uint8Array.of(9, 9, 9), record(two.infoHash, two.blob(3)));
  const second = await open(storage);
  t.deepEqual((await readdir(folder)).sort(), ['news.journal', 'news.journal.damaged']);
  t.is(second.board.count, 1);
  await second.journal.close();
  const third = await open(storage);
  t.not(third.board.get(one.infoHash), undefined);
  await third.journal.close();
});
