/** Images in and out: what is in them arrives, holes are not read, and what is no image is refused by name. */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { DiskswarmError } from '@diskswarm/core';
import { SeededRandom } from '@diskswarm/sim';
import test, { type ExecutionContext } from 'ava';
import { type ImageFormat, openImage } from '../src/images/image-source.ts';
import { type ImagePart, writeImage } from '../src/images/image-writer.ts';

const MIB = 1024 * 1024;
const PAYLOAD = new SeededRandom('images').bytes(MIB);
const never = new AbortController().signal;

function folderFor(t: ExecutionContext): string {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'diskswarm-images-'));
  t.teardown(() => fs.rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A sparse image of 16 MiB with a payload at 4 MiB. */
function sparseImage(folder: string): string {
  const file = path.join(folder, 'sparse.raw');
  const fd = fs.openSync(file, 'w');
  fs.ftruncateSync(fd, 16 * MIB);
  fs.writeSync(fd, PAYLOAD, 0, PAYLOAD.length, 4 * MIB);
  fs.closeSync(fd);
  return file;
}

function qcow2Of(raw: string): string {
  const file = `${raw}.qcow2`;
  execFileSync('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', raw, file]);
  return file;
}

const refusal = async (t: ExecutionContext, file: string, format: ImageFormat = 'raw'): Promise<DiskswarmError> => {
  const error = await t.throwsAsync(
    openImage(file, format, path.join(path.dirname(file), 'scratch'), { signal: never }),
  );
  t.true(error instanceof DiskswarmError, String(error));
  return error as DiskswarmError;
};

for (const format of ['raw', 'qcow2'] as const) {
  test(`${format}: holes are left out, the rest arrives`, async (t) => {
    const folder = folderFor(t);
    const raw = sparseImage(folder);
    const scratch = path.join(folder, 'scratch');
    const image = await openImage(format === 'raw' ? raw : qcow2Of(raw), format, scratch, { signal: never });
    t.is(image.sizeBytes, 16 * MIB);
    const covered = image.extents.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0);
    t.true(covered >= MIB && covered < 3 * MIB, `${covered} bytes to read`);
    t.true(
      image.extents.some(
        ({ offsetBytes, lengthBytes }) => offsetBytes <= 4 * MIB && offsetBytes + lengthBytes >= 5 * MIB,
      ),
    );
    const bytes = new Uint8Array(MIB);
    await image.read(bytes, 4 * MIB);
    t.deepEqual(bytes, PAYLOAD);
    await image.close();
    t.deepEqual(fs.existsSync(scratch) ? fs.readdirSync(scratch) : [], []);
  });
}

test('an image of odd size, an empty one, a folder and nothing at all are no images', async (t) => {
  const folder = folderFor(t);
  const odd = path.join(folder, 'odd.raw');
  fs.writeFileSync(odd, PAYLOAD.subarray(0, 1000));
  const empty = path.join(folder, 'empty.raw');
  fs.writeFileSync(empty, '');
  for (const [file, words] of [
    [odd, /1000 bytes is no multiple of 512/],
    [empty, /empty/],
    [folder, /not a file/],
    [path.join(folder, 'absent.raw'), /ENOENT/],
  ] as const) {
    const error = await refusal(t, file);
    t.is(error.code, 'BAD_IMAGE');
    t.regex(error.message, words);
    t.is(error.data.image, file);
  }
});

test('a qcow2 file that was cut short or is none is refused, never read as zeros', async (t) => {
  const folder = folderFor(t);
  const whole = fs.readFileSync(qcow2Of(sparseImage(folder)));
  for (const [name, bytes] of Object.entries({
    'tail.qcow2': whole.subarray(0, whole.length - MIB / 2),
    'head.qcow2': whole.subarray(0, 100_000),
    'none.qcow2': PAYLOAD.subarray(0, 65_536),
  })) {
    const file = path.join(folder, name);
    fs.writeFileSync(file, bytes);
    t.is((await refusal(t, file, 'qcow2')).code, 'BAD_IMAGE', name);
  }
  t.is((await refusal(t, path.join(folder, 'absent.qcow2'), 'qcow2')).code, 'BAD_IMAGE');
  t.deepEqual(fs.readdirSync(path.join(folder, 'scratch')), []);
});

test('an image that shrinks while it is read says where it ended', async (t) => {
  const file = sparseImage(folderFor(t));
  const image = await openImage(file, 'raw', '/nowhere', { signal: never });
  fs.truncateSync(file, 4 * MIB + 4096);
  const error = await t.throwsAsync(image.read(new Uint8Array(MIB), 4 * MIB), { instanceOf: DiskswarmError });
  t.is(error.code, 'BAD_IMAGE');
  t.regex(error.message, new RegExp(`byte ${4 * MIB + 4096}`));
  await image.close();
});

async function* parts(fails: boolean): AsyncGenerator<ImagePart> {
  yield { offsetBytes: 2 * MIB, bytes: PAYLOAD };
  if (fails) throw new DiskswarmError('CHUNK_NOT_FOUND', 'nobody has the rest');
  yield { offsetBytes: 8 * MIB, bytes: PAYLOAD.subarray(0, 512) };
}

for (const format of ['raw', 'qcow2'] as const) {
  test(`${format}: an export has the disk's bytes and size, is sparse, and replaces what was there`, async (t) => {
    const folder = folderFor(t);
    const file = path.join(folder, `out.${format}`);
    fs.writeFileSync(file, 'an older export');
    await writeImage(file, format, 64 * MIB, parts(false), { signal: never });
    t.deepEqual(fs.readdirSync(folder), [`out.${format}`]);
    const raw = format === 'raw' ? file : `${file}.raw`;
    if (format === 'qcow2') execFileSync('qemu-img', ['convert', '-f', 'qcow2', '-O', 'raw', file, raw]);
    const expected = Buffer.alloc(64 * MIB);
    expected.set(PAYLOAD, 2 * MIB);
    expected.set(PAYLOAD.subarray(0, 512), 8 * MIB);
    t.true(fs.readFileSync(raw).equals(expected));
    t.true(fs.statSync(file).blocks * 512 < 4 * MIB);
  });

  test(`${format}: an export that fails leaves what was there and nothing else`, async (t) => {
    const folder = folderFor(t);
    const file = path.join(folder, `out.${format}`);
    fs.writeFileSync(file, 'an older export');
    const error = await t.throwsAsync(writeImage(file, format, 64 * MIB, parts(true), { signal: never }), {
      instanceOf: DiskswarmError,
    });
    t.is(error.code, 'CHUNK_NOT_FOUND');
    t.deepEqual(fs.readdirSync(folder), [`out.${format}`]);
    t.is(fs.readFileSync(file, 'utf8'), 'an older export');
  });
}

test('a place that cannot be written is named', async (t) => {
  const file = path.join(folderFor(t), 'absent', 'out.raw');
  const error = await t.throwsAsync(writeImage(file, 'raw', MIB, parts(false), { signal: never }), {
    instanceOf: DiskswarmError,
  });
  t.is(error.code, 'WRITE_FAILED');
  t.is(error.data.path, file);
});
