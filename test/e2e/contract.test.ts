/**
 * What programs rely on, against real agents: documents and their fields, the sockets' permissions, ends and exit codes, and
 * what an export says about absent chunks.
 */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { attach, CHUNK_BYTES, copyOf, DISK, firstDifference, pull, startNetwork, statusOf, sumOf } from './network.ts';
import { Host, type Json, program, temporaryFolder } from './processes.ts';

const HOST_ID = /^[0-9a-f]{136}$/;
const ID = /^[0-9a-f]{64}$/;
const FRACTIONS = ['p50', 'p90', 'p99', 'max'];

/** Fails unless every named field is a whole number from 0. */
function assertCounts(t: ExecutionContext, document: Json, names: readonly string[]): void {
  for (const name of names) t.true(Number.isSafeInteger(document[name]) && Number(document[name]) >= 0, name);
}

test.serial('one host: the documents of its commands', async (t) => {
  const { hosts, content } = await startNetwork(t, ['home']);
  const home = hosts[0]!;
  t.regex(String((await home.ok('host', 'id')).hostId), HOST_ID);
  const info = await home.ok('disk', 'info', DISK);
  t.regex(String(info.diskId), ID);
  t.regex(String(info.root), ID);
  t.like(info, {
    name: DISK,
    sizeBytes: content.length,
    chunkSizeBytes: CHUNK_BYTES,
    sequence: 1,
    epoch: 1,
    ownerHostId: home.id,
    role: 'writer',
    overlayDirtyBytes: 0,
    attached: null,
    safeToSwitchOff: false,
  });
  t.is(info.piecesTotal, content.length / CHUNK_BYTES);
  assertCounts(t, info, ['piecesZero', 'piecesPresent']);
  t.is(Number(info.piecesZero) + Number(info.piecesPresent), Number(info.piecesTotal));

  const attached = await home.ok('disk', 'attach', DISK);
  t.is(attached.uri, `nbd+unix:///${DISK}?socket=${attached.socket}`);
  t.is(attached.exportName, DISK);
  for (const socket of [String(attached.socket), path.join(home.state, 'control.sock')]) {
    t.is(fs.statSync(socket).mode & 0o777, 0o600, socket);
  }
  t.is(fs.statSync(home.state).mode & 0o777, 0o700);
  t.is((await home.run(['disk', 'attach', DISK])).errorCode, 'DISK_ATTACHED');
  const sealed = await home.ok('disk', 'seal', DISK);
  t.like(sealed, { sequence: 1, epoch: 1, root: info.root, changedPieces: 0 }, 'nothing was written');

  const { generations } = (await home.ok('disk', 'history', DISK)) as { generations: Json[] };
  t.is(generations.length, 1);
  t.is(new Date(String(generations[0]!.time)).toISOString(), String(generations[0]!.time));
  const stats = await home.ok('store', 'stats');
  assertCounts(t, stats, ['chunks', 'bytes']);
  const verified = await home.ok('store', 'verify');
  t.like(verified, { chunks: stats.chunks, corrupt: [] });

  const lost = await home.run(['disk', 'info', 'nowhere']);
  t.deepEqual([lost.exitCode, lost.errorCode], [1, 'DISK_NOT_FOUND']);
  const usage = await home.run(['disk', 'wait', DISK]);
  t.deepEqual([usage.exitCode, usage.errorCode], [2, 'INVALID_ARGUMENT']);

  home.daemon!.kill('SIGTERM');
  t.deepEqual(await home.daemon!.exited, { code: 0, signal: null });
  const gone = await home.run(['disk', 'ls']);
  t.deepEqual([gone.exitCode, gone.errorCode], [1, 'AGENT_NOT_RUNNING']);
});

