/**
 * A few hosts that know each other, and a disk at the first one: what most stories begin with.
 *
 * Steps on the way to what a test is about go to the control socket, because every command is a process.
 */
import fs from 'node:fs';
import path from 'node:path';
import type { ExecutionContext } from 'ava';
import { NbdClient, pattern } from './nbd.ts';
import { type Daemon, Host, type Json, program, startTracker, temporaryFolder } from './processes.ts';

export const MIB = 1024 * 1024;
export const CHUNK_BYTES = 65_536;
/** The disk's name on every host. */
export const DISK = 'desktop';

export interface Network {
  readonly folder: string;
  readonly tracker: Daemon;
  readonly hosts: readonly Host[];
  /** Path of the imported image. */
  readonly image: string;
  /** What the disk holds; tests write into it what they write to the disk. */
  readonly content: Buffer;
}

/** Content with data, a hole in the middle and another at the end. */
function imageContent(sizeBytes: number): Buffer {
  const content = pattern(sizeBytes, 1);
  content.fill(0, sizeBytes / 2, (sizeBytes * 5) / 8);
  content.fill(0, sizeBytes - 3 * CHUNK_BYTES);
  return content;
}

/** Starts a tracker and a host per name, and imports a disk of `sizeBytes` at the first one. */
export async function startNetwork(
  t: ExecutionContext,
  names: readonly string[],
  { sizeBytes = 8 * MIB }: { sizeBytes?: number } = {},
): Promise<Network> {
  const folder = temporaryFolder(t);
  const image = path.join(folder, 'image.raw');
  const content = imageContent(sizeBytes);
  fs.writeFileSync(image, content);
  const tracker = await startTracker(t);
  const hosts = names.map((name) => new Host(t, folder, name));
  const args = trackerArgs(tracker);
  await Promise.all([...hosts.map((host) => host.start({ args })), hosts[0]!.ok('owner', 'init')]);
  await hosts[0]!.ok('disk', 'import', image, '--name', DISK);
  return { folder, tracker, hosts, image, content };
}

/** Arguments that make an agent use the tracker. */
export function trackerArgs(tracker: Daemon): string[] {
  return ['--tracker', String(tracker.ready.announceUrl)];
}

/** Attaches the disk where the agent likes. */
export async function attach(host: Host, readOnly = false): Promise<Json> {
  return (await host.call('disk.attach', { name: DISK, readOnly, socket: null })) as Json;
}

export async function take(host: Host): Promise<void> {
  await host.call('disk.take', { name: DISK });
}

export async function pull(host: Host): Promise<void> {
  await host.call('disk.pull', { name: DISK });
}

/** Seals; the sequence number of the new generation. */
export async function seal(host: Host): Promise<number> {
  return ((await host.call('disk.seal', { name: DISK })) as { sequence: number }).sequence;
}

export async function detach(host: Host): Promise<void> {
  await host.call('disk.detach', { name: DISK });
}

/** Attaches the disk; the caller closes the client. */
export async function writableClient(host: Host): Promise<NbdClient> {
  const { socket, exportName } = await attach(host);
  return NbdClient.connect(String(socket), String(exportName));
}

/** Attaches the disk, writes to it and to `content`, and detaches. */
export async function writeDisk(
  host: Host,
  content: Buffer,
  writes: readonly { readonly at: number; readonly bytes: Uint8Array }[],
): Promise<void> {
  const client = await writableClient(host);
  for (const { at, bytes } of writes) {
    const errno = await client.write(at, bytes);
    if (errno !== 0) throw new Error(`writing ${bytes.length} bytes at ${at}: errno ${errno}`);
    content.set(bytes, at);
  }
  await client.flush();
  await client.close();
  await detach(host);
}

/** All bytes of the disk as nbdcopy, which nobody here wrote, reads them from the export. */
export async function copyOf(uri: string, folder: string): Promise<Buffer> {
  const file = path.join(folder, 'nbdcopy.raw');
  await program(['nbdcopy', uri, file]);
  const bytes = fs.readFileSync(file);
  fs.rmSync(file);
  return bytes;
}

/** Everything the disk holds, exported to a file by the agent. */
export async function exported(host: Host, folder: string): Promise<Buffer> {
  const file = path.join(folder, `${host.name}.raw`);
  await host.call('disk.export', { name: DISK, sequence: null, path: file, format: 'raw' });
  const bytes = fs.readFileSync(file);
  fs.rmSync(file);
  return bytes;
}

/** Where two contents differ first; -1 when they are the same. */
export function firstDifference(actual: Buffer, expected: Buffer): number {
  if (actual.equals(expected)) return -1;
  const end = Math.min(actual.length, expected.length);
  for (let at = 0; at < end; at++) if (actual[at] !== expected[at]) return at;
  return end;
}

/** Chunks of two contents that differ. */
export function chunksThatDiffer(before: Buffer, after: Buffer): number {
  let count = 0;
  for (let at = 0; at < after.length; at += CHUNK_BYTES) {
    const end = at + CHUNK_BYTES;
    if (before.compare(after, at, end, at, end) !== 0) count++;
  }
  return count;
}

/** Figures of the disk in `status`. */
export async function statusOf(host: Host): Promise<Json & { bytesBySource: Record<string, number> }> {
  const { disks } = (await host.call('status', {})) as { disks: Json[] };
  return disks.find((disk) => disk.name === DISK) as never;
}

/** Bytes of chunks that came from other hosts. */
export function sumOf(bytes: Readonly<Record<string, number>>): number {
  return Object.values(bytes).reduce((sum, each) => sum + each, 0);
}
