/**
 * The agent dies, or the disk under it fails, while somebody writes: everything acknowledged is there, and work goes on.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { bootGuest, prepareGuest, probeQemu } from '@diskswarm/guest';
import test, { type ExecutionContext } from 'ava';
import { diesOver, inject, ONE_POOL_THREAD } from './inject.ts';
import { ERRNO, FLAG, NbdClient, pattern } from './nbd.ts';
import { eventually, Host, isInstalled, program, temporaryFolder } from './processes.ts';

const MIB = 1024 * 1024;
const BLOCK = 4096;

/** A host whose disk of `length` patterned bytes is attached at `socket`. */
async function attached(
  t: ExecutionContext,
  length: number,
): Promise<{ folder: string; home: Host; socket: string; uri: string; content: Buffer }> {
  const folder = temporaryFolder(t);
  const home = new Host(t, folder, 'home');
  const content = pattern(length, 1);
  const image = path.join(folder, 'image.raw');
  fs.writeFileSync(image, content);
  await Promise.all([home.start(), home.ok('owner', 'init')]);
  await home.ok('disk', 'import', image, '--name', 'desktop');
  const { socket, uri } = (await home.ok('disk', 'attach', 'desktop')) as { socket: string; uri: string };
  return { folder, home, socket, uri, content };
}

/** Writes blocks without end over one connection and remembers, for each block, what was acknowledged and what may be there. */
class Writer {
  readonly acknowledged = new Map<number, number>();
  readonly possible = new Map<number, Set<number>>();
  count = 0;

  /** Keeps `depth` writes in flight until the connection ends; each version is of one block and never used twice. */
  async run(client: NbdClient, blocks: number, depth: number): Promise<void> {
    const lane = async (first: number): Promise<void> => {
      for (let index = first; ; index += depth) {
        const block = (index * 7919) % blocks;
        // Two writes of a block must not be in flight at once: their order would be anybody's.
        const version = ++this.count;
        this.possible.set(block, (this.possible.get(block) ?? new Set()).add(version));
        if ((await client.write(block * BLOCK, pattern(BLOCK, version), version % 50 === 0 ? FLAG.fua : 0)) !== 0)
          throw new Error('a write failed');
        this.acknowledged.set(block, version);
        this.possible.set(block, new Set([version]));
      }
    };
    await Promise.allSettled(Array.from({ length: depth }, (_, first) => lane(first)));
  }

  /** Every acknowledged block holds what was acknowledged, or a write after it that was under way. */
  check(t: ExecutionContext, now: Buffer): void {
    const lost: number[] = [];
    for (const [block, versions] of this.possible) {
      const bytes = now.subarray(block * BLOCK, (block + 1) * BLOCK);
      const candidates = [...versions];
      if (!this.acknowledged.has(block)) continue;
      if (!candidates.some((version) => bytes.equals(pattern(BLOCK, version)))) lost.push(block);
    }
    t.deepEqual(lost, []);
  }
}

test('SIGKILL during writes, again and again: what was acknowledged is there, also after the seal that follows', async (t) => {
  const { folder, home, socket } = await attached(t, 16 * MIB);
  const writer = new Writer();
  for (const acknowledgements of [300, 900, 2500]) {
    const client = await NbdClient.connect(socket, 'desktop');
    const goal = writer.count + acknowledgements;
    const running = writer.run(client, 4096, 16);
    await eventually(`${acknowledgements} writes`, () => writer.count >= goal);
    await home.daemon!.crash();
    await running;
    await home.start();
    const again = await NbdClient.connect(socket, 'desktop');
    writer.check(t, await again.read(0, 16 * MIB));
    await again.close();
  }
  t.true(writer.acknowledged.size > 500);
  // Killed in the middle of a seal: nothing of it counts, or all of it does.
  const sealing = home.run(['disk', 'seal', 'desktop']).catch(() => null);
  await eventually(
    'the seal has begun',
    () =>
      fs
        .readdirSync(path.join(home.state, 'disks'), { recursive: true })
        .some((name) => /overlay-1\/[2-9]\.map$/.test(String(name))),
    10_000,
  ).catch(() => null);
  await home.daemon!.crash();
  await sealing;
  await home.start();
  const client = await NbdClient.connect(socket, 'desktop');
  const whole = await client.read(0, 16 * MIB);
  writer.check(t, whole);
  await client.close();
  t.true(Number((await home.ok('disk', 'seal', 'desktop')).sequence) >= 2);
  await home.ok('disk', 'export', 'desktop', path.join(folder, 'out.raw'));
  t.true(fs.readFileSync(path.join(folder, 'out.raw')).equals(whole));
});