test.serial('two hosts: status counts faults and sources; absent is not a hole, and presence says so', async (t) => {
  const { folder, hosts, content } = await startNetwork(t, ['home', 'lab']);
  const [home, lab] = hosts as [Host, Host];
  await home.invite(lab, DISK, 'reader');
  await lab.ok('disk', 'wait', DISK, '--sequence', '1', '--timeout', '30');
  const attached = await attach(lab, true);
  const uri = String(attached.uri);
  const absent = await extents(uri, 'diskswarm:presence');
  t.is(
    absent.filter(({ type }) => type & 1).reduce((sum, { length }) => sum + length, 0),
    dataBytes(content),
  );
  for (const { offset, length, type } of await extents(uri, 'base:allocation')) {
    const isZero = content.subarray(offset, offset + length).every((byte) => byte === 0);
    t.is(type === 0, !isZero, `bytes from ${offset}: only what is zero is a hole`);
  }

  t.is(firstDifference(await copyOf(uri, folder), content), -1);
  const status = await statusOf(lab);
  t.is(status.faultBytes, dataBytes(content));
  assertCounts(t, status, ['faultBytes', 'backgroundBytes', 'touchedPieces']);
  t.deepEqual(status.bytesBySource, { [home.id]: dataBytes(content) });
  t.is(sumOf(status.bytesBySource), Number(status.faultBytes) + Number(status.backgroundBytes));
  const faults = status.faults as { count: number; latencyUs: Record<string, Json> & Json };
  t.true(faults.count > 0);
  assertCounts(t, faults.latencyUs, FRACTIONS);
  t.true(Number(faults.latencyUs.p50) > 0 && Number(faults.latencyUs.p50) <= Number(faults.latencyUs.max));
  for (const part of ['queue', 'network', 'verify', 'store'])
    assertCounts(t, faults.latencyUs[part] as Json, FRACTIONS);
  const peers = status.peers as Json[];
  t.is(peers.length, 1);
  t.like(peers[0], { hostId: home.id, address: home.daemon!.listen });
  assertCounts(t, peers[0]!, ['lanes', 'piecesClaimed']);
  t.is(peers[0]!.piecesClaimed, dataBytes(content) / CHUNK_BYTES);

  await pull(lab);
  t.true((await extents(uri, 'diskswarm:presence')).every(({ type }) => type === 0));
  const written = await lab.run(['disk', 'take', DISK]);
  t.is(written.exitCode, 1, 'a reader stays one');
});

test.serial(
  'images go in as raw, qcow2 or from another export, and come out as raw or qcow2, of any generation',
  async (t) => {
    const { folder, hosts, content, image } = await startNetwork(t, ['home']);
    const home = hosts[0]!;
    const { root } = await home.info(DISK);
    const qcow2 = path.join(folder, 'image.qcow2');
    await program(['qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2', image, qcow2]);
    t.is((await home.ok('disk', 'import', qcow2, '--name', 'from-qcow2')).root, root);
    const { uri, socket, exportName } = await attach(home);
    t.is((await home.ok('disk', 'import', String(uri), '--name', 'from-nbd')).root, root);

    await program(['qemu-io', '-f', 'raw', '-c', 'write -P 7 64k 4k', '-c', 'flush', String(uri)]);
    t.like({ socket, exportName }, { exportName: DISK });
    t.is((await home.ok('disk', 'seal', DISK)).changedPieces, 1);
    const newest = path.join(folder, 'newest.qcow2');
    t.is((await home.ok('disk', 'export', DISK, newest)).sequence, 2);
    const oldest = path.join(folder, 'oldest.raw');
    t.is((await home.ok('disk', 'export', `${DISK}@1`, oldest)).sequence, 1);
    t.is(firstDifference(fs.readFileSync(oldest), content), -1);
    const raw = path.join(folder, 'newest.raw');
    await program(['qemu-img', 'convert', '-f', 'qcow2', '-O', 'raw', newest, raw]);
    content.fill(7, 65_536, 65_536 + 4096);
    t.is(firstDifference(fs.readFileSync(raw), content), -1);
    t.is((await home.run(['disk', 'export', `${DISK}@9`, raw])).errorCode, 'GENERATION_NOT_FOUND');
  },
);

test.serial(
  'a disk goes on where it was when its agent starts again: same socket, same writes, same disks',
  async (t) => {
    const folder = temporaryFolder(t);
    const home = new Host(t, folder, 'home');
    const image = path.join(folder, 'image.raw');
    fs.writeFileSync(image, Buffer.alloc(1024 * 1024, 'disk'));
    await Promise.all([home.start(), home.ok('owner', 'init')]);
    await home.ok('disk', 'import', image, '--name', DISK);
    const { uri } = await attach(home);
    await program(['qemu-io', '-f', 'raw', '-c', 'write -P 9 4k 8k', String(uri)]);
    const before = await home.info(DISK);
    await home.stop();
    await home.start();
    const after = await home.info(DISK);
    t.deepEqual(after, before);
    await program(['qemu-io', '-f', 'raw', '-c', 'read -P 9 4k 8k', String(uri)]);
    t.is((await home.ok('disk', 'seal', DISK)).changedPieces, 1);
  },
);

/** Bytes of chunks that are not all zero. */
function dataBytes(content: Buffer): number {
  let bytes = 0;
  for (let at = 0; at < content.length; at += CHUNK_BYTES) {
    if (content.subarray(at, at + CHUNK_BYTES).some((byte) => byte !== 0)) bytes += CHUNK_BYTES;
  }
  return bytes;
}

interface Extent {
  readonly offset: number;
  readonly length: number;
  readonly type: number;
}

/** What the export says in a block status context. */
async function extents(uri: string, context: string): Promise<Extent[]> {
  return JSON.parse(await program(['nbdinfo', '--json', `--map=${context}`, uri])) as Extent[];
}
