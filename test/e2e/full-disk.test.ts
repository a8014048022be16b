/**
 * The file system of the state folder fills up: new data is refused, everything before it is safe, and room heals it.
 *
 * The state folder lies on a small tmpfs in the mount namespace of a process that only waits; the others reach it through
 * /proc/PID/root, and it is gone when that process ends. Works without root where the kernel lets users make namespaces.
 */
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { CMD, ERRNO, NbdClient, pattern } from './nbd.ts';
import { eventually, Host, type Json, temporaryFolder } from './processes.ts';

const MIB = 1024 * 1024;
const CHUNK = 65_536;
/** An overlay keeps 64 MiB free for what must always fit; the rest is for data and its seal. */
const ROOM = 160 * MIB;
const DISK = 256 * MIB;

/** A folder on a file system of `sizeBytes` of its own; null where this machine lets nobody make one. */
async function smallFolder(t: ExecutionContext, sizeBytes: number): Promise<string | null> {
  const folder = temporaryFolder(t);
  const user = process.getuid?.() === 0 ? [] : ['--user', '--map-root-user'];
  const script = 'mount -t tmpfs -o size="$1",mode=0700 none "$0" && echo mounted && exec sleep 600';
  const keeper = spawn('unshare', [...user, '--mount', 'sh', '-c', script, folder, String(sizeBytes)], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const closed = new Promise<null>((resolve) => {
    keeper.once('error', () => resolve(null));
    keeper.once('close', () => resolve(null));
  });
  const mounted = await Promise.race([
    new Promise<true>((resolve) => keeper.stdout.once('data', () => resolve(true))),
    closed,
  ]);
  t.teardown(async () => {
    keeper.kill('SIGKILL');
    await closed;
  });
  return mounted === null ? null : `/proc/${keeper.pid}/root${folder}`;
}

/** Takes all that is left of the file system. */
function fill(file: string): void {
  const fd = fs.openSync(file, 'a');
  try {
    for (const size of [MIB, 4096]) {
      try {
        for (;;) fs.writeSync(fd, Buffer.alloc(size, 1));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
      }
    }
  } finally {
    fs.closeSync(fd);
  }
}

interface Setting {
  readonly home: Host;
  readonly client: NbdClient;
  readonly socket: string;
  readonly small: string;
  readonly outside: string;
  readonly content: Buffer;
}

async function setting(t: ExecutionContext): Promise<Setting | null> {
  const small = await smallFolder(t, ROOM);
  if (small === null) return null;
  const outside = temporaryFolder(t);
  const home = new Host(t, outside, 'home', path.join(small, 'home'));
  const image = path.join(outside, 'image.raw');
  const content = pattern(4 * MIB, 1);
  fs.writeFileSync(image, content);
  fs.truncateSync(image, DISK);
  await Promise.all([home.start(), home.ok('owner', 'init')]);
  await home.ok('disk', 'import', image, '--name', 'desktop');
  const { socket } = (await home.ok('disk', 'attach', 'desktop')) as { socket: string };
  return { home, client: await NbdClient.connect(socket, 'desktop'), socket, small, outside, content };
}

/** Writes chunk after chunk from `chunk` on until one is refused; the next one's index, and why. */
async function writeUntilRefused(client: NbdClient, chunk: number): Promise<{ chunk: number; errno: number }> {
  for (; chunk < DISK / CHUNK; chunk++) {
    const errno = await client.write(chunk * CHUNK, pattern(CHUNK, chunk + 10));
    if (errno !== 0) return { chunk, errno };
  }
  return { chunk, errno: 0 };
}

/** Names the chunks in [from, to) that do not hold what was acknowledged. */
async function wrong(client: NbdClient, from: number, to: number): Promise<number[]> {
  const bad: number[] = [];
  for (let chunk = from; chunk < to; chunk++) {
    if (!(await client.read(chunk * CHUNK, CHUNK)).equals(pattern(CHUNK, chunk + 10))) bad.push(chunk);
  }
  return bad;
}

test.serial(
  'a guest that fills the state folder gets ENOSPC for new data alone; all of it seals; room lets it go on',
  async (t) => {
    const made = await setting(t);
    if (made === null) return t.pass('no mount namespace can be made here');
    const { home, client, small, outside, content } = made;
    const ballast = path.join(small, 'ballast');
    fs.writeFileSync(ballast, Buffer.alloc(48 * MIB));
    const first = (4 * MIB) / CHUNK;
    const refused = await writeUntilRefused(client, first);
    t.is(refused.errno, ERRNO.nospc);
    const end = refused.chunk - 1;
    t.true(end - first > 64, `only ${end - first} chunks fitted`);
    // What was written can be read, written again, discarded and made durable; what was sealed before is there.
    t.deepEqual(await wrong(client, first, end), []);
    t.true((await client.read(0, 4 * MIB)).equals(content));
    t.is(await client.write(first * CHUNK, pattern(CHUNK, first + 10)), 0);
    t.is((await client.request(CMD.trim, end * CHUNK, CHUNK)).errno, 0);
    t.true((await client.read(end * CHUNK, CHUNK)).equals(Buffer.alloc(CHUNK)));
    t.is(await client.flush(), 0);
    // The room that was kept back is enough to seal it all.
    t.is((await home.ok('disk', 'seal', 'desktop')).sequence, 2);
    t.deepEqual(await wrong(client, first, end), []);
    fs.rmSync(ballast);
    const more = await eventually('new data is taken again', async () => {
      const next = await writeUntilRefused(client, end);
      return next.chunk > end ? next : null;
    });
    t.deepEqual(await wrong(client, first, more.chunk), []);
    await client.close();
    const out = path.join(outside, 'out.raw');
    await home.ok('disk', 'export', 'desktop@2', out);
    const image = fs.openSync(out, 'r');
    const chunk = Buffer.alloc(CHUNK);
    for (let index = first; index < end; index++) {
      fs.readSync(image, chunk, 0, CHUNK, index * CHUNK);
      if (!chunk.equals(pattern(CHUNK, index + 10))) t.fail(`chunk ${index} of the sealed image`);
    }
    fs.closeSync(image);
  },
);

test.serial(
  'a file system that others fill to the last byte: commands say DISK_FULL, the agent lives, a restart loses nothing',
  async (t) => {
    const made = await setting(t);
    if (made === null) return t.pass('no mount namespace can be made here');
    const { home, client, socket, small, outside } = made;
    const first = (4 * MIB) / CHUNK;
    for (let chunk = first; chunk < first + 64; chunk++)
      t.is(await client.write(chunk * CHUNK, pattern(CHUNK, chunk + 10)), 0);
    t.is(await client.flush(), 0);
    const ballast = path.join(small, 'ballast');
    fill(ballast);
    const refused = await writeUntilRefused(client, first + 64);
    t.is(refused.errno, ERRNO.nospc);
    t.deepEqual(await wrong(client, first, refused.chunk), []);
    t.is(await client.write(first * CHUNK, pattern(CHUNK, first + 10)), 0);
    t.is((await home.run(['disk', 'seal', 'desktop'])).errorCode, 'DISK_FULL');
    const imported = path.join(outside, 'other.raw');
    fs.writeFileSync(imported, pattern(8 * MIB, 77));
    t.is((await home.run(['disk', 'import', imported, '--name', 'other'])).errorCode, 'DISK_FULL');
    t.deepEqual(
      ((await home.ok('disk', 'ls')).disks as Json[]).map(({ name }) => name),
      ['desktop'],
    );
    t.deepEqual(await wrong(client, first, refused.chunk), []);
    // The agent dies on the full disk. Whether it can start there or says why not, nothing is lost.
    await home.daemon!.crash();
    const started = await home.start().then(
      () => true,
      (error: Error) => /DISK_FULL/.test(error.message) || t.fail(error.message),
    );
    fs.rmSync(ballast);
    t.true(started);
    if (!home.daemon!.running) await home.start();
    if ((await home.info('desktop')).attached === null) await home.ok('disk', 'attach', 'desktop');
    const again = await NbdClient.connect(socket, 'desktop');
    t.deepEqual(await wrong(again, first, refused.chunk), []);
    await eventually(
      'new data is taken again',
      async () => (await again.write(refused.chunk * CHUNK, pattern(CHUNK, refused.chunk + 10))) === 0,
    );
    await again.close();
    t.is((await home.ok('disk', 'seal', 'desktop')).sequence, 2);
    t.is((await home.ok('disk', 'import', imported, '--name', 'other')).sizeBytes, 8 * MIB);
  },
);

test.serial(
  'a host without room for what it fetches serves its guest all the same, says DISK_FULL to a pull, and completes with room',
  async (t) => {
    const small = await smallFolder(t, ROOM);
    if (small === null) return t.pass('no mount namespace can be made here');
    const outside = temporaryFolder(t);
    const [home, office] = [new Host(t, outside, 'home'), new Host(t, outside, 'office', path.join(small, 'office'))];
    const content = pattern(8 * MIB, 1);
    const image = path.join(outside, 'image.raw');
    fs.writeFileSync(image, content);
    await Promise.all([home.start(), office.start(), home.ok('owner', 'init')]);
    await home.ok('disk', 'import', image, '--name', 'desktop');
    await home.invite(office, 'desktop');
    await office.connectedTo(home);
    const { socket } = (await office.ok('disk', 'attach', 'desktop', '--read-only')) as { socket: string };
    const client = await NbdClient.connect(socket, 'desktop');
    t.true((await client.read(0, CHUNK)).equals(content.subarray(0, CHUNK)));
    const ballast = path.join(small, 'ballast');
    fill(ballast);
    for (let piece = 1; piece < 64; piece += 3) {
      t.true(
        (await client.read(piece * CHUNK, CHUNK)).equals(content.subarray(piece * CHUNK, (piece + 1) * CHUNK)),
        `chunk ${piece}`,
      );
    }
    const pulled = await office.run(['disk', 'pull', 'desktop']);
    t.deepEqual([pulled.exitCode, pulled.errorCode], [1, 'DISK_FULL']);
    t.true((await client.read(100 * CHUNK, CHUNK)).equals(content.subarray(100 * CHUNK, 101 * CHUNK)));
    fs.rmSync(ballast);
    const info = await office.ok('disk', 'pull', 'desktop');
    t.is(info.piecesPresent, info.piecesTotal);
    t.true((await client.read(0, content.length)).equals(content));
    await client.close();
  },
);
