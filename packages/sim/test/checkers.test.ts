/** The checkers themselves: they accept every disk that is right and catch each kind that is wrong. */
import { SECTOR_BYTES } from '@diskswarm/core';
import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import {
  createSimulation,
  ModelDisk,
  ModelViolation,
  OneWriterChecker,
  type SimHost,
  WriterViolation,
} from '../src/index.ts';

const full = (value: number, length = SECTOR_BYTES): Uint8Array => new Uint8Array(length).fill(value);
const model = (): ModelDisk => new ModelDisk({ sizeBytes: 64 * SECTOR_BYTES });

function write(disk: ModelDisk, value: number, { durable = false } = {}): void {
  disk.beginWrite(0, full(value)).acknowledged({ durable });
}

function allows(t: ExecutionContext, disk: ModelDisk, value: number): void {
  t.notThrows(() => disk.beginRead(0, SECTOR_BYTES).completed(full(value)));
}

function forbids(t: ExecutionContext, disk: ModelDisk, value: number, message?: RegExp): void {
  const read = disk.beginRead(0, SECTOR_BYTES);
  t.throws(
    () => read.completed(full(value)),
    message === undefined ? { instanceOf: ModelViolation } : { instanceOf: ModelViolation, message },
  );
}

test('an untouched disk reads its initial content', (t) => {
  allows(t, model(), 0);
  forbids(t, model(), 1, /no value ever written/);
  const imported = new ModelDisk({ sizeBytes: 4096, initial: (offset, length) => full(offset / SECTOR_BYTES, length) });
  t.notThrows(() => imported.beginRead(3 * SECTOR_BYTES, SECTOR_BYTES).completed(full(3)));
});

test('an acknowledged write must be read, an older value never', (t) => {
  const disk = model();
  write(disk, 1);
  write(disk, 2);
  allows(t, disk, 2);
  forbids(t, disk, 1, /an older value/);
});

test('a write under way may be seen or not, also by a read it overtakes', (t) => {
  for (const seen of [1, 2]) {
    const disk = model();
    write(disk, 1);
    const read = disk.beginRead(0, SECTOR_BYTES);
    const under = disk.beginWrite(0, full(2));
    allows(t, disk, seen);
    under.acknowledged();
    t.notThrows(() => read.completed(full(seen)));
    forbids(t, disk, 1);
  }
});

test('two writes at once may end either way, but then stay so', (t) => {
  const disk = model();
  const writes = [disk.beginWrite(0, full(1)), disk.beginWrite(0, full(2))];
  for (const each of writes) each.acknowledged();
  allows(t, disk, 1);
  forbids(t, disk, 2);
});

test('a failed write may have happened', (t) => {
  for (const seen of [1, 2]) {
    const disk = model();
    write(disk, 1);
    disk.beginWrite(0, full(2)).failed();
    allows(t, disk, seen);
    forbids(t, disk, 3 - seen);
  }
});

test('a crash of the process keeps acknowledged writes, flushed or not', (t) => {
  const disk = model();
  write(disk, 1);
  write(disk, 2);
  disk.beginWrite(0, full(3));
  disk.crash();
  forbids(t, disk, 1);
  allows(t, disk, 3);
  forbids(t, disk, 2);
});

test('a power cut may bring back what was not flushed, and nothing older', (t) => {
  for (const [value, allowed] of [
    [0, false],
    [1, true],
    [2, true],
    [3, true],
    [4, false],
  ] as const) {
    const disk = model();
    write(disk, 1);
    disk.beginFlush().completed();
    write(disk, 2);
    write(disk, 3);
    disk.powerCut();
    (allowed ? allows : forbids)(t, disk, value);
  }
});

test('a flush covers only what was acknowledged before it began, and only when it completes', (t) => {
  const disk = model();
  write(disk, 1);
  const under = disk.beginWrite(0, full(2));
  const flush = disk.beginFlush();
  under.acknowledged();
  flush.completed();
  disk.powerCut();
  allows(t, disk, 1);
  const open = model();
  write(open, 1);
  open.beginFlush();
  open.powerCut();
  allows(t, open, 0);
});

test('FUA is durable without a flush', (t) => {
  const disk = model();
  write(disk, 1, { durable: true });
  disk.powerCut();
  forbids(t, disk, 0);
  allows(t, disk, 1);
});

test('what was read after a power cut is on the medium: a second cut cannot change it', (t) => {
  const disk = model();
  write(disk, 1);
  disk.powerCut();
  allows(t, disk, 0);
  disk.powerCut();
  forbids(t, disk, 1);
  allows(t, disk, 0);
});

test('parts of sectors are merged', (t) => {
  const disk = model();
  write(disk, 1);
  disk.beginWrite(100, full(2, 1000)).acknowledged();
  const expected = new Uint8Array(1200).fill(1, 0, 512);
  expected.fill(2, 100, 1100);
  t.notThrows(() => disk.beginRead(0, 1200).completed(expected));
  t.notThrows(() => disk.beginRead(99, 2).completed(Uint8Array.of(1, 2)));
  expected[1099] = 0;
  t.throws(() => disk.beginRead(0, 1200).completed(expected), { instanceOf: ModelViolation, message: /byte 1024:/ });
});

