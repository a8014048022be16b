/** What a user of the journal relies on: order, group commit, rewriting, reserved space, and errors. */
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { DiskswarmError } from '@diskswarm/core';
import { FolderStorage } from '@diskswarm/core/system';
import test from 'ava';
import { Journal, replayJournal } from '../src/index.ts';
import { MemoryStorage } from './support/memory-storage.ts';
import { KIND, openTexts, PATH, text } from './support/records.ts';

test('records come back in order, with their index, after a close', async (t) => {
  const storage = new MemoryStorage();
  const { journal, texts } = await openTexts(storage);
  t.deepEqual(texts, []);
  journal.append(text('one'));
  journal.appendBatch([text('two'), text('three')]);
  t.is(journal.recordCount, 3);
  await journal.close();
  const indexes: number[] = [];
  const { recordCount } = await replayJournal(storage, PATH, {
    kind: KIND,
    maxRecordBytes: 4096,
    onRecord: (_, index) => indexes.push(index),
  });
  t.deepEqual(indexes, [0, 1, 2]);
  t.is(recordCount, 3);
  const again = await openTexts(storage);
  t.deepEqual(again.texts, ['one', 'two', 'three']);
  t.is(again.journal.recordCount, 3);
});

test('records of many windows survive the real file system', async (t) => {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'journal-'));
  t.teardown(() => rm(folder, { recursive: true }));
  const storage = new FolderStorage(folder);
  await storage.makeFolder('log');
  const { journal } = await openTexts(storage, 65536);
  const expected: string[] = [];
  for (let index = 0; index < 3000; index++) {
    const value = `${index}:`.padEnd(1 + (index % 4000), 'x');
    expected.push(value);
    journal.append(text(value));
  }
  await journal.sync();
  await journal.reserve();
  t.is(journal.reservedBytes, 65536);
  await journal.close();
  const again = await openTexts(storage);
  t.deepEqual(again.texts, expected);
  await again.journal.rewrite(expected.slice(0, 10).map(text));
  again.journal.append(text('after'));
  await again.journal.close();
  const last = await openTexts(storage);
  t.deepEqual(last.texts, [...expected.slice(0, 10), 'after']);
  await last.journal.close();
});

test('callers of sync share one', async (t) => {
  const storage = new MemoryStorage();
  const { journal } = await openTexts(storage);
  let syncs = 0;
  storage.hook = (operation) => {
    if (operation === 'sync') syncs++;
  };
  journal.append(text('a'));
  const first = journal.sync();
  journal.append(text('b'));
  await Promise.all([first, journal.sync(), journal.sync(), journal.sync()]);
  t.is(syncs, 2);
  await journal.sync();
  t.is(syncs, 2, 'nothing new, nothing to sync');
});

test('after a failed sync every call fails until the journal is opened again', async (t) => {
  const storage = new MemoryStorage();
  const { journal } = await openTexts(storage);
  journal.append(text('a'));
  storage.hook = (operation) => {
    if (operation === 'sync') throw new DiskswarmError('WRITE_FAILED', 'EIO');
  };
  await t.throwsAsync(journal.sync(), { code: 'WRITE_FAILED' });
  storage.hook = () => {};
  t.throws(() => journal.append(text('b')), { code: 'WRITE_FAILED' });
  await t.throwsAsync(journal.sync(), { code: 'WRITE_FAILED' });
  await t.throwsAsync(journal.reserve(), { code: 'WRITE_FAILED' });
  t.throws(() => journal.rewrite([]), { code: 'WRITE_FAILED' });
  await journal.close();
  const again = await openTexts(storage);
  t.deepEqual(again.texts, ['a']);
});

test('what a replay showed is durable, even if an earlier process never synced it', async (t) => {
  const storage = new MemoryStorage();
  const { journal } = await openTexts(storage);
  journal.append(text('never synced'));
  const { texts } = await openTexts(storage);
  t.deepEqual(texts, ['never synced']);
  for (let seed = 0; seed < 20; seed++) {
    let roll = seed;
    const after = await openTexts(storage.powerCut((limit) => roll++ % limit));
    t.deepEqual(after.texts, ['never synced']);
  }
});

test('a full disk refuses new records, forgets the failed batch, and lives on', async (t) => {
  const storage = new MemoryStorage();
  const { journal } = await openTexts(storage);
  journal.append(text('kept'));
  await journal.sync();
  // Room for the first record of the batch, not for the second.
  storage.capacityBytes = storage.usedBytes() + 30;
  t.throws(() => journal.appendBatch([text('retried'), text('must not come back'.repeat(3))]), { code: 'DISK_FULL' });
  t.is(journal.recordCount, 1);
  journal.append(text('retried'));
  await journal.sync();
  t.deepEqual((await openTexts(storage)).texts, ['kept', 'retried']);
});

