/** The model of a desktop's days: repeatable, as large as it was told, and never in two files at once; and the disks that it is made on. */
import { mkdtemp, open, readFile, rm, truncate } from 'node:fs/promises';
import os from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { copyChanges, ReferenceDisk } from '../src/hosts/reference-disk.ts';
import { BlockSpace } from '../src/workloads/block-space.ts';
import { BLOCK_BYTES, type Change, DeskModel, staysOf } from '../src/workloads/desk-week.ts';

const SIZES = { diskMib: 256, contentMib: 128 };
const LOAD = { edited: 2, anew: 12, temporary: 8, cache: 16, upgrade: 32 };
const MIB = 2 ** 20;

function week(seed: number, load = LOAD): (readonly Change[])[] {
  const model = new DeskModel(SIZES, load, seed);
  return staysOf(7).map((stay) => model.changesOf(stay));
}

function mib(changes: readonly Change[], kind: Change['kind'] = 'write'): number {
  return changes.reduce((sum, change) => sum + (change.kind === kind ? change.lengthBytes : 0), 0) / MIB;
}

test('a week is ten moves: home each evening, the office each morning, the weekend at home', (t) => {
  const stays = staysOf(7);
  t.is(stays.length, 11);
  t.deepEqual(
    stays.map(({ at }) => at),
    [...Array.from({ length: 5 }, () => ['office', 'home'] as const).flat(), 'office'],
  );
  t.deepEqual(
    stays.filter(({ upgrade }) => upgrade).map(({ name }) => name),
    ['Wednesday, office'],
  );
  t.deepEqual(
    stays.filter(({ trim }) => trim).map(({ name }) => name),
    ['Friday to Sunday, home'],
  );
  t.is(staysOf(1).length, 3);
  t.is(staysOf(14).length, 21);
});

test('the same seed writes the same, another one something else', (t) => {
  t.deepEqual(week(3), week(3));
  t.notDeepEqual(week(3), week(4));
});

test('days are as large as they were told, with what the file system itself writes', (t) => {
  const days = week(7);
  const office = LOAD.edited + LOAD.anew + LOAD.temporary + LOAD.cache;
  const [monday = [], evening = [], , , wednesday = []] = days;
  t.true(mib(monday) >= office && mib(monday) < 2 * office, `${mib(monday)} MiB`);
  t.true(mib(evening) < mib(monday) / 2, `${mib(evening)} MiB`);
  t.true(mib(wednesday) >= office + LOAD.upgrade, `${mib(wednesday)} MiB`);
  t.deepEqual(days.at(-1), []);
  t.true(mib(days.at(-2) ?? [], 'zero') > LOAD.temporary);
});

test('every change is of whole blocks inside the disk', (t) => {
  for (const { offsetBytes, lengthBytes } of week(9).flat()) {
    t.is(offsetBytes % BLOCK_BYTES, 0);
    t.true(lengthBytes > 0 && lengthBytes % BLOCK_BYTES === 0);
    t.true(offsetBytes >= 0 && offsetBytes + lengthBytes <= SIZES.diskMib * MIB);
  }
});

test('blocks are given to one at a time, in pieces where need be, and trimmed once', (t) => {
  const space = new BlockSpace(100, 110);
  const first = space.claim(4);
  const second = space.claim(4);
  t.deepEqual([first, second], [[{ first: 100, count: 4 }], [{ first: 104, count: 4 }]]);
  space.free(first);
  t.deepEqual(space.claim(5), [
    { first: 108, count: 2 },
    { first: 100, count: 3 },
  ]);
  t.deepEqual(space.trim(), [{ first: 103, count: 1 }]);
  t.deepEqual(space.trim(), []);
  t.throws(() => space.claim(2), { instanceOf: RangeError });
});

test('a copy with the same changes is the reference again, and blocks that differ are counted', async (t) => {
  const folder = await mkdtemp(join(os.tmpdir(), 'bench-desk-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const sizes = { diskMib: 2, contentMib: 1 };
  const reference = await ReferenceDisk.make(join(folder, 'reference.raw'), { ...sizes, seed: 5 });
  const twin = await ReferenceDisk.make(join(folder, 'twin.raw'), { ...sizes, seed: 5 });
  t.true(await reference.isLike(twin.path));
  const changes: readonly Change[] = [
    { kind: 'write', offsetBytes: 8192, lengthBytes: 8192 },
    { kind: 'write', offsetBytes: 8192, lengthBytes: 4096 },
    { kind: 'zero', offsetBytes: 40_960, lengthBytes: 4096 },
    { kind: 'zero', offsetBytes: MIB + 4096, lengthBytes: 4096 },
  ];
  t.deepEqual(await reference.apply(changes), { written: 4, differing: 3 });
  t.false(await reference.isLike(twin.path));
  await copyChanges(reference.path, twin.path, changes);
  t.true(await reference.isLike(twin.path));
  const file = await open(reference.path);
  t.teardown(() => file.close());
  const { buffer } = await file.read(Buffer.alloc(4096), 0, 4096, 40_960);
  t.true(buffer.equals(Buffer.alloc(4096)));
  t.is((await readFile(twin.path)).length, 2 * MIB);
  await truncate(twin.path, 2 * MIB - 1);
  t.false(await reference.isLike(twin.path));
});
