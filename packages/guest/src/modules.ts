/**
 * Which kernel modules a guest loads, in an order that satisfies their dependencies.
 *
 * Reads the modules' own "depends=" text, since modules.dep is made at installation, which never happens here. A module
 * that the folder does not have is taken to be built in (Debian builds ext4 in, Ubuntu virtio too): a guest that misses
 * one after all says so when it finds no disk.
 */
import { readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { zstdDecompressSync } from 'node:zlib';
import { runTool } from './tools.ts';

/** The balloon tells QEMU which pages are free, so that they are not moved. */
const WANTED = ['virtio_pci', 'virtio_blk', 'virtio_net', 'ext4', 'virtio_balloon'];
const MAX_MODULE_BYTES = 16 * 1024 * 1024;

/** A module's name, with underscores, and its plain (uncompressed) bytes. */
export interface KernelModule {
  readonly name: string;
  readonly data: Uint8Array;
}

/** The modules under `folder` that a guest needs, or those wanted, each after those it depends on. A missing folder gives none. */
export async function collectModules(folder: string, wanted: readonly string[] = WANTED): Promise<KernelModule[]> {
  const paths = await indexModules(folder);
  const ordered: KernelModule[] = [];
  const visited = new Set<string>();
  const visit = async (name: string): Promise<void> => {
    const path = paths.get(name);
    if (path === undefined || visited.has(name)) return;
    visited.add(name);
    const data = await readModule(path);
    for (const dependency of dependenciesOf(data)) await visit(dependency);
    ordered.push({ name, data });
  };
  for (const name of wanted) await visit(name);
  return ordered;
}

/** The names in a module's "depends=" entry, with underscores. */
export function dependenciesOf(module: Uint8Array): string[] {
  const bytes = Buffer.from(module.buffer, module.byteOffset, module.byteLength);
  const marker = '\0depends=';
  const at = bytes.indexOf(marker);
  if (at < 0) return [];
  const end = bytes.indexOf(0, at + marker.length);
  const text = bytes.toString('latin1', at + marker.length, end < 0 ? bytes.length : end);
  return text.split(',').filter(Boolean).map(plainName);
}

async function indexModules(folder: string): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  const names = await readdir(folder, { recursive: true }).catch(() => []);
  for (const name of names) {
    const match = /^(.+)\.ko(?:\.xz|\.zst)?$/.exec(basename(name));
    if (match) found.set(plainName(match[1]!), join(folder, name));
  }
  return found;
}

async function readModule(path: string): Promise<Uint8Array> {
  if (path.endsWith('.xz')) {
    await runTool('xz', ['-d', '-k', '-f', path]);
    return readFile(path.slice(0, -3));
  }
  const data = await readFile(path);
  return path.endsWith('.zst') ? zstdDecompressSync(data, { maxOutputLength: MAX_MODULE_BYTES }) : data;
}

function plainName(name: string): string {
  return name.replaceAll('-', '_');
}
