/** One suite over both implementations of Storage: the real folder and the simulated disk. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type ErrorCode, hasCode, readWhole, type Storage, writeAtomically } from '@diskswarm/core';
import { FolderStorage } from '@diskswarm/core/system';
import test, { type ExecutionContext } from 'ava';
import { createSimulation } from '../src/index.ts';

type Check = (t: ExecutionContext, storage: Storage) => Promise<void>;

function both(title: string, check: Check): void {
  test(`folder: ${title}`, async (t) => {
    const folder = mkdtempSync(path.join(tmpdir(), 'diskswarm-storage-'));
    t.teardown(() => rmSync(folder, { recursive: true }));
    await check(t, new FolderStorage(folder));
  });
  test(`simulated: ${title}`, async (t) => {
    const simulation = createSimulation(title);
    await simulation.run(() => check(t, simulation.host('home').storage));
  });
}

const text = (bytes: Uint8Array | null): string | null => (bytes === null ? null : Buffer.from(bytes).toString());
const bytes = (content: string): Uint8Array => Buffer.from(content);

async function refused(
  t: ExecutionContext,
  code: ErrorCode,
  errno: string,
  run: () => Promise<unknown>,
): Promise<void> {
  const error = await t.throwsAsync(run);
  t.true(hasCode(error, code), String(error));
  t.is((error as { data?: { errno?: unknown } }).data?.errno, errno);
}

both('writes are read back, in parts and across pages', async (t, storage) => {
  const file = await storage.open('f', 'create');
  await file.write([bytes('abc'), bytes('defg')], 4094);
  file.writeSync(bytes('XY'), 4097);
  t.is(file.sizeBytes(), 4101);
  const into = new Uint8Array(10);
  t.is(await file.read(into, 4093), 8);
  t.is(text(into.subarray(0, 8)), '\0abcXYfg');
  t.is(file.readSync(into, 4101), 0);
  t.is(file.readSync(into.subarray(0, 2), 4094), 2);
  t.is(text(into.subarray(0, 2)), 'ab');
  await file.close();
  await file.close();
  t.deepEqual(await storage.stat('f'), { sizeBytes: 4101 });
});

both('truncation cuts and extends with zeros', async (t, storage) => {
  const file = await storage.open('f', 'create');
  await file.write([new Uint8Array(10_000).fill(7)], 0);
  await file.truncate(5000);
  t.is(file.sizeBytes(), 5000);
  await file.truncate(12_000);
  const into = new Uint8Array(12_000).fill(1);
  t.is(await file.read(into, 0), 12_000);
  t.true(into.subarray(0, 5000).every((byte) => byte === 7) && into.subarray(5000).every((byte) => byte === 0));
});

both('sparse files read zeros between', async (t, storage) => {
  const file = await storage.open('f', 'create');
  await file.write([bytes('end')], 2 ** 33);
  t.is(file.sizeBytes(), 2 ** 33 + 3);
  const into = new Uint8Array(6).fill(9);
  t.is(await file.read(into, 2 ** 33 - 3), 6);
  t.is(text(into), '\0\0\0end');
});

both('open modes', async (t, storage) => {
  await refused(t, 'READ_FAILED', 'ENOENT', () => storage.open('f', 'read'));
  await refused(t, 'WRITE_FAILED', 'ENOENT', () => storage.open('f', 'write'));
  await refused(t, 'WRITE_FAILED', 'ENOENT', () => storage.open('none/f', 'create'));
  const made = await storage.open('f', 'create-new');
  await made.write([bytes('kept')], 0);
  await made.close();
  await refused(t, 'WRITE_FAILED', 'EEXIST', () => storage.open('f', 'create-new'));
  await (await storage.open('f', 'create')).close();
  t.is(text(await readWhole(storage, 'f', 100)), 'kept');
  const reader = await storage.open('f', 'read');
  await refused(t, 'WRITE_FAILED', 'EBADF', () => reader.write([bytes('x')], 0));
  await reader.close();
});

both('folders, names and removal', async (t, storage) => {
  t.deepEqual(await storage.list('none'), []);
  await storage.makeFolder('a/b');
  await storage.makeFolder('a/b');
  for (const name of ['a/z', 'a/c', 'a/b/deep', 'top']) await (await storage.open(name, 'create')).close();
  t.deepEqual(await storage.list('a'), ['b', 'c', 'z']);
  t.deepEqual(await storage.list(''), ['a', 'top']);
  await refused(t, 'WRITE_FAILED', 'ENOTEMPTY', () => storage.removeFolder('a/b'));
  await storage.remove('a/b/deep');
  await storage.remove('a/b/deep');
  await storage.removeFolder('a/b');
  await storage.removeFolder('a/b');
  t.deepEqual(await storage.list('a'), ['c', 'z']);
  await storage.syncFolder('a');
  t.is(await storage.stat('a/b/deep'), null);
});

both('renames replace, and an open file keeps its content', async (t, storage) => {
  await writeAtomically(storage, 'f', bytes('old'));
  const reader = await storage.open('f', 'read');
  await writeAtomically(storage, 'f', bytes('new'));
  t.is(text(await readWhole(storage, 'f', 100)), 'new');
  const into = new Uint8Array(3);
  await reader.read(into, 0);
  t.is(text(into), 'old');
  t.deepEqual(await storage.list(''), ['f']);
  await refused(t, 'WRITE_FAILED', 'ENOENT', () => storage.rename('nothing', 'g'));
  t.true((await storage.freeBytes()) > 0);
});

both('paths cannot leave the storage', async (t, storage) => {
  await t.throwsAsync(async () => storage.open('../f', 'create'), { instanceOf: RangeError });
  await t.throwsAsync(async () => storage.stat('/etc/passwd'), { instanceOf: RangeError });
});