test('zeroes and wrong lengths', (t) => {
  const disk = model();
  write(disk, 1);
  disk.beginZeroes(0, SECTOR_BYTES).acknowledged();
  forbids(t, disk, 1);
  t.throws(() => disk.beginRead(0, 10).completed(new Uint8Array(9)), { instanceOf: ModelViolation });
  t.throws(() => disk.beginRead(64 * SECTOR_BYTES, 1).completed(new Uint8Array(1)), { instanceOf: RangeError });
});

/** Writes to a file of a simulated machine, told to the model, with crashes and cuts between. `lie` breaks the disk. */
async function exercise(seed: number, lie: (host: SimHost) => boolean): Promise<void> {
  const simulation = createSimulation(seed);
  const host = simulation.host('home');
  const disk = new ModelDisk({ sizeBytes: 65_536 });
  const { random } = simulation;
  const open = async (): ReturnType<SimHost['storage']['open']> => host.storage.open('disk', 'create');
  await simulation.run(async () => {
    let file = await open();
    await file.truncate(65_536);
    await file.sync();
    await host.storage.syncFolder('');
    for (let step = 0; step < 60; step++) {
      const offset = random.below(12) * 256;
      const length = random.between(1, 2048);
      const choice = random.below(10);
      if (choice < 4) {
        const data = random.bytes(length);
        const entry = disk.beginWrite(offset, data);
        await file.write([data], offset);
        entry.acknowledged();
      } else if (choice < 8) {
        const read = disk.beginRead(offset, length);
        const into = new Uint8Array(length);
        await file.read(into, offset);
        read.completed(into);
      } else if (choice < 9) {
        const flush = disk.beginFlush();
        if (!lie(host)) await file.sync();
        flush.completed();
      } else {
        const cut = random.chance(0.7);
        if (random.chance(0.5)) {
          const data = random.bytes(length);
          disk.beginWrite(offset, data);
          void file.write([data], offset);
        }
        if (cut) host.powerCut();
        else host.crash();
        if (cut) disk.powerCut();
        else disk.crash();
        file = await open();
      }
    }
    const read = disk.beginRead(0, 65_536);
    const into = new Uint8Array(65_536);
    await file.read(into, 0);
    read.completed(into);
  });
}

test('a plain file on the simulated disk is a right disk, through crashes and power cuts', async (t) => {
  await t.notThrowsAsync(
    fc.assert(
      fc.asyncProperty(fc.nat(), (seed) => exercise(seed, () => false)),
      { numRuns: 60 },
    ),
  );
});

test('a disk that does not sync on flush is found out', async (t) => {
  let caught = 0;
  for (let seed = 0; seed < 40; seed++) {
    const error = await exercise(seed, () => true).then(
      () => null,
      (reason: unknown) => reason,
    );
    if (error !== null) {
      t.true((error as Error).cause instanceof ModelViolation, String(error));
      caught++;
    }
  }
  t.true(caught > 10, `${caught} of 40`);
});

test('a hand-over in order is fine', (t) => {
  const writers = new OneWriterChecker();
  t.notThrows(() => {
    writers.writable('d', 1, 'home');
    writers.acknowledged('d', 1, 'home');
    writers.writable('d', 1, 'home');
    writers.fenced('d', 1, 'home');
    writers.writable('d', 2, 'office');
    writers.acknowledged('d', 2, 'office');
    writers.writable('other', 1, 'home');
  });
});

type Step = readonly [call: 'writable' | 'acknowledged' | 'fenced', disk: string, epoch: number, host: string];

for (const [name, ...steps] of [
  ['a second host in the same epoch', ['writable', 'd', 1, 'office']],
  ['the next epoch before the fence', ['writable', 'd', 2, 'office']],
  ['a write by a host that is not the writer', ['acknowledged', 'd', 1, 'office']],
  ['a write in another epoch', ['acknowledged', 'd', 2, 'home']],
  ['a write after the fence', ['fenced', 'd', 1, 'home'], ['acknowledged', 'd', 1, 'home']],
  ['a life after the fence', ['fenced', 'd', 1, 'home'], ['writable', 'd', 1, 'home']],
  ['an older epoch', ['fenced', 'd', 1, 'home'], ['writable', 'd', 2, 'office'], ['writable', 'd', 1, 'home']],
  ['a write nobody may make', ['acknowledged', 'unknown', 1, 'home']],
] as const satisfies readonly (readonly [string, ...Step[]])[]) {
  test(`caught: ${name}`, (t) => {
    const writers = new OneWriterChecker();
    const tell = ([call, disk, epoch, host]: Step): void => writers[call](disk, epoch, host);
    writers.writable('d', 1, 'home');
    for (const step of steps.slice(0, -1)) tell(step);
    t.throws(() => tell(steps.at(-1)!), { instanceOf: WriterViolation });
  });
}