test('a rest of a failed batch does not become valid behind a retry of its first record', async (t) => {
  const storage = new MemoryStorage();
  const { journal } = await openTexts(storage);
  storage.capacityBytes = storage.usedBytes() + 8 + 5 + 8 + 6 + 3;
  t.throws(() => journal.appendBatch([text('first'), text('second'), text('third')]), { code: 'DISK_FULL' });
  journal.append(text('first'));
  t.deepEqual((await openTexts(storage)).texts, ['first']);
});

test('reserved space takes records on a full disk', async (t) => {
  const storage = new MemoryStorage();
  const { journal } = await openTexts(storage, 4096);
  t.is(journal.reservedBytes, 4096);
  storage.capacityBytes = storage.usedBytes();
  const record = text('x'.repeat(120));
  for (let index = 0; index < 4096 / 128; index++) journal.append(record);
  t.is(journal.reservedBytes, 0);
  t.throws(() => journal.append(record), { code: 'DISK_FULL' });
  await journal.sync();
  await t.throwsAsync(journal.reserve(), { code: 'DISK_FULL' });
  t.is((await openTexts(storage, 4096)).texts.length, 32);
  storage.capacityBytes = Number.POSITIVE_INFINITY;
  await journal.reserve();
  t.is(journal.reservedBytes, 4096);
});

test('a rewrite keeps the object, what is appended meanwhile, and the reserve', async (t) => {
  const storage = new MemoryStorage();
  const { journal } = await openTexts(storage, 1000);
  for (let index = 0; index < 100; index++) journal.append(text(`old ${index}`));
  const before = journal.sizeBytes;
  let meanwhile = 0;
  storage.hook = (operation) => {
    // Between any two steps of the rewrite the world goes on.
    if (operation !== 'write') queueMicrotask(() => journal.append(text(`meanwhile ${meanwhile++}`)));
  };
  await journal.rewrite([text('all of it')]);
  storage.hook = () => {};
  journal.append(text('afterwards'));
  t.true(meanwhile >= 4);
  t.true(journal.sizeBytes < before);
  t.true(journal.reservedBytes > 0);
  const expected = [
    'all of it',
    ...Array.from({ length: meanwhile }, (_, index) => `meanwhile ${index}`),
    'afterwards',
  ];
  t.is(journal.recordCount, expected.length);
  await journal.close();
  t.deepEqual((await openTexts(storage)).texts, expected);
});

test('a rewrite that finds no room leaves the journal as it was', async (t) => {
  const storage = new MemoryStorage();
  const { journal } = await openTexts(storage);
  journal.append(text('here'));
  storage.capacityBytes = storage.usedBytes() + 50;
  await t.throwsAsync(journal.rewrite([text('x'.repeat(500))]), { code: 'DISK_FULL' });
  t.is(await storage.stat(`${PATH}.new`), null);
  journal.append(text('still'));
  await journal.sync();
  t.deepEqual((await openTexts(storage)).texts, ['here', 'still']);
});

test('a newer version, another kind and a damaged header are told apart', async (t) => {
  const storage = new MemoryStorage();
  await (await openTexts(storage)).journal.close();
  const options = { maxRecordBytes: 100, onRecord: () => {} };
  await t.throwsAsync(Journal.open(storage, PATH, { ...options, kind: 'OTHERLOG' }), { code: 'JOURNAL_CORRUPT' });
  storage.damage(PATH, 20);
  await t.throwsAsync(openTexts(storage), { code: 'JOURNAL_CORRUPT' });
  storage.damage(PATH, 20);
  const { encodeHeader } = await import('../src/format.ts');
  const { crc32 } = await import('node:zlib');
  const header = Buffer.from(encodeHeader(KIND, 0).bytes);
  header.writeUInt32LE(2, 16);
  header.writeUInt32LE(crc32(header.subarray(0, 28)), 28);
  const file = await storage.open(PATH, 'write');
  file.writeSync(header, 0);
  await t.throwsAsync(openTexts(storage), { code: 'STATE_VERSION' });
});

test('what onRecord throws ends the open', async (t) => {
  const storage = new MemoryStorage();
  const { journal } = await openTexts(storage);
  journal.append(text('x'));
  await journal.close();
  const refuse = () => {
    throw new DiskswarmError('FORMAT_INVALID', 'not mine');
  };
  await t.throwsAsync(Journal.open(storage, PATH, { kind: KIND, maxRecordBytes: 100, onRecord: refuse }), {
    code: 'FORMAT_INVALID',
  });
});
