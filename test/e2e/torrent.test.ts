/**
 * Templates for everyone as standard torrents, to clients nobody here wrote, and torrents of others as disks: byte for byte, over restarts
 * and interruptions. What was not made public is given to nobody.
 */
import { createHash, randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { eventually, Host, type Json, program, startTracker, temporaryFolder } from './processes.ts';
import {
  createTorrent,
  downloadWithAria,
  downloadWithTransmission,
  seedWithAria,
  spaceOfItsOwn,
} from './torrent-clients.ts';

const MIB = 1024 * 1024;

/** Random bytes around a run of zeros, and an end that is no whole chunk. */
function diskBytes(): Buffer {
  return Buffer.concat([randomBytes(2 * MIB), Buffer.alloc(2 * MIB), randomBytes(MIB + 512)]);
}

const sha = (file: string): string => createHash('sha256').update(fs.readFileSync(file)).digest('hex');

/** In a network of its own where transmission is to take part. */
interface Net {
  readonly address: string;
  readonly prefix: readonly string[];
}

const LOOPBACK: Net = { address: '127.0.0.1', prefix: [] };

interface Place {
  readonly folder: string;
  readonly tracker: string;
  readonly host: Host;
  /** Starts the agent again. */
  start(): Promise<unknown>;
}

async function place(t: ExecutionContext, net: Net = LOOPBACK): Promise<Place> {
  const folder = temporaryFolder(t);
  const tracker = String((await startTracker(t, { ...net, listen: `${net.address}:0` })).ready.announceUrl);
  const host = new Host(t, folder, 'host');
  const start = (): Promise<unknown> =>
    host.start({ prefix: net.prefix, args: ['--tracker', tracker, '--listen', `${net.address}:0`] });
  await start();
  await host.ok('owner', 'init');
  return { folder, tracker, host, start };
}

/** A disk `tpl` of an image, and the image. */
async function importImage({ folder, host }: Place): Promise<string> {
  const image = path.join(folder, 'image.raw');
  fs.writeFileSync(image, diskBytes());
  await host.ok('disk', 'import', image, '--name', 'tpl');
  return image;
}

/** Port of the peer in a magnet link. */
function peerPort(torrent: Json): number {
  return Number(/x\.pe=[\d.]+:(\d+)/.exec(String(torrent.magnet))?.[1]);
}

/** Whether nobody listens there. */
function isRefused({ address, prefix }: Net, port: number): Promise<boolean> {
  return program([...prefix, 'bash', '-c', `exec 3<>/dev/tcp/${address}/${port}`]).then(
    () => false,
    () => true,
  );
}

test.serial('a public template to aria2c and transmission, also after a restart, until it is stopped', async (t) => {
  const net = spaceOfItsOwn(t);
  const here = await place(t, net);
  const { folder, host } = here;
  const image = await importImage(here);
  const file = path.join(folder, 'tpl.torrent');
  t.is((await host.run(['disk', 'torrent', 'tpl', file])).errorCode, 'TEMPLATE_NOT_FOUND');
  await host.ok('disk', 'publish', 'tpl');
  const refused = await host.run(['disk', 'torrent', 'tpl', file]);
  t.is(refused.errorCode, 'TEMPLATE_NOT_FOUND', 'a template of the roster is not for everyone');
  t.regex(refused.errorMessage, /disk publish tpl@1 --public/);
  t.false(fs.existsSync(file));
  t.like(await host.ok('disk', 'publish', 'tpl', '--public'), { public: true });

  const torrent = await host.ok('disk', 'torrent', 'tpl', file);
  t.like(torrent, { name: 'tpl', sequence: 1, sizeBytes: 5 * MIB + 512, path: file });
  const before = fs.readFileSync(file);
  await downloadWithAria(file, path.join(folder, 'aria'), net.prefix);
  t.is(sha(path.join(folder, 'aria', 'tpl-1.raw')), sha(image));

  await host.daemon!.crash();
  await here.start();
  const got = path.join(folder, 'transmission', 'tpl-1.raw');
  await downloadWithTransmission(t, file, path.join(folder, 'transmission'), {
    prefix: net.prefix,
    isWhole: () => fs.existsSync(got) && sha(got) === sha(image),
  });
  t.false(await isRefused(net, peerPort(torrent)));
  const { torrents } = (await host.ok('disk', 'torrent', '--ls')) as { torrents: Json[] };
  t.like(torrents, [{ name: 'tpl', infoHash: torrent.infoHash }]);
  t.true(Number(torrents[0]!.uploadedBytes) > 3 * MIB);
  t.is(peerPort(torrents[0]!), peerPort(torrent), 'links that were handed out stay good');

  t.like(await host.ok('disk', 'torrent', 'tpl', '--stop'), { stopped: true });
  t.deepEqual((await host.ok('disk', 'torrent', '--ls')).torrents, []);
  t.true(await isRefused(net, peerPort(torrent)));
  t.like(await host.ok('disk', 'torrent', 'tpl', '--stop'), { stopped: false });
  await host.ok('disk', 'torrent', 'tpl', file);
  t.deepEqual(fs.readFileSync(file), before, 'the same torrent every time');
  await host.ok('disk', 'rm', 'tpl', '--force');
  t.deepEqual((await host.ok('disk', 'torrent', '--ls')).torrents, []);
  t.true(await isRefused(net, peerPort(torrent)), 'a disk that was removed is given to nobody');
});

test.serial('a magnet link of one host is a disk on another', async (t) => {
  const here = await place(t);
  const image = await importImage(here);
  await here.host.ok('disk', 'publish', 'tpl', '--public');
  const { magnet } = await here.host.ok('disk', 'torrent', 'tpl');
  const other = new Host(t, here.folder, 'other');
  await other.start();
  const disk = await other.ok('disk', 'import', String(magnet), '--name', 'mine');
  t.like(disk, { name: 'mine', sizeBytes: 5 * MIB + 512, ownerHostId: other.id });
  const out = path.join(here.folder, 'out.raw');
  await other.ok('disk', 'export', 'mine', out);
  t.is(sha(out), sha(image));
  t.deepEqual(fs.readdirSync(path.join(other.state, 'scratch')), []);
});

test.serial('one file of a foreign torrent is imported, and goes on after an interruption', async (t) => {
  const { folder, tracker, host, start } = await place(t);
  const bundle = path.join(folder, 'seed', 'bundle');
  fs.mkdirSync(bundle, { recursive: true });
  fs.writeFileSync(path.join(bundle, 'a.txt'), 'x'.repeat(100_001));
  fs.writeFileSync(path.join(bundle, 'disk.raw'), diskBytes());
  fs.writeFileSync(path.join(bundle, 'z.txt'), 'z'.repeat(50_000));
  const torrent = path.join(folder, 'bundle.torrent');
  await createTorrent(bundle, tracker, torrent);
  const unclear = await host.run(['disk', 'import', torrent, '--name', 'got']);
  t.is(unclear.errorCode, 'TORRENT_INVALID');
  t.regex(unclear.errorMessage, /--file.*a\.txt, disk\.raw, z\.txt/);

  const stop = await seedWithAria(t, torrent, path.join(folder, 'seed'), '700K');
  const importing = ['disk', 'import', torrent, '--name', 'got', '--file', 'disk.raw'];
  const first = host.run(importing);
  const scratch = path.join(host.state, 'scratch');
  await eventually(
    'a part came',
    () =>
      fs.existsSync(scratch) &&
      fs.readdirSync(scratch).some((name) => fs.statSync(path.join(scratch, name)).size > MIB),
  );
  await host.daemon!.crash();
  t.is((await first).exitCode, 1);
  await stop();
  await start();
  t.deepEqual((await host.ok('disk', 'ls')).disks, [], 'half a disk is none');

  await seedWithAria(t, torrent, path.join(folder, 'seed'));
  await host.ok(...importing);
  const out = path.join(folder, 'out.raw');
  await host.ok('disk', 'export', 'got', out);
  t.is(sha(out), sha(path.join(bundle, 'disk.raw')));
  t.deepEqual(fs.readdirSync(scratch), []);
});

test.serial('torrents that cannot be a disk are refused, and nothing stays of them', async (t) => {
  const { folder, tracker, host } = await place(t);
  const refused = async (file: string, code: string, ...more: string[]): Promise<void> => {
    const { exitCode, errorCode, errorMessage } = await host.run(['disk', 'import', file, '--name', 'bad', ...more]);
    t.deepEqual([exitCode, errorCode], [1, code], `${path.basename(file)}: ${errorMessage}`);
  };
  const write = (name: string, bytes: string | Buffer): string => {
    fs.writeFileSync(path.join(folder, name), bytes);
    return path.join(folder, name);
  };
  await refused(write('garbage.torrent', randomBytes(1000)), 'TORRENT_INVALID');
  const climbing = 'd4:infod6:lengthi512e4:name9:../../etc12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaaee';
  await refused(write('climbing.torrent', climbing), 'TORRENT_INVALID');
  for (const path of ['d6:lengthi512e4:pathl2:..6:passwdee', 'd6:lengthi512e4:pathl4:/etcee']) {
    const several = `d4:infod5:filesl${path}e4:name3:box12:piece lengthi16384e6:pieces20:${'a'.repeat(20)}ee`;
    await refused(write('several.torrent', several), 'TORRENT_INVALID');
  }
  // No power of two; another number of hashes than the length has pieces.
  for (const [length, piece] of [
    [512, 24_576],
    [512, 0],
    [65_536, 16_384],
  ]) {
    const text = `d4:infod6:lengthi${length}e4:name5:a.raw12:piece lengthi${piece}e6:pieces20:${'a'.repeat(20)}ee`;
    await refused(write('pieces.torrent', text), 'TORRENT_INVALID');
  }
  // A hybrid whose two parts name different lengths.
  const tree = `9:file treed5:a.rawd0:d6:lengthi1024e11:pieces root32:${'r'.repeat(32)}eee`;
  const flat = `6:lengthi512e12:meta versioni2e4:name5:a.raw12:piece lengthi16384e6:pieces20:${'a'.repeat(20)}`;
  await refused(write('hybrid.torrent', `d4:infod${tree}${flat}ee`), 'TORRENT_INVALID');
  await refused(`magnet:?xt=urn:btmh:1220${'ab'.repeat(32)}`, 'TORRENT_INVALID');

  const files = path.join(folder, 'files');
  fs.mkdirSync(files);
  for (const [name, bytes] of [
    ['odd.img', randomBytes(1001)],
    ['box.vdi', Buffer.concat([Buffer.alloc(64), Buffer.from('7f10dabe', 'hex'), Buffer.alloc(60_000)])],
  ] as const) {
    fs.writeFileSync(path.join(files, name), bytes);
    const torrent = path.join(folder, `${name}.torrent`);
    await createTorrent(path.join(files, name), tracker, torrent);
    const stop = await seedWithAria(t, torrent, files);
    await refused(torrent, 'BAD_IMAGE');
    await stop();
  }
  const image = write('plain.raw', Buffer.alloc(512));
  t.is((await host.run(['disk', 'import', image, '--name', 'bad', '--file', 'x'])).exitCode, 2);
  t.deepEqual((await host.ok('disk', 'ls')).disks, []);
  t.deepEqual(fs.readdirSync(path.join(host.state, 'scratch')), []);
});
