/** What a disk comes to in chunks: more pages for smaller ones, none for what is zero. */
import { mkdtemp, open, rm } from 'node:fs/promises';
import os from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { diskSizes } from '../src/hosts/disk-sizes.ts';
import { SeededBytes } from '../src/image.ts';

test('data is counted by blocks, the manifest by pages, and both know zeros', async (t) => {
  const folder = await mkdtemp(join(os.tmpdir(), 'bench-sizes-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const image = join(folder, 'image');
  const file = await open(image, 'w');
  // 1,024 pieces of 16 KiB, of which those of the first and the last page of the manifest have data.
  await file.truncate(16 * 2 ** 20);
  const bytes = new SeededBytes(1);
  await file.write(bytes.next(12_288), 0, 12_288, 0);
  await file.write(bytes.next(4096), 0, 4096, 16 * 2 ** 20 - 4096);
  await file.close();
  const page = 8192;
  t.deepEqual(await diskSizes(image, 16_384), { dataBytes: 16_384, manifestBytes: 3 * page });
  t.deepEqual(await diskSizes(image, 65_536), { dataBytes: 16_384, manifestBytes: page });
});
