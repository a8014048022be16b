/**
 * State folders that were damaged, and work that was cut off: nothing wrong is ever served, what peers have is fetched again,
 * and what cannot be repaired is refused by name.
 */
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { diesOver, inject } from './inject.ts';
import { CMD, ERRNO, NbdClient, pattern } from './nbd.ts';
import { eventually, Host, isInstalled, type Json, temporaryFolder } from './processes.ts';

const MIB = 1024 * 1024;
const CHUNK = 65_536;

interface Setting {
  readonly folder: string;
  readonly home: Host;
  readonly content: Buffer;
  readonly image: string;
}

async function imported(t: ExecutionContext, length = 8 * MIB): Promise<Setting> {
  const folder = temporaryFolder(t);
  const home = new Host(t, folder, 'home');
  const content = pattern(length, 1);
  const image = path.join(folder, 'image.raw');
  fs.writeFileSync(image, content);
  await Promise.all([home.start(), home.ok('owner', 'init')]);
  await home.ok('disk', 'import', image, '--name', 'desktop');
  return { folder, home, content, image };
}

/** Files below a host's state folder whose path matches. */
function files(host: Host, what: RegExp): string[] {
  return fs
    .readdirSync(host.state, { recursive: true })
    .map((name) => path.join(host.state, String(name)))
    .filter((file) => what.test(file.slice(host.state.length)) && fs.statSync(file).isFile());
}

