/** The guest's disk: a clean file system, the same bytes for the same parameters. */
import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, stat, utimes } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { zstdCompressSync } from 'node:zlib';
import { hasCode } from '@diskswarm/core';
import test, { type ExecutionContext } from 'ava';
import { expectedSha256 } from '../src/content.ts';
import { writeCpio } from '../src/cpio.ts';
import { dependenciesOf } from '../src/modules.ts';
import { contentOf, planContent } from '../src/root-content.ts';
import { buildRootImage } from '../src/root-image.ts';
import { runTool } from '../src/tools.ts';

const MIB = 1024 * 1024;
const SMALL = { sizeBytes: 32 * MIB, contentBytes: 8 * MIB, bootBytes: MIB };

async function folder(t: ExecutionContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'diskswarm-image-'));
  t.teardown(() => rm(path, { recursive: true, force: true }));
  return path;
}

const sha256 = (bytes: Uint8Array | string): string => createHash('sha256').update(bytes).digest('hex');

test('equal parameters give equal bytes, another seed gives others, and fsck finds no fault', async (t) => {
  const root = await folder(t);
  const [first, second, third] = [join(root, 'a'), join(root, 'b'), join(root, 'c')];
  await buildRootImage(SMALL, first);
  await utimes(root, 0, 0);
  await buildRootImage(SMALL, second);
  await buildRootImage({ ...SMALL, seed: 2 }, third);
  const hashes = await Promise.all([first, second, third].map(async (path) => sha256(await readFile(path))));
  t.is(hashes[0], hashes[1]);
  t.not(hashes[0], hashes[2]);
  t.is((await stat(first)).size, SMALL.sizeBytes);
  await t.notThrowsAsync(runTool('e2fsck', ['-fn', first]));
  const listing = await runTool('debugfs', ['-R', 'stat /init-guest', first]);
  t.regex(listing, /Mode: +0755/);
  t.regex(listing, /User: +0 +Group: +0/);
});

test('sizes that do not fit are refused before anything is made', async (t) => {
  const path = join(await folder(t), 'image');
  for (const wrong of [
    { contentBytes: 31 * MIB },
    { sizeBytes: 32 * MIB + 512 },
    { bootBytes: 9 * MIB },
    { seed: -1 },
  ]) {
    const error = await t.throwsAsync(buildRootImage({ ...SMALL, ...wrong }, path));
    t.true(hasCode(error, 'INVALID_ARGUMENT'));
  }
  await t.throwsAsync(stat(path), { code: 'ENOENT' });
});

test('the plan holds what was asked for, and what boots is a small part all over it', (t) => {
  const plan = { contentBytes: 120 * MIB, bootBytes: 6 * MIB, seed: 1 };
  const files = planContent({ ...plan, incompressible: false });
  const sum = (list: typeof files): number => list.reduce((total, file) => total + file.sizeBytes, 0);
  t.is(sum(files), 120 * MIB);
  const atBoot = files.filter((file) => file.atBoot);
  t.true(sum(atBoot) >= 6 * MIB && sum(atBoot) < 8 * MIB, `${sum(atBoot)}`);
  const quarters = new Set(
    files.flatMap((file, index) => (file.atBoot ? [Math.floor((4 * index) / files.length)] : [])),
  );
  t.is(quarters.size, 4);
  t.is(new Set(files.map((file) => file.path)).size, files.length);
});

test('what no compressor shall gain on holds nothing that one gains on', (t) => {
  const plan = { contentBytes: 4 * MIB, bootBytes: MIB, seed: 1 };
  const packed = (incompressible: boolean): number =>
    planContent({ ...plan, incompressible }).reduce(
      (sum, file) => sum + zstdCompressSync(contentOf(file, plan.seed)).length,
      0,
    );
  t.true(packed(true) >= plan.contentBytes);
  t.true(packed(false) < 0.9 * plan.contentBytes);
});

test('the host knows the content of a written file, to the byte', (t) => {
  const digest = createHash('sha512').update('a 7').digest('hex');
  t.is(expectedSha256('a', 140, 7), sha256(`1 ${digest} 2 ${digest}`.slice(0, 140)));
  t.is(expectedSha256('a', 0, 7), sha256(''));
  for (const name of ['', '../a', 'a b', 'A', '-a']) {
    t.true(
      hasCode(
        t.throws(() => expectedSha256(name, 1, 1)),
        'INVALID_ARGUMENT',
      ),
    );
  }
});

test('busybox unpacks the archives that the kernel is given', async (t) => {
  const root = await folder(t);
  const archive = writeCpio([
    { path: 'folder', kind: 'folder' },
    { path: 'folder/file', kind: 'file', data: Buffer.from('hello') },
    { path: 'link', kind: 'link', data: Buffer.from('folder/file') },
  ]);
  await runTool('busybox', ['cpio', '-i'], { cwd: root, input: Buffer.from(archive).toString('latin1') });
  t.is(await readFile(join(root, 'link'), 'utf8'), 'hello');
});

test("a module's dependencies are read from the module", (t) => {
  const module = Buffer.from('\x7fELF\0license=GPL\0depends=virtio-ring,virtio\0name=x\0');
  t.deepEqual(dependenciesOf(module), ['virtio_ring', 'virtio']);
  t.deepEqual(dependenciesOf(Buffer.from('\0depends=\0')), []);
  t.deepEqual(dependenciesOf(Buffer.from('nothing')), []);
});
