/** The content of a moved disk: one block that is not as it was is found, by itself and through the command. */
import { chmod, copyFile, mkdtemp, open, readFile, rm, stat, writeFile } from 'node:fs/promises';
import os from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { checkContent } from '../src/hosts/disk-content.ts';
import { diskComplaint } from '../src/hosts/guest-crash.ts';
import { copyImage, haveSameBytes, writeImage } from '../src/image.ts';
import { benchIn, ended } from './bench-command.ts';

const MIB = 2 ** 20;
const EXPERIMENT = `
name: spoilt
title: A copy with one wrong block
systems: [freeze-copy]
links: [{ name: LAN, rate: 1 Gbit/s }]
workloads: [rewrite: { region-mib: 1, kib-per-second: 500 }]
guest: { memory: 96 MiB, disk: 48 MiB, content: 8 MiB }
runs: 1
`;
/** qemu-img, which then zeroes one block in the middle of the content that it copied. */
const SPOILING = `#!/usr/bin/python3
import subprocess, sys
subprocess.run(["/usr/bin/qemu-img", *sys.argv[1:]], check=True)
if "convert" in sys.argv:
    image = open(sys.argv[-2], "rb").read()
    random = [at for at in range(0, len(image), 4096) if len(set(image[at : at + 4096])) > 245]
    write = "write -z %d 4096" % random[len(random) // 2]
    subprocess.run(["qemu-io", "-f", "raw", "-c", write, sys.argv[-1]], check=True, stdout=subprocess.DEVNULL)
`;

async function folderOf(t: ExecutionContext): Promise<string> {
  const path = await mkdtemp(join(os.tmpdir(), 'bench-content-'));
  t.teardown(() => rm(path, { recursive: true, force: true }));
  return path;
}

test('tables may differ, content may not', async (t) => {
  const folder = await folderOf(t);
  const [image, copy] = [join(folder, 'image'), join(folder, 'copy')];
  await writeImage(image, { sizeBytes: 9 * MIB, seed: 4, zeroShare: 0.5, holes: true });
  await copyFile(image, copy);
  const blocks = await checkContent(image, copy);
  t.true(blocks > 500 && blocks < 2000, `${blocks}`);
  const file = await open(copy, 'r+');
  const content = await readFile(image);
  const zeros = content.indexOf(Buffer.alloc(4096));
  await file.write(Buffer.from('a journal'), 0, 9, zeros - (zeros % 4096) + 4096);
  t.is(await checkContent(image, copy), blocks);
  await file.write(Buffer.from([content[5000]! ^ 1]), 0, 1, 5000);
  await t.throwsAsync(checkContent(image, copy), { message: /: 1 of \d+ blocks .* the first at byte 4096$/ });
  await file.write(content, 5000, 1, 5000);
  t.is(await checkContent(image, copy), blocks);
  await file.truncate(5 * MIB);
  await t.throwsAsync(checkContent(image, copy));
  await file.close();
  await writeFile(image, Buffer.alloc(MIB));
  await t.throwsAsync(checkContent(image, image), { message: /no content/ });
});

test('a kernel that complains of its disk is heard', async (t) => {
  const folder = await folderOf(t);
  await writeFile(join(folder, 'console.log'), 'all is well\n');
  t.is(await diskComplaint(folder), null);
  await writeFile(join(folder, 'console.log'), 'a\n[ 9.1] I/O error, dev vda, sector 8\nb\n');
  t.is(await diskComplaint(folder), '[ 9.1] I/O error, dev vda, sector 8');
});

test.serial('a system that leaves one block behind has failed', async (t) => {
  const folder = await folderOf(t);
  await writeFile(join(folder, 'spoilt.yaml'), EXPERIMENT);
  await writeFile(join(folder, 'qemu-img'), SPOILING);
  await chmod(join(folder, 'qemu-img'), 0o755);
  const out = join(folder, 'runs');
  const env = { ...process.env, PATH: `${folder}:${process.env.PATH}` };
  const { code, stdout, stderr } = await ended(
    benchIn(env, ['run', join(folder, 'spoilt.yaml'), '--out', out, '--json']),
  );
  t.is(code, 1);
  t.like(JSON.parse(stdout), { runs: 1, failed: 1, error: { code: 'RUNS_FAILED' } }, stderr);
  t.regex(
    await readFile(join(out, 'runs', '0001-freeze-copy.jsonl'), 'utf8'),
    /"broken".*1 of \d+ blocks of content differ/,
  );
});

test('a copied image has its holes still, so that a mirror need not send them', async (t) => {
  const folder = await folderOf(t);
  const [image, copy] = [join(folder, 'image.raw'), join(folder, 'copy.raw')];
  await writeImage(image, { sizeBytes: 32 * MIB, seed: 3, zeroShare: 0.75, holes: true });
  await copyImage(image, copy);
  const allocated = async (path: string): Promise<number> => (await stat(path)).blocks * 512;
  t.true((await allocated(copy)) <= (await allocated(image)));
  t.true((await allocated(copy)) < 16 * MIB);
  t.true(await haveSameBytes(image, copy));
});
