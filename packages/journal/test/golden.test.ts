/** The bytes on disk, literally: a change here is a change of format and needs a new version. */
import { readFileSync } from 'node:fs';
import test from 'ava';
import { MemoryStorage } from './support/memory-storage.ts';
import { openTexts, PATH, text } from './support/records.ts';

const golden = JSON.parse(readFileSync(new URL('./fixtures/journal-v1.json', import.meta.url), 'utf8')) as {
  records: string[];
  file: string[];
};

test('two records, a sync, a record, a close', async (t) => {
  const storage = new MemoryStorage();
  const { journal } = await openTexts(storage);
  journal.append(text(golden.records[0]!));
  journal.append(text(golden.records[1]!));
  await journal.sync();
  journal.append(text(golden.records[2]!));
  await journal.close();
  t.is(storage.bytesOf(PATH).toString('hex'), golden.file.join(''));
});

test('the golden file is read', async (t) => {
  const storage = new MemoryStorage();
  const file = await storage.open(PATH, 'create');
  file.writeSync(Buffer.from(golden.file.join(''), 'hex'), 0);
  const { texts, journal } = await openTexts(storage);
  t.deepEqual(texts, golden.records);
  t.is(journal.sizeBytes, golden.file.join('').length / 2);
});