test('a seal whose agent dies at any of its syncs is done or not begun, and loses no write', async (t) => {
  if (!isInstalled('strace')) return t.fail('strace is not installed: node scripts/setup.mjs test');
  const { folder, home, socket, content } = await attached(t, 4 * MIB);
  const restart = (): Promise<unknown> => home.start({ env: ONE_POOL_THREAD });
  await home.stop();
  await restart();
  let sequence = 1;
  let deaths = 0;
  for (let when = 1; when <= 5; when++) {
    const client = await NbdClient.connect(socket, 'desktop');
    const bytes = pattern(3 * BLOCK, 100 + when);
    content.set(bytes, when * 100_000);
    t.is(await client.write(when * 100_000, bytes), 0);
    await client.close();
    const { pid } = home.daemon!;
    await inject(t, pid, `fdatasync,fsync:signal=SIGKILL:when=${when}`);
    if (await diesOver(home.daemon!, home.call('disk.seal', { name: 'desktop' }))) deaths += 1;
    await home.daemon!.crash();
    await restart();
    const now = Number((await home.info('desktop')).sequence);
    t.true(now === sequence || now === sequence + 1, `sequence ${now} after ${sequence}`);
    sequence = now;
    const again = await NbdClient.connect(socket, 'desktop');
    t.true((await again.read(0, 4 * MIB)).equals(content), `after a death at sync ${when}`);
    await again.close();
  }
  t.true(deaths >= 3, `only ${deaths} syncs`);
  await home.ok('disk', 'seal', 'desktop');
  await home.ok('disk', 'export', 'desktop', path.join(folder, 'out.raw'));
  t.true(fs.readFileSync(path.join(folder, 'out.raw')).equals(content));
  t.deepEqual((await home.ok('store', 'verify')).corrupt, []);
});

test('qemu-io keeps its connection over a SIGKILL of the agent and finds all it wrote', async (t) => {
  if (!isInstalled('qemu-io')) return t.fail('qemu-io is not installed: node scripts/setup.mjs test');
  const { home, socket } = await attached(t, 32 * MIB);
  const options = `driver=nbd,server.type=unix,server.path=${socket},export=desktop,reconnect-delay=60`;
  const places = Array.from({ length: 480 }, (_, index) => index);
  const commands = [
    ...places.map((index) => `write -P ${(index % 255) + 1} ${index * 65_536} 65536`),
    ...places.map((index) => `read -P ${(index % 255) + 1} ${index * 65_536} 65536`),
    'quit',
  ];
  const child = spawn('qemu-io', ['--image-opts', options], { stdio: ['pipe', 'pipe', 'pipe'] });
  t.teardown(() => void child.kill('SIGKILL'));
  const exited = new Promise((resolve) => child.once('close', resolve));
  const output = collect(child);
  // One command at a time: qemu-io does not look for a second one that came with the first.
  child.stdout.on('data', () => {
    if (output().endsWith('qemu-io> ')) child.stdin.write(`${commands.shift()}\n`);
  });
  await eventually('some writes', () => count(output(), /wrote 65536/g) >= 60);
  await home.daemon!.crash();
  await home.start();
  await exited;
  t.is(count(output(), /wrote 65536/g), 480);
  t.is(count(output(), /read 65536/g), 480);
  t.notRegex(output(), /fail|error|pattern/i);
});

