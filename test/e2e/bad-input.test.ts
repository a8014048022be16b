/**
 * What people and programs get wrong, against real processes: each gets a stable code, and nothing else is disturbed.
 */
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { fromHex } from '@diskswarm/core';
import { systemRandom } from '@diskswarm/core/system';
import {
  createHostKeys,
  createInvitation,
  createOwner,
  decodeEpochRecord,
  decodeGenesis,
  verifyRoster,
} from '@diskswarm/identity';
import test, { type ExecutionContext } from 'ava';
import { CMD, ERRNO, NbdClient, pattern, requestBytes } from './nbd.ts';
import { eventually, Host, isInstalled, type Json, program, startTracker, temporaryFolder } from './processes.ts';

const MIB = 1024 * 1024;
/** The longest line that the agent reads. */
const LONGEST_LINE_BYTES = 4 * MIB;
const CHUNK = 65_536;

/** A host with an owner file and an image of `length` random-looking bytes. */
async function homeWithImage(
  t: ExecutionContext,
  length = 4 * MIB,
): Promise<{ folder: string; home: Host; image: string; content: Buffer }> {
  const folder = temporaryFolder(t);
  const home = new Host(t, folder, 'home');
  const image = path.join(folder, 'image.raw');
  const content = pattern(length, 1);
  fs.writeFileSync(image, content);
  await Promise.all([home.start(), home.ok('owner', 'init')]);
  return { folder, home, image, content };
}

async function writableClient(home: Host, disk: string): Promise<NbdClient> {
  const { socket, exportName } = await home.ok('disk', 'attach', disk);
  return NbdClient.connect(String(socket), String(exportName));
}

test('images that are no disks are refused by name, and leave nothing behind', async (t) => {
  const { folder, home, image } = await homeWithImage(t);
  const file = (name: string, bytes: Uint8Array): string => {
    fs.writeFileSync(path.join(folder, name), bytes);
    return path.join(folder, name);
  };
  const bad = [
    path.join(folder, 'missing.raw'),
    folder,
    file('empty.raw', new Uint8Array(0)),
    file('odd.raw', pattern(1_000_000, 3)),
    file('vmdk.raw', Buffer.concat([Buffer.from('KDMV'), Buffer.alloc(508)])),
    file('head.qcow2', Buffer.concat([Buffer.from('QFI\xfb', 'latin1'), Buffer.alloc(508)])),
  ];
  if (isInstalled('qemu-img')) {
    const whole = path.join(folder, 'whole.qcow2');
    await program(['qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2', image, whole]);
    bad.push(file('cut.qcow2', fs.readFileSync(whole).subarray(0, 2 * MIB)));
  }
  for (const each of bad) {
    const { exitCode, errorCode, errorMessage } = await home.run(['disk', 'import', each, '--name', 'bad']);
    t.deepEqual([exitCode, errorCode], [1, 'BAD_IMAGE'], each);
    t.true(errorMessage.includes(path.basename(each)), errorMessage);
  }
  t.deepEqual((await home.ok('disk', 'ls')).disks, []);
  t.is((await home.ok('store', 'stats')).chunks, 0);
  t.deepEqual(
    fs.existsSync(path.join(home.state, 'scratch')) ? fs.readdirSync(path.join(home.state, 'scratch')) : [],
    [],
  );
  t.is((await home.ok('disk', 'import', image, '--name', 'bad')).sizeBytes, 4 * MIB);
});

test('a name that exists, names and chunk sizes that cannot be: refused before anything is read', async (t) => {
  const { home, image } = await homeWithImage(t);
  const before = await home.ok('disk', 'import', image, '--name', 'desktop');
  const again = await home.run(['disk', 'import', image, '--name', 'desktop']);
  t.deepEqual([again.exitCode, again.errorCode], [1, 'NAME_EXISTS']);
  for (const size of ['8K', '2M', '48K', '65535', '0']) {
    t.is(
      (await home.run(['disk', 'import', image, '--name', 'other', '--chunk-size', size])).errorCode,
      'BAD_CHUNK_SIZE',
      size,
    );
  }
  for (const name of ['', '../up', 'a/b', 'UPPER', 'x'.repeat(65)]) {
    const { exitCode, errorCode } = await home.run(['disk', 'import', image, '--name', name]);
    t.deepEqual([exitCode, errorCode], [2, 'INVALID_ARGUMENT'], name);
  }
  const { disks } = (await home.ok('disk', 'ls')) as { disks: Json[] };
  t.deepEqual(
    disks.map(({ name, root }) => [name, root]),
    [['desktop', before.root]],
  );
});

