/** A real kernel under QEMU on a real NBD server: up, writes, reboots, power cuts, a full disk, no disk. */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { watch } from 'node:fs';
import { copyFile, mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hasCode } from '@diskswarm/core';
import test, { type ExecutionContext } from 'ava';
import { type BootOptions, bootGuest, expectedSha256, type Guest, prepareGuest, probeQemu } from '../src/index.ts';
import { runTool } from '../src/tools.ts';
import { serve } from './nbd-server.ts';

const MIB = 1024 * 1024;
const SMALL = { sizeBytes: 32 * MIB, contentBytes: 8 * MIB, bootBytes: MIB };
const BOOT = { timeoutMs: 120_000 };

async function folder(t: ExecutionContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'diskswarm-guest-'));
  t.teardown(() => rm(path, { recursive: true, force: true }));
  return path;
}

function start(t: ExecutionContext, options: BootOptions): Guest {
  const guest = bootGuest(options);
  t.teardown(() => guest.stop());
  return guest;
}

test.before('the artefacts, which may have to be downloaded', async (t) => {
  t.timeout(400_000);
  t.deepEqual(probeQemu(), { available: true, missingPackages: [] });
  await prepareGuest({ image: SMALL });
});

test.serial(
  'the default guest boots over NBD, reads a few percent, writes, reboots, reads back and stops clean',
  async (t) => {
    t.timeout(400_000);
    const root = await folder(t);
    const artefacts = await prepareGuest();
    const image = join(root, 'disk.img');
    await copyFile(artefacts.rootImage, image);
    const server = await serve(image, join(root, 'requests'));
    t.teardown(() => server.stop());
    const consoleLog = join(root, 'console');
    const guest = start(t, { ...artefacts, disk: { nbdUri: server.uri }, consoleLog });

    const ready = await guest.ready(BOOT);
    t.is(ready.boot, 1);
    const { pieces, bytes, count } = await server.reads();
    t.log(`up after ${Math.round(ready.elapsedMs)} ms; ${count} reads, ${bytes} bytes, ${pieces} pieces of 64 KiB`);
    const percent = (100 * pieces) / (256 * 16);
    t.true(percent > 1 && percent < 10, `${percent} % of the pieces`);

    t.is((await guest.write('letter', 300_000, 7)).sequence, 1);
    t.is((await guest.write('picture', 1_234_567, 8)).sequence, 2);
    t.is((await guest.write('letter', 5_000, 9)).sequence, 3);
    t.is((await guest.reboot(BOOT)).boot, 2);
    t.is(await guest.checkAll(), 2);
    const letter = expectedSha256('letter', 5_000, 9);
    t.deepEqual(await guest.read('letter'), { sizeBytes: 5_000, sha256: letter });
    const picture = expectedSha256('picture', 1_234_567, 8);
    t.true((await guest.command(`check letter ${letter}`)).ok);
    t.like(await guest.command(`check picture ${letter}`), {
      ok: false,
      exitCode: 1,
      line: `check picture ${picture} 1`,
    });
    t.like(await guest.command('read nothing'), { ok: false, exitCode: 2 });
    t.like(await guest.command('dance'), { ok: false, exitCode: 127 });
    t.like(await guest.poweroff(), { code: 0 });

    await server.stop();
    await t.notThrowsAsync(runTool('e2fsck', ['-fn', image]));
    t.regex(await readFile(consoleLog, 'utf8'), /Power down/);
  },
);

