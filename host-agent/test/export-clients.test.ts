/** Real NBD clients against an export: nbdinfo, nbdcopy, qemu-img, qemu-io, nbdsh, fio. */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { exportOf, fileExport, image, MIB, nbdsh, ok, run, scratch, serve } from './export-support/clients.ts';
import { FileBacking } from './export-support/file-backing.ts';

function blank(folder: string, name: string, sizeBytes: number): string {
  const file = path.join(folder, name);
  fs.closeSync(fs.openSync(file, 'w'));
  fs.truncateSync(file, sizeBytes);
  return file;
}

const same = (left: string, right: string): boolean => fs.readFileSync(left).equals(fs.readFileSync(right));

test('nbdinfo lists every export and maps holes and presence', async (t) => {
  const folder = scratch(t);
  const one = fileExport(t, image(folder, 'one.raw', 4 * MIB));
  const two = fileExport(t, image(folder, 'two.raw', MIB), { readOnly: true });
  const { uri, socketPath } = await serve(t, folder, exportOf(one, 'one'), exportOf(two, 'two', { multiConn: true }));

  const list = JSON.parse(await ok(t, 'nbdinfo', '--json', '--list', `nbd+unix:///?socket=${socketPath}`)) as {
    exports: Record<string, unknown>[];
  };
  t.like(list.exports[0], {
    'export-name': 'one',
    description: 'the disk one',
    'export-size': 4 * MIB,
    is_read_only: false,
    can_multi_conn: false,
    can_fast_zero: true,
    can_cache: true,
    can_df: true,
    'block-size': undefined,
    block_size_minimum: 1,
    block_size_preferred: 4096,
    block_size_maximum: 32 * MIB,
  });
  t.like(list.exports[1], { 'export-name': 'two', is_read_only: true, can_multi_conn: true, can_trim: false });
  t.deepEqual(list.exports[0]!.contexts, ['base:allocation', 'diskswarm:presence']);

  const map = JSON.parse(await ok(t, 'nbdinfo', '--json', '--map', uri)) as { offset: number; type: number }[];
  t.deepEqual(
    map.map(({ offset, type }) => [offset, type]),
    [
      [0, 0],
      [MIB, 3],
      [2 * MIB, 0],
    ],
  );
  const presence = JSON.parse(await ok(t, 'nbdinfo', '--json', '--map=diskswarm:presence', uri)) as { type: number }[];
  t.deepEqual(
    presence.map(({ type }) => type),
    [0],
  );
});

test('an unknown export is refused with words, and the empty name is the only export', async (t) => {
  const folder = scratch(t);
  const { socketPath } = await serve(t, folder, exportOf(fileExport(t, image(folder, 'one.raw', MIB))));
  const { code, stderr } = await run('qemu-img', 'info', `nbd+unix:///nothing?socket=${socketPath}`);
  t.not(code, 0);
  t.regex(stderr, /no such export/);
  t.is((await ok(t, 'nbdinfo', '--size', `nbd+unix:///?socket=${socketPath}`)).trim(), String(MIB));
});

test('nbdcopy moves an image out and in, holes included', async (t) => {
  const folder = scratch(t);
  const source = image(folder, 'source.raw', 24 * MIB);
  const { uri } = await serve(t, folder, exportOf(fileExport(t, source)));
  const out = path.join(folder, 'out.raw');
  await ok(t, 'nbdcopy', uri, out);
  t.true(same(source, out));

  const target = blank(scratch(t), 'target.raw', 24 * MIB);
  const other = await serve(t, path.dirname(target), exportOf(fileExport(t, target)));
  await ok(t, 'nbdcopy', '--flush', source, other.uri);
  t.true(same(source, target));
  await ok(t, 'nbdcopy', '--synchronous', '--destination-is-zero', uri, other.uri);
  t.true(same(source, target));
});

test('qemu-img reads, maps, compares and writes through the export', async (t) => {
  const folder = scratch(t);
  const source = image(folder, 'source.raw', 16 * MIB);
  const { uri } = await serve(t, folder, exportOf(fileExport(t, source)));
  const info = JSON.parse(await ok(t, 'qemu-img', 'info', '--output=json', uri)) as Record<string, unknown>;
  t.is(info['virtual-size'], 16 * MIB);
  const map = JSON.parse(await ok(t, 'qemu-img', 'map', '--output=json', '-f', 'raw', uri)) as {
    zero: boolean;
    start: number;
  }[];
  t.deepEqual(
    map.map(({ start, zero }) => [start, zero]),
    [
      [0, false],
      [4 * MIB, true],
      [8 * MIB, false],
    ],
  );
  const copy = path.join(folder, 'copy.qcow2');
  await ok(t, 'qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2', uri, copy);
  await ok(t, 'qemu-img', 'compare', '-f', 'raw', '-F', 'qcow2', uri, copy);

  const target = blank(scratch(t), 'target.raw', 16 * MIB);
  const other = await serve(t, path.dirname(target), exportOf(fileExport(t, target)));
  await ok(t, 'qemu-img', 'convert', '-n', '-f', 'qcow2', '-O', 'raw', copy, other.uri);
  t.true(same(source, target));
});