test('a second agent on a state folder names the first and leaves it alone; a newer folder is not touched', async (t) => {
  const folder = temporaryFolder(t);
  const home = new Host(t, folder, 'home');
  const { pid } = await home.start();
  const second = await home.run(['agent', '--listen', '127.0.0.1:0']);
  t.deepEqual([second.exitCode, second.errorCode, second.errorData.pid], [1, 'AGENT_ALREADY_RUNNING', pid]);
  t.deepEqual((await home.ok('disk', 'ls')).disks, []);
  await home.stop();
  fs.writeFileSync(path.join(home.state, 'version'), '2\n');
  const snapshot = (): string[] => fs.readdirSync(home.state, { recursive: true }).map(String).sort();
  const before = snapshot();
  const newer = await home.run(['agent', '--listen', '127.0.0.1:0']);
  t.deepEqual([newer.exitCode, newer.errorCode, newer.errorData.found], [1, 'STATE_VERSION', 2]);
  t.deepEqual(snapshot(), before);
  t.is((await home.run(['disk', 'ls'])).errorCode, 'AGENT_NOT_RUNNING');
});

test('a state folder that cannot be one is refused at once: a file, a place that takes no folders, a folder of other things', async (t) => {
  const folder = temporaryFolder(t);
  const file = path.join(folder, 'file');
  fs.writeFileSync(file, 'mine');
  fs.mkdirSync(path.join(folder, 'photos'));
  fs.writeFileSync(path.join(folder, 'photos', 'cat.jpg'), 'cat');
  const places: [string, string][] = [
    [file, 'WRITE_FAILED'],
    [path.join(file, 'below'), 'WRITE_FAILED'],
    ['/proc/diskswarm/state', 'WRITE_FAILED'],
    [path.join(folder, 'photos'), 'INVALID_ARGUMENT'],
  ];
  for (const [place, code] of places) {
    const { errorCode } = await new Host(t, folder, 'home', place).run(['agent', '--listen', '127.0.0.1:0']);
    t.is(errorCode, code, place);
  }
  t.is(fs.readFileSync(file, 'utf8'), 'mine');
  t.deepEqual(fs.readdirSync(path.join(folder, 'photos')), ['cat.jpg']);
});

test('invitations that are cut, altered, forged or for somebody else add nothing; the real one works', async (t) => {
  const { folder, home, image } = await homeWithImage(t);
  const office = new Host(t, folder, 'office');
  await Promise.all([office.start(), home.ok('disk', 'import', image, '--name', 'desktop')]);
  const stranger = createHostKeys(systemRandom).hostId;
  const good = String((await home.ok('disk', 'grant', 'desktop', '--host', office.id)).invitation);
  const foreign = String((await home.ok('disk', 'grant', 'desktop', '--host', stranger)).invitation);
  const view = (await home.call('disk.ownerView', { name: 'desktop' })) as Record<string, string> & {
    epochRecords: string[];
  };
  const genesis = decodeGenesis(fromHex(view.genesis!));
  // All of it true but the signature: made by somebody who saw an invitation and is not the owner.
  const forged = createInvitation(
    {
      genesis,
      roster: verifyRoster(fromHex(view.rosterBundle!), genesis),
      epochs: view.epochRecords.map((record) => decodeEpochRecord(fromHex(record), genesis)),
      trackers: [],
      addresses: ['127.0.0.1:1'],
      name: 'desktop',
      host: office.id as never,
    },
    createOwner(systemRandom),
  );
  const middle = good.length >> 1;
  const altered = good.slice(0, middle) + (good[middle] === 'A' ? 'B' : 'A') + good.slice(middle + 1);
  const wrong: [string, string][] = [
    ['incomplete', good.slice(0, -40)],
    ['altered', altered],
    ['forged', forged],
    ['foreign', foreign],
    ['malformed', 'hello'],
    ['version', `dsw9${good.slice(4)}`],
  ];
  for (const [reason, line] of wrong) {
    const { exitCode, errorCode, errorData } = await office.run(['disk', 'join', '-'], `${line}\n`);
    t.deepEqual([exitCode, errorCode, errorData.reason], [1, 'INVITATION_INVALID', reason]);
  }
  t.is((await office.run(['disk', 'join', '-'], 'A'.repeat(2 * MIB))).errorCode, 'INVITATION_INVALID');
  t.deepEqual((await office.ok('disk', 'ls')).disks, []);
  t.is((await office.ok('disk', 'join', good)).sequence, 1);
});