test.serial(
  'after a power cut every acknowledged write is there; a full disk fails the write and keeps the rest',
  async (t) => {
    t.timeout(400_000);
    const root = await folder(t);
    const artefacts = await prepareGuest({ image: SMALL });
    const file = join(root, 'disk.img');
    await copyFile(artefacts.rootImage, file);
    const first = start(t, { ...artefacts, disk: { file } });
    await first.ready(BOOT);
    for (const seed of [1, 2, 3]) await first.write(`file-${seed}`, 70_000 * seed, seed);
    // The cut comes with the first bytes of a rewrite that reach the disk.
    const watcher = watch(file);
    const cutShort = t.throwsAsync(first.command('write file-1 9000000 9'));
    await once(watcher, 'change');
    watcher.close();
    await first.kill();
    t.true(hasCode(await cutShort, 'GUEST_EXITED'));

    const second = start(t, { ...artefacts, disk: { file } });
    t.is(await second.checkAll(BOOT), 3);
    const tooBig = await second.command('write big 30000000 4', BOOT);
    t.is(tooBig.ok, false);
    t.not(tooBig.exitCode, 0);
    t.is(await second.checkAll(), 3);
    await second.write('after', 10_000, 5);
    t.is(await second.checkAll(), 4);
    await second.poweroff();
    await t.notThrowsAsync(runTool('e2fsck', ['-fn', file]));
  },
);

test.serial('damage on the disk is found and named', async (t) => {
  t.timeout(400_000);
  const root = await folder(t);
  const artefacts = await prepareGuest({ image: SMALL });
  const file = join(root, 'disk.img');
  await copyFile(artefacts.rootImage, file);
  const first = start(t, { ...artefacts, disk: { file } });
  await first.write('good', 20_000, 1, BOOT);
  await first.write('bad', 20_000, 2);
  await first.poweroff();
  const bytes = await readFile(file);
  const marker = bytes.indexOf(`1 ${createHash('sha512').update('bad 2').digest('hex')} 2 `);
  t.true(marker > 0);
  bytes[marker + 5_000]! ^= 1;
  await writeFile(file, bytes);

  const second = start(t, { ...artefacts, disk: { file } });
  const result = await second.command('checkall', BOOT);
  t.like(result, { ok: false, exitCode: 1, line: 'checkall bad.2 1' });
  t.true(hasCode(await t.throwsAsync(second.checkAll()), 'GUEST_COMMAND_FAILED'));
});

test.serial(
  'a disk that cannot be mounted, a server that is not there, and an abort each say what happened',
  async (t) => {
    t.timeout(400_000);
    const root = await folder(t);
    const artefacts = await prepareGuest({ image: SMALL });
    const empty = join(root, 'empty.img');
    await writeFile(empty, '');
    await truncate(empty, MIB);
    const unmountable = await t.throwsAsync(start(t, { ...artefacts, disk: { file: empty } }).ready(BOOT));
    t.true(hasCode(unmountable, 'GUEST_FAILED'));
    t.regex(unmountable!.message, /cannot mount the disk/);

    const socket = join(root, 'no.sock');
    const alone = await t.throwsAsync(start(t, { ...artefacts, disk: { socket, exportName: '' } }).ready(BOOT));
    t.true(hasCode(alone, 'GUEST_EXITED'));
    t.regex(alone!.message, /no\.sock/);

    const controller = new AbortController();
    const aborted = start(t, { ...artefacts, disk: { file: empty }, signal: controller.signal });
    const waiting = t.throwsAsync(aborted.ready(BOOT));
    controller.abort();
    t.true(hasCode(await waiting, 'GUEST_EXITED'));
    t.is((await aborted.exited).signal, 'SIGKILL');
  },
);

test.serial('QEMU does not outlive the process that started it, even when that one is killed', async (t) => {
  t.timeout(400_000);
  const root = await folder(t);
  const { kernel, initramfs, rootImage } = await prepareGuest({ image: SMALL });
  const file = join(root, 'disk.img');
  const qmp = join(root, 'qmp');
  await copyFile(rootImage, file);
  const boot = { kernel, initramfs, disk: { file }, qemuArgs: ['-qmp', `unix:${qmp},server=on,wait=off`] };
  const keeper = new URL('./keeper.ts', import.meta.url).pathname;
  const args = ['--conditions=source', keeper, JSON.stringify(boot)];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  t.teardown(() => child.kill('SIGKILL'));
  const [said] = await once(child.stdout, 'data');
  t.is(String(said), 'up\n');
  const monitor = connect(qmp);
  const ended = once(monitor, 'close');
  await once(monitor, 'data');
  child.kill('SIGKILL');
  await ended;
  t.pass();
});