test('a guest goes on over a SIGKILL of the agent; all its files are there, and after a reboot too', async (t) => {
  if (!probeQemu().available) return t.pass('QEMU is not installed');
  const { kernel, initramfs, rootImage } = await prepareGuest();
  const folder = temporaryFolder(t);
  const home = new Host(t, folder, 'home');
  await Promise.all([home.start(), home.ok('owner', 'init')]);
  await home.ok('disk', 'import', rootImage, '--name', 'desktop');
  const { uri } = await home.ok('disk', 'attach', 'desktop');
  const guest = bootGuest({ disk: { nbdUri: String(uri) }, kernel, initramfs, reconnectDelaySeconds: 60 });
  t.teardown(() => guest.stop());
  await guest.ready();
  await guest.write('before', 300_000, 1);
  const dirty = Number((await home.info('desktop')).overlayDirtyBytes);
  const writing = guest.write('during', 3_000_000, 2);
  await eventually(
    'the guest writes',
    async () => Number((await home.info('desktop')).overlayDirtyBytes) > dirty + 200_000,
  );
  await home.daemon!.crash();
  await home.start();
  t.is((await writing).sizeBytes, 3_000_000);
  await guest.write('after', 100_000, 3);
  t.is(await guest.checkAll(), 3);
  await guest.reboot();
  t.is(await guest.checkAll(), 3);
  await guest.poweroff();
});

test('a sync that fails closes the export until somebody attaches it again, with all that was flushed before', async (t) => {
  if (!isInstalled('strace')) return t.fail('strace is not installed: node scripts/setup.mjs test');
  const { home, socket, content } = await attached(t, 4 * MIB);
  const client = await NbdClient.connect(socket, 'desktop');
  t.is(await client.write(0, pattern(BLOCK, 1)), 0);
  t.is(await client.flush(), 0);
  t.is(await client.write(BLOCK, pattern(BLOCK, 2)), 0);
  const failing = await inject(t, home.daemon!.pid, 'fdatasync,fsync:error=EIO');
  const answers = await Promise.allSettled([client.flush(), client.write(2 * BLOCK, pattern(BLOCK, 3), FLAG.fua)]);
  for (const answer of answers)
    t.true(answer.status === 'rejected' || answer.value !== 0, 'acknowledged without a sync');
  t.regex(String(await client.ended), /hung up|EPIPE|ECONNRESET/);
  await failing.stop();
  // Nobody gets back in by trying again: a flush repeated there would be answered, and cover nothing that the first one lost.
  await eventually('the disk is detached', async () => (await home.info('desktop')).attached === null);
  await t.throwsAsync(NbdClient.connect(socket, 'desktop'));
  await home.daemon!.crash();
  await home.start();
  t.is((await home.info('desktop')).attached, null);
  await home.ok('disk', 'attach', 'desktop');
  const next = await NbdClient.connect(socket, 'desktop');
  t.true((await next.read(0, BLOCK)).equals(pattern(BLOCK, 1)));
  for (const [block, version] of [
    [1, 2],
    [2, 3],
  ] as const) {
    const now = await next.read(block * BLOCK, BLOCK);
    t.true(
      now.equals(pattern(BLOCK, version)) || now.equals(content.subarray(block * BLOCK, (block + 1) * BLOCK)),
      `block ${block}`,
    );
  }
  t.is(await next.write(3 * BLOCK, pattern(BLOCK, 4)), ERRNO.ok);
  t.is(await next.flush(), 0);
  await next.close();
  t.is((await home.ok('disk', 'seal', 'desktop')).sequence, 2);
});

function collect(child: ChildProcess): () => string {
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (piece: string) => {
      text += piece;
    });
  }
  return () => text;
}

function count(text: string, what: RegExp): number {
  return text.match(what)?.length ?? 0;
}

test('fio verifies its own writes on an export whose agent was killed and started again', async (t) => {
  if (!isInstalled('fio')) return t.fail('fio is not installed: node scripts/setup.mjs test');
  const { folder, home, uri } = await attached(t, 32 * MIB);
  const job = [
    'fio',
    '--name=v',
    '--ioengine=nbd',
    `--uri=${uri}`,
    '--rw=randwrite',
    '--bs=4k-64k',
    '--iodepth=16',
    '--size=24m',
    '--randseed=7',
    '--verify=crc32c',
    `--aux-path=${folder}`,
  ];
  const engine = await program(job.concat('--do_verify=0')).catch((error: Error) => error);
  if (engine instanceof Error)
    return /engine/i.test(engine.message) ? t.pass('this fio has no nbd engine') : t.fail(engine.message);
  await home.daemon!.crash();
  await home.start();
  t.notRegex(await program(job.concat('--verify_only=1')), /verify: bad|err=[^ ]*[1-9]/);
});
