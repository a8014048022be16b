/**
 * Which process listens at a Unix socket, as far as this user may see.
 *
 * The kernel's table gives the socket's inode, and a process holds it among its descriptors. Where that cannot be seen (another user's process, another
 * network namespace, a socket that several hold) the answer is null, never a guess.
 */
import { readdir, readFile, readlink, realpath } from 'node:fs/promises';
import path from 'node:path';

/** `__SO_ACCEPTCON` in the flags of /proc/net/unix. */
const LISTENS = '00010000';

/** The process that listens at `socketPath` (absolute); null where it cannot be told. */
export async function socketOwner(socketPath: string): Promise<number | null> {
  const wanted = await realpath(socketPath).catch(() => null);
  if (wanted === null) return null;
  const bound = await boundPaths(path.basename(wanted));
  if (bound.size === 0) return null;
  const owners: number[] = [];
  for (const entry of await readdir('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const inode = await inodeOf(entry, bound);
    if (inode === null) continue;
    const folder = await workingFolder(Number(entry));
    const found = await realpath(path.resolve(folder ?? '/', bound.get(inode)!)).catch(() => null);
    if (found === wanted) owners.push(Number(entry));
  }
  return owners.length === 1 ? owners[0]! : null;
}

/** The folder that a process's relative paths start from; null where it cannot be seen. */
export function workingFolder(pid: number): Promise<string | null> {
  return readlink(`/proc/${pid}/cwd`).catch(() => null);
}

/** Whether a path means the same file to a process as to this one. */
export async function sharesFiles(pid: number): Promise<boolean> {
  const [theirs, ours, root] = await Promise.all(
    [`/proc/${pid}/ns/mnt`, '/proc/self/ns/mnt', `/proc/${pid}/root`].map((link) => readlink(link).catch(() => null)),
  );
  return theirs !== null && theirs === ours && root === '/';
}

/** Base name of the program that a process runs; null where it cannot be seen. */
export async function programOf(pid: number): Promise<string | null> {
  const file = await readlink(`/proc/${pid}/exe`).catch(() => null);
  return file === null ? null : path.basename(file);
}

/** Inodes of listening sockets of that name, each with the path that it was bound to. */
async function boundPaths(name: string): Promise<Map<string, string>> {
  const table = await readFile('/proc/net/unix', 'utf8').catch(() => '');
  const bound = new Map<string, string>();
  for (const line of table.split('\n')) {
    // Num RefCount Protocol Flags Type St Inode Path
    const fields = /^\S+ \S+ \S+ (\S+) \S+ \S+ +(\d+) (.+)$/.exec(line);
    if (fields === null || fields[1] !== LISTENS || path.basename(fields[3]!) !== name) continue;
    bound.set(fields[2]!, fields[3]!);
  }
  return bound;
}

async function inodeOf(pid: string, wanted: ReadonlyMap<string, string>): Promise<string | null> {
  const descriptors = await readdir(`/proc/${pid}/fd`).catch(() => []);
  for (const descriptor of descriptors) {
    const target = await readlink(`/proc/${pid}/fd/${descriptor}`).catch(() => '');
    const inode = /^socket:\[(\d+)\]$/.exec(target)?.[1];
    if (inode !== undefined && wanted.has(inode)) return inode;
  }
  return null;
}