/** Turns every byte of `data` around, wherever it stands in the host's packs; how often that was. */
function damage(host: Host, data: Buffer): number {
  let found = 0;
  for (const file of files(host, /^\/store\//)) {
    const bytes = fs.readFileSync(file);
    const at = bytes.indexOf(data.subarray(0, 512));
    if (at < 0) continue;
    for (let index = 0; index < 1024; index++) bytes[at + index]! ^= 0xff;
    fs.writeFileSync(file, bytes);
    found += 1;
  }
  return found;
}

async function readAll(host: Host, length: number): Promise<Buffer> {
  const { socket } = await host.ok('disk', 'attach', 'desktop', '--read-only');
  const client = await NbdClient.connect(String(socket), 'desktop');
  const bytes = await client.read(0, length);
  await client.close();
  await host.ok('disk', 'detach', 'desktop');
  return bytes;
}

test('damaged chunks are neither served to the guest nor to peers; verify names them, and they come again from a peer', async (t) => {
  const { folder, home, content } = await imported(t);
  const office = new Host(t, folder, 'office');
  await office.start();
  await home.invite(office, 'desktop');
  await office.connectedTo(home);
  await office.ok('disk', 'pull', 'desktop');
  const [homePort, officePort] = [home.daemon!.listen, office.daemon!.listen];
  await home.stop();
  const damaged = [3, 50, 99];
  for (const piece of damaged)
    t.is(damage(home, content.subarray(piece * CHUNK, (piece + 1) * CHUNK)), 1, `chunk ${piece}`);
  await home.start({ args: ['--listen', homePort, '--peer', officePort] });
  await home.connectedTo(office);
  t.true((await readAll(home, content.length)).equals(content));
  const verified = await home.ok('store', 'verify');
  t.deepEqual(verified.corrupt, []);
  // Found by looking, before anybody reads: gone from the claims, fetched again by a pull.
  await home.stop();
  t.is(damage(home, content.subarray(7 * CHUNK, 8 * CHUNK)), 1);
  await home.start({ args: ['--listen', homePort, '--peer', officePort] });
  const found = await home.run(['store', 'verify']);
  t.deepEqual([found.exitCode, found.errorCode, (found.document.corrupt as string[]).length], [1, 'CHUNK_CORRUPT', 1]);
  t.is((await home.info('desktop')).piecesPresent, content.length / CHUNK - 1);
  await home.ok('disk', 'pull', 'desktop');
  t.deepEqual((await home.ok('store', 'verify')).corrupt, []);
  t.true((await readAll(home, content.length)).equals(content));
});

test('a guest that reads a damaged chunk nobody else has waits for it and gets no wrong byte; the rest is served', async (t) => {
  const { home, content } = await imported(t);
  await home.stop();
  t.is(damage(home, content.subarray(0, CHUNK)), 1);
  await home.start();
  const { socket } = await home.ok('disk', 'attach', 'desktop');
  const client = await NbdClient.connect(String(socket), 'desktop');
  const missing = client.read(0, CHUNK);
  const outcome = missing.then(
    () => 'answered',
    () => 'failed',
  );
  t.true((await client.read(CHUNK, content.length - CHUNK)).equals(content.subarray(CHUNK)));
  t.is(await Promise.race([outcome, new Promise((resolve) => setTimeout(resolve, 500, 'waits'))]), 'waits');
  // A guest that writes all of it needs it no more.
  t.is(await client.write(0, pattern(CHUNK, 9)), 0);
  t.true((await client.read(0, CHUNK)).equals(pattern(CHUNK, 9)));
  client.destroy();
  await outcome;
  t.is((await home.ok('disk', 'seal', 'desktop')).sequence, 2);
});

test('a disk that reports errors for a while: reads fail, a verify names every chunk, and none is forgotten', async (t) => {
  if (!isInstalled('strace')) return t.fail('strace is not installed: node scripts/setup.mjs test');
  const { home, content } = await imported(t, 4 * MIB);
  const { socket } = await home.ok('disk', 'attach', 'desktop');
  const client = await NbdClient.connect(String(socket), 'desktop');
  const written = pattern(4096, 3);
  t.is(await client.write(5 * CHUNK, written), 0);
  content.set(written, 5 * CHUNK);
  const failing = await inject(t, home.daemon!.pid, 'pread64,preadv,preadv2:error=EIO');
  for (const offset of [3 * CHUNK, 5 * CHUNK]) {
    const { errno } = await client.request(CMD.read, offset, 4096);
    t.is(errno, ERRNO.io, `at ${offset}`);
  }
  const verified = await home.run(['store', 'verify']);
  t.is(verified.errorCode, 'CHUNK_CORRUPT');
  await failing.stop();
  t.true((await client.read(0, content.length)).equals(content));
  t.deepEqual((await home.ok('store', 'verify')).corrupt, []);
  await client.close();
  t.is((await home.ok('disk', 'seal', 'desktop')).sequence, 2);
});

test('metadata that was damaged in the middle is refused by name; a torn end is not damage', async (t) => {
  const { home, content } = await imported(t);
  await home.stop();
  const [meta] = files(home, /^\/meta\.journal/);
  const whole = fs.readFileSync(meta!);
  const damaged = Buffer.from(whole);
  damaged[64]! ^= 0xff;
  for (let at = 0; at < 64; at++) damaged[128 + at]! ^= 0x55;
  fs.writeFileSync(meta!, damaged);
  const refused = await home.run(['agent', '--listen', '127.0.0.1:0']);
  t.is(refused.exitCode, 1);
  t.true(['JOURNAL_CORRUPT', 'FORMAT_INVALID'].includes(String(refused.errorCode)), JSON.stringify(refused.document));
  t.true(fs.readFileSync(meta!).equals(damaged), 'the damaged file was changed');
  fs.writeFileSync(meta!, Buffer.concat([whole, pattern(100, 3)]));
  await home.start();
  t.true((await readAll(home, content.length)).equals(content));
});

test('an import, a pull and a removal that were killed leave a host that is whole, and can be done again', async (t) => {
  const { folder, home } = await imported(t);
  const big = path.join(folder, 'big.raw');
  fs.writeFileSync(big, pattern(128 * MIB, 5));
  const before = Number(((await home.call('store.stats', {})) as Json).bytes);
  await inject(t, home.daemon!.pid, 'pwrite64,pwritev:signal=SIGKILL:when=5');
  t.true(await diesOver(home.daemon!, home.ok('disk', 'import', big, '--name', 'big')), 'in the middle of it');
  await home.start();
  t.deepEqual(
    ((await home.ok('disk', 'ls')).disks as Json[]).map(({ name }) => name),
    ['desktop'],
  );
  t.is(Number((await home.ok('store', 'stats')).bytes), before);
  t.is((await home.ok('disk', 'import', big, '--name', 'big')).piecesPresent, 2048);
  const office = new Host(t, folder, 'office');
  await office.start();
  await home.invite(office, 'big');
  await office.connectedTo(home);
  const pulling = office.run(['disk', 'pull', 'big']).catch(() => null);
  await eventually('the pull is under way', async () => Number((await office.info('big')).piecesPresent) > 100);
  await office.daemon!.crash();
  await pulling;
  await office.start();
  await office.connectedTo(home);
  t.is((await office.ok('disk', 'pull', 'big')).piecesPresent, 2048);
  t.deepEqual((await office.ok('store', 'verify')).corrupt, []);
  const removing = office.run(['disk', 'rm', 'big', '--force']).catch(() => null);
  await eventually(
    'the removal is under way',
    async () => ((await office.call('disk.ls', {})) as { disks: Json[] }).disks.length === 0,
  ).catch(() => null);
  await office.daemon!.crash();
  await removing;
  await office.start();
  t.deepEqual((await office.ok('disk', 'ls')).disks, []);
  t.is((await office.ok('store', 'stats')).chunks, 0);
});

test('a tracker that answers with garbage, without end, or never, is named in the status and costs nothing else', async (t) => {
  const { folder, home, content } = await imported(t);
  const open = new Set<net.Socket>();
  const serve = async (answer: (socket: net.Socket) => void): Promise<string> => {
    const server = net.createServer((socket) => {
      open.add(socket);
      socket.on('error', () => {});
      socket.once('data', () => answer(socket));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    t.teardown(() => {
      server.close();
      for (const socket of open) socket.destroy();
    });
    return `http://127.0.0.1:${(server.address() as net.AddressInfo).port}/announce`;
  };
  const head = 'HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n';
  const lying = [
    await serve((socket) => socket.end(`${head}\r\nhello`)),
    await serve((socket) => {
      socket.write(`${head}transfer-encoding: chunked\r\n\r\n`);
      const piece = `100000\r\n${'d'.repeat(MIB)}\r\n`;
      const more = (): void => {
        while (!socket.destroyed && socket.write(piece));
      };
      socket.on('drain', more);
      more();
    }),
    await serve(() => {}),
    await serve((socket) => socket.end(`${head}\r\nd8:intervali-5e5:peers12:${'\0'.repeat(12)}e`)),
    await serve((socket) => socket.end(`HTTP/1.1 302 Found\r\nlocation: file:///etc/passwd\r\n\r\n`)),
  ];
  await home.stop();
  const before = await home.start({ args: lying.flatMap((url) => ['--tracker', url]) }).then(() => rss(home));
  const office = new Host(t, folder, 'office');
  await office.start();
  await home.invite(office, 'desktop');
  await office.connectedTo(home);
  t.true((await readAll(office, content.length)).equals(content));
  const trackers = await eventually(
    'every tracker was tried',
    async () => {
      const status = (await home.call('status', {})) as { trackers: { url: string; ok: boolean; message: string }[] };
      return status.trackers.filter(({ message }) => message !== '').length >= 4 ? status.trackers : null;
    },
    40_000,
  );
  t.deepEqual(
    trackers
      .filter(({ ok }) => ok)
      .map(({ url }) => lying.indexOf(url))
      .filter((index) => index !== 3),
    [],
  );
  t.true(rss(home) - before < 96 * MIB, `${rss(home) - before} bytes more`);
});

function rss(host: Host): number {
  return Number(/RssAnon:\s+(\d+) kB/.exec(fs.readFileSync(`/proc/${host.daemon!.pid}/status`, 'utf8'))?.[1]) * 1024;
}
