/** The real storage, and what is built on any: whole reads, atomic writes. */
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'ava';
import { DiskswarmError } from '../src/errors.ts';
import { readWhole, writeAtomically } from '../src/storage.ts';
import { FolderStorage } from '../src/system/storage.ts';

async function temporary(t: { teardown(run: () => Promise<void>): void }): Promise<FolderStorage> {
  const folder = await mkdtemp(path.join(tmpdir(), 'diskswarm-core-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  return new FolderStorage(folder);
}

test('files are made for their owner alone', async (t) => {
  const storage = await temporary(t);
  await storage.makeFolder('a/b');
  await writeAtomically(storage, 'a/b/secret', new Uint8Array([1, 2, 3]));
  t.is((await stat(path.join(storage.root, 'a/b/secret'))).mode & 0o777, 0o600);
  t.is((await stat(path.join(storage.root, 'a/b'))).mode & 0o777, 0o700);
  t.deepEqual(await readWhole(storage, 'a/b/secret', 10), new Uint8Array([1, 2, 3]));
});

test('an atomic write replaces the whole file and leaves nothing beside it', async (t) => {
  const storage = await temporary(t);
  await writeAtomically(storage, 'f', new Uint8Array(100));
  await writeAtomically(storage, 'f', new Uint8Array([9]));
  t.deepEqual(await readWhole(storage, 'f', 10), new Uint8Array([9]));
  t.deepEqual(await storage.list(''), ['f']);
});

test('a file larger than its bound is refused before it is read', async (t) => {
  const storage = await temporary(t);
  await writeAtomically(storage, 'f', new Uint8Array(100));
  const error = await t.throwsAsync(readWhole(storage, 'f', 99), { instanceOf: DiskswarmError });
  t.is((error as DiskswarmError).code, 'LIMIT_EXCEEDED');
});

test('what is absent is null, empty or already removed', async (t) => {
  const storage = await temporary(t);
  t.is(await storage.stat('nothing'), null);
  t.is(await readWhole(storage, 'nothing', 1), null);
  t.deepEqual(await storage.list('nothing'), []);
  await t.notThrowsAsync(storage.remove('nothing'));
  await t.notThrowsAsync(storage.removeFolder('nothing'));
});

test('failures of the system carry a code and the path', async (t) => {
  const storage = await temporary(t);
  const error = (await t.throwsAsync(storage.open('absent/file', 'create'))) as DiskswarmError;
  t.is(error.code, 'WRITE_FAILED');
  t.deepEqual(error.data, { path: 'absent/file', errno: 'ENOENT' });
});

test('a path cannot leave the folder', async (t) => {
  const storage = await temporary(t);
  await t.throwsAsync(storage.open('../x', 'create'), { instanceOf: RangeError });
  await t.throwsAsync(storage.open('/etc/passwd', 'read'), { instanceOf: RangeError });
});

test('reads and writes meet at their positions, in both styles', async (t) => {
  const storage = await temporary(t);
  const file = await storage.open('f', 'create-new');
  file.writeSync(new Uint8Array([1, 2, 3]), 4096);
  await file.write([new Uint8Array([4]), new Uint8Array([5, 6])], 4099);
  await file.sync();
  const into = new Uint8Array(10);
  t.is(file.readSync(into, 4095), 7);
  t.deepEqual([...into.subarray(0, 7)], [0, 1, 2, 3, 4, 5, 6]);
  t.is(await file.read(into, 4101), 1);
  t.is(file.sizeBytes(), 4102);
  await file.close();
  await file.close();
});