test('qemu-io writes, zeroes, discards and verifies patterns', async (t) => {
  const folder = scratch(t);
  const { uri, defects } = await serve(t, folder, exportOf(fileExport(t, blank(folder, 'disk.raw', 40 * MIB))));
  const commands = [
    'write -P 0x5a 12345 70000',
    'read -P 0x5a 12345 70000',
    'read -P 0 0 12345',
    'aio_write -P 0x11 1M 4M',
    'aio_write -P 0x22 5M 33M',
    'aio_flush',
    'flush',
    'read -P 0x11 1M 4M',
    'read -P 0x22 5M 33M',
    'write -z -u 6M 2M',
    'write -z 2M 1M',
    'read -P 0 6M 2M',
    'read -P 0 2M 1M',
    'write -f -P 0x33 100 1',
    'read -P 0x33 100 1',
    'discard 8M 1M',
  ];
  const output = await ok(t, 'qemu-io', '-f', 'raw', ...commands.flatMap((command) => ['-c', command]), uri);
  t.notRegex(output, /fail|error/i);
  t.deepEqual(defects, []);
});

test('nbdsh: structured and simple replies return the same bytes', async (t) => {
  const folder = scratch(t);
  const file = image(folder, 'disk.raw', 4 * MIB);
  const { uri } = await serve(t, folder, exportOf(fileExport(t, file)));
  const script = `
want = open("${file}", "rb").read()
for offset, length in [(0, 1), (511, 3000), (0, 1 << 20), (1000, (3 << 20) + 17), (0, 4 << 20)]:
    assert h.pread(length, offset) == want[offset:offset + length], (offset, length)
chunks = []
def chunk(buf, offset, status, error):
    chunks.append((offset, len(buf), status))
print(h.get_structured_replies_negotiated())
h.pread_structured(2 << 20, 0, chunk)
assert sum(c[1] for c in chunks if c[2] == nbd.READ_DATA) > 0
h.shutdown()
`;
  t.is((await nbdsh(t, uri, script)).trim(), 'True');
  t.is((await nbdsh(t, uri, script, 'h.set_request_structured_replies(False)')).trim(), 'False');
});

test('nbdsh: DF, contexts, FUA, cache, and errors that leave the session alive', async (t) => {
  const folder = scratch(t);
  const backing = new FileBacking(image(folder, 'disk.raw', 4 * MIB));
  t.teardown(() => backing.close());
  const { uri } = await serve(t, folder, exportOf(backing));
  await nbdsh(
    t,
    uri,
    `
import errno
h.set_strict_mode(0)
def fails(want, call, *args, **kw):
    try:
        call(*args, **kw)
    except nbd.Error as e:
        assert e.errnum == want, (e.errnum, want, e.string)
        return
    raise AssertionError("no error")
seen = []
def chunk(buf, offset, status, error): seen.append((offset, len(buf), status))
h.pread_structured(65536, 1 << 20, chunk, nbd.CMD_FLAG_DF)
assert seen == [(1 << 20, 65536, nbd.READ_DATA)], seen
fails(errno.EOVERFLOW, h.pread_structured, 1 << 20, 0, chunk, nbd.CMD_FLAG_DF)
extents = {}
def extent(context, offset, entries, error): extents[context] = entries
h.block_status(4 << 20, 0, extent)
assert extents["base:allocation"] == [1 << 20, 0, 1 << 20, 3, 2 << 20, 0], extents
assert extents["diskswarm:presence"] == [4 << 20, 0], extents
h.block_status(4 << 20, 0, extent, nbd.CMD_FLAG_REQ_ONE)
assert extents["base:allocation"] == [1 << 20, 0], extents
h.pwrite(b"x" * 5000, 77, nbd.CMD_FLAG_FUA)
assert h.pread(5000, 77) == b"x" * 5000
h.zero(8192, 0, nbd.CMD_FLAG_FAST_ZERO | nbd.CMD_FLAG_NO_HOLE)
assert h.pread(8192, 0) == bytes(8192)
h.cache(65536, 0)
fails(errno.EINVAL, h.pread, 2, (4 << 20) - 1)
fails(errno.ENOSPC, h.pwrite, b"ab", (4 << 20) - 1)
fails(errno.ENOSPC, h.zero, 2, (4 << 20) - 1)
fails(errno.EINVAL, h.trim, 2, (4 << 20) - 1)
fails(errno.EINVAL, h.flush, 0x4000)
fails(errno.EINVAL, h.pwrite, b"ab", 0, 0x8000)
fails(errno.EINVAL, h.pread, (32 << 20) + 1, 0)
h.flush()
assert h.pread(3, 4 * 65536) is not None
h.shutdown()
`,
    'h.add_meta_context("base:allocation"); h.add_meta_context("diskswarm:presence")',
  );
  t.deepEqual(backing.calls.prefetch, [[0, 65536]]);
  t.true(backing.calls.flush >= 2);
});

test('nbdsh: a read-only export refuses writes', async (t) => {
  const folder = scratch(t);
  const { uri } = await serve(t, folder, exportOf(fileExport(t, image(folder, 'disk.raw', MIB), { readOnly: true })));
  await nbdsh(
    t,
    uri,
    `
h.set_strict_mode(0)
for call in [lambda: h.pwrite(b"x", 0), lambda: h.trim(1, 0), lambda: h.zero(1, 0)]:
    try:
        call()
    except nbd.Error as e:
        assert e.errnum == 1, e.errnum
    else:
        raise AssertionError("written")
`,
  );
});

test('fio writes at random and verifies what it reads back', async (t) => {
  const folder = scratch(t);
  const { uri, defects } = await serve(t, folder, exportOf(fileExport(t, blank(folder, 'disk.raw', 32 * MIB))));
  await ok(
    t,
    'fio',
    '--name=verify',
    '--ioengine=nbd',
    `--uri=${uri}`,
    '--rw=randwrite',
    '--bsrange=4k-64k',
    '--iodepth=32',
    '--size=32M',
    '--verify=crc32c',
    '--do_verify=1',
    '--verify_fatal=1',
    '--randseed=7',
    `--aux-path=${folder}`,
  );
  t.deepEqual(defects, []);
});