/** Sends `bytes` again and again until the other side hangs up or `maxBytes` went out; whether it did hang up. */
function pour(where: net.NetConnectOpts, bytes: Uint8Array, maxBytes: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(where);
    let sentBytes = 0;
    let hungUp = true;
    const timer = setTimeout(() => {
      hungUp = false;
      socket.destroy();
    }, 40_000);
    const more = (): void => {
      while (sentBytes < maxBytes && !socket.destroyed) {
        sentBytes += bytes.length;
        if (!socket.write(bytes)) return;
      }
      if (sentBytes >= maxBytes) socket.end();
    };
    socket.on('connect', more);
    socket.on('drain', more);
    socket.resume();
    socket.on('error', () => {});
    socket.on('close', () => {
      clearTimeout(timer);
      resolve(hungUp);
    });
  });
}

function residentBytes(pid: number): number {
  return Number(/RssAnon:\s+(\d+) kB/.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024;
}

test('garbage on the agent, NBD, control and tracker ports ends there, costs no memory, and disturbs nobody', async (t) => {
  const { folder, home, image, content } = await homeWithImage(t);
  const tracker = await startTracker(t);
  const office = new Host(t, folder, 'office');
  await home.stop();
  const announce = ['--tracker', String(tracker.ready.announceUrl)];
  await Promise.all([home.start({ args: announce }), office.start({ args: announce })]);
  await home.ok('disk', 'import', image, '--name', 'desktop');
  const guest = await writableClient(home, 'desktop');
  const { socket: nbdSocket } = (await home.info('desktop')).attached as { socket: string };
  const before = [home.daemon!.pid, tracker.pid].map(residentBytes);
  const port = (listen: string): net.NetConnectOpts => ({ host: '127.0.0.1', port: Number(listen.split(':').at(-1)) });
  const garbage = pattern(MIB, 99);
  // A TLS record header that promises 16 KiB, for ever; a request line, a control line and an option that never end.
  const tlsHeader = Buffer.concat([Buffer.from([0x16, 3, 1, 0x40, 0]), Buffer.alloc(MIB, 1)]);
  const http = Buffer.concat([Buffer.from('GET /announce?info_hash='), Buffer.alloc(MIB, 'a')]);
  const nbdOption = Buffer.alloc(20);
  nbdOption.writeUInt32BE(3, 0);
  nbdOption.write('IHAVEOPT', 4, 'latin1');
  nbdOption.writeUInt32BE(7, 12);
  nbdOption.writeUInt32BE(0xffff_ffff, 16);
  const controlSocket = path.join(home.state, 'control.sock');
  const results = await Promise.all([
    pour(port(home.daemon!.listen), garbage, 64 * MIB),
    pour(port(home.daemon!.listen), tlsHeader, 64 * MIB),
    pour(port(tracker.listen), garbage, 64 * MIB),
    pour(port(tracker.listen), http, 64 * MIB),
    pour({ path: nbdSocket }, garbage, 64 * MIB),
    pour({ path: nbdSocket }, Buffer.concat([nbdOption, Buffer.alloc(MIB)]), 64 * MIB),
    pour({ path: controlSocket }, Buffer.concat([garbage, Buffer.from('\n')]), 64 * MIB),
    pour({ path: controlSocket }, Buffer.alloc(MIB, '{'), 64 * MIB),
  ]);
  t.deepEqual(
    results,
    results.map(() => true),
  );
  // Who has sent all of it before the other side hangs up is told why.
  t.regex((await oneLine(controlSocket, 'garbage')).reply, /PROTOCOL_ERROR/);
  t.regex((await oneLine(controlSocket, '{'.repeat(LONGEST_LINE_BYTES + 1))).reply, /LIMIT_EXCEEDED/);
  const controls: [Json, string][] = [
    [{ id: 1, method: 'disk.explode', params: {} }, 'INVALID_ARGUMENT'],
    [{ id: 1, method: 'constructor', params: {} }, 'INVALID_ARGUMENT'],
    [{ id: 1, method: 'disk.info', params: { name: { $gt: '' } } }, 'INVALID_ARGUMENT'],
    [{ id: 1, method: 'disk.info', params: { name: '../../etc' } }, 'INVALID_ARGUMENT'],
    [
      { id: 1, method: 'disk.applyRoster', params: { name: 'desktop', rosterBundle: 'ff'.repeat(100) } },
      'FORMAT_INVALID',
    ],
    [{ id: 1, method: 'disk.takeForce', params: { name: 'desktop', record: '00' } }, 'FORMAT_INVALID'],
  ];
  for (const [request, code] of controls) {
    const { reply } = await oneLine(controlSocket, JSON.stringify(request));
    t.is((JSON.parse(reply) as { error?: { code: string } }).error?.code, code, JSON.stringify(request).slice(0, 80));
  }
  // Everybody is as before: the guest that was connected all along, the tracker, and a host that comes new.
  t.true((await guest.read(MIB, CHUNK)).equals(content.subarray(MIB, MIB + CHUNK)));
  t.is(await guest.write(0, pattern(4096, 5)), 0);
  await home.invite(office, 'desktop');
  await office.connectedTo(home);
  const grownBytes = [home.daemon!.pid, tracker.pid].map((pid, index) => residentBytes(pid) - before[index]!);
  t.true(Math.max(...grownBytes) < 96 * MIB, `grown by ${grownBytes} bytes`);
  await guest.close();
});

function oneLine(socketPath: string, line: string): Promise<{ reply: string }> {
  return new Promise((resolve, reject) => {
    const socket = net.connect(socketPath, () => socket.write(`${line}\n`));
    let reply = '';
    socket.on('error', reject);
    socket.on('data', (data) => {
      reply += data;
      if (reply.endsWith('\n')) socket.destroy();
    });
    socket.on('close', () => resolve({ reply }));
  });
}

test('NBD requests out of range or of unknown kinds are answered with an error; the connection and the data stay', async (t) => {
  const { home, image, content } = await homeWithImage(t);
  await home.ok('disk', 'import', image, '--name', 'desktop');
  const client = await writableClient(home, 'desktop');
  const size = client.sizeBytes;
  t.is(size, 4 * MIB);
  const payload = pattern(4096, 7);
  const wrong: [string, Promise<{ errno: number }>][] = [
    ['read past the end', client.request(CMD.read, size - 512, 1024)],
    ['read far past the end', client.request(CMD.read, 2n ** 63n, 512)],
    ['read that wraps', client.request(CMD.read, 2n ** 64n - 512n, 1024)],
    ['read of 4 GiB', client.request(CMD.read, 0, 0xffff_ffff)],
    ['unknown flag', client.request(CMD.read, 0, 512, { flags: 0x8000 })],
    ['unknown command', client.request(999, 0, 0)],
    ['unknown flag on flush', client.request(CMD.flush, 0, 0, { flags: 0x4000 })],
    ['trim past the end', client.request(CMD.trim, size, 512)],
    ['zeroes past the end', client.request(CMD.writeZeroes, size - 512, 1024)],
    ['write past the end', client.request(CMD.write, size - 512, 4096, { payload })],
    ['write with an unknown flag', client.request(CMD.write, 0, 4096, { payload, flags: 0x2000 })],
  ];
  for (const [what, reply] of wrong)
    t.true([ERRNO.inval, ERRNO.nospc, ERRNO.notsup].includes((await reply).errno as never), what);
  t.true((await client.read(0, size)).equals(content));
  t.is(await client.write(8192, payload), 0);
  t.true((await client.read(8192, 4096)).equals(payload));
  // A write longer than the server takes must not be buffered: it is refused, or the client is dropped.
  const long = client.request(CMD.write, 0, 0x7fff_ffff).then(
    ({ errno }) => errno !== 0,
    () => true,
  );
  client.socket.write(Buffer.alloc(MIB));
  client.destroy();
  t.true(await long);
  const next = await NbdClient.connect(String(((await home.info('desktop')).attached as Json).socket), 'desktop');
  t.true((await next.read(8192, 4096)).equals(payload));
  await next.close();
});

test('a client that goes away in the middle leaves whole blocks, and room for the next one', async (t) => {
  const { home, image, content } = await homeWithImage(t);
  await home.ok('disk', 'import', image, '--name', 'desktop');
  const { socket } = (await home.ok('disk', 'attach', 'desktop')) as { socket: string };
  const block = pattern(4096, 11);
  for (let round = 0; round < 20; round++) {
    const client = await NbdClient.connect(socket, 'desktop');
    t.is(await client.write(CHUNK, block), 0);
    // Half a header; half a payload; answers that nobody takes.
    if (round % 3 === 0) client.socket.write(requestBytes(CMD.write, 9, 2 * CHUNK, 4096).subarray(0, 13));
    else if (round % 3 === 1) client.socket.write(Buffer.concat([requestBytes(CMD.write, 9, 2 * CHUNK, 8192), block]));
    else {
      client.socket.pause();
      for (let count = 0; count < 40; count++) client.socket.write(requestBytes(CMD.read, count, 0, MIB));
    }
    await new Promise((resolve) => setImmediate(resolve));
    client.destroy();
  }
  await eventually(
    'all clients are forgotten',
    async () => ((await home.info('desktop')).attached as Json).clients === 0,
  );
  const client = await NbdClient.connect(socket, 'desktop');
  t.true((await client.read(CHUNK, 4096)).equals(block));
  const torn = await client.read(2 * CHUNK, 8192);
  for (const at of [0, 4096]) {
    const now = torn.subarray(at, at + 4096);
    const old = content.subarray(2 * CHUNK + at, 2 * CHUNK + at + 4096);
    t.true(now.equals(old) || (at === 0 && now.equals(block)), `block at ${at}`);
  }
  await client.close();
  t.is((await home.ok('disk', 'seal', 'desktop')).sequence, 2);
});

test('a foreign NBD client that is killed in the middle of its writes leaves an export that works', async (t) => {
  if (!isInstalled('qemu-io')) return t.fail('qemu-io is not installed: node scripts/setup.mjs test');
  const { home, image } = await homeWithImage(t, 16 * MIB);
  await home.ok('disk', 'import', image, '--name', 'desktop');
  const { uri } = (await home.ok('disk', 'attach', 'desktop')) as { uri: string };
  const writes = Array.from({ length: 2000 }, (_, index) => [
    '-c',
    `aio_write -P ${(index % 250) + 1} ${(index % 240) * CHUNK} 65536`,
  ]).flat();
  const killed = spawn('qemu-io', ['-f', 'raw', uri, ...writes], { stdio: ['ignore', 'pipe', 'ignore'] });
  t.teardown(() => void killed.kill('SIGKILL'));
  await new Promise((resolve) => killed.stdout.once('data', resolve));
  const exited = new Promise((resolve) => killed.once('close', resolve));
  killed.kill('SIGKILL');
  await exited;
  const output = await program([
    'qemu-io',
    '-f',
    'raw',
    uri,
    '-c',
    'write -P 77 0 1M',
    '-c',
    'flush',
    '-c',
    'read -P 77 0 1M',
  ]);
  t.notRegex(output, /fail/i);
  t.true(Number((await home.info('desktop')).overlayDirtyBytes) >= MIB);
});
