/**
 * A guest that replicates its disk with DRBD: the kernel's own module (8.4) with Debian's tools for it, in an initramfs.
 *
 * The module comes from the very kernel package that the guest's kernel came from; a newer one of the same name does not fit and is refused.
 * The tools need a C library, which is this system's. Cached like every artefact; leaves what the guest does to drbd-script.ts.
 */
import { createHash } from 'node:crypto';
import { copyFile, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { DiskswarmError } from '@diskswarm/core';
import { buildOnce, defaultCacheDir } from './cache.ts';
import { type CpioEntry, writeCpio } from './cpio.ts';
import { DRBD_SCRIPT } from './drbd-script.ts';
import { type GuestKernel, type Log, prepareKernel } from './kernel.ts';
import { collectModules } from './modules.ts';
import { requireTool, runTool } from './tools.ts';

const DOWNLOAD_TIMEOUT_MS = 300_000;
/** In Debian's drbd-utils: what speaks to the 8.4 module. */
const TOOLS = ['lib/drbd/drbdsetup-84', 'sbin/drbdmeta'];
const LIBRARIES = ['/lib64/ld-linux-x86-64.so.2', '/lib/x86_64-linux-gnu/libc.so.6'];

/** What such a guest boots from. */
export interface DrbdArtefacts {
  readonly kernel: GuestKernel;
  /** Path of the initramfs, which has all of the system in it. */
  readonly initramfs: string;
}

/** @throws DiskswarmError EXTERNAL_TOOL_FAILED when the packages cannot be had */
export async function prepareDrbdGuest(options: { cacheDir?: string; log?: Log } = {}): Promise<DrbdArtefacts> {
  const { cacheDir = defaultCacheDir(), log = () => {} } = options;
  const kernel = await prepareKernel(cacheDir, log);
  const parts = await buildOnce(join(cacheDir, `drbd-v1-${kernel.version}`), async (folder) => {
    log('downloading the kernel package again, for DRBD, and drbd-utils');
    await collectParts(folder, kernel);
  });
  return { kernel, initramfs: await buildDrbdInitramfs(kernel, parts, cacheDir) };
}

async function collectParts(folder: string, kernel: GuestKernel): Promise<void> {
  await mkdir(join(folder, 'modules'), { recursive: true });
  const packageName = kernel.version.split('_')[0] ?? '';
  const tree = await unpackPackage(folder, packageName, (file) => {
    if (file.slice(0, -'.deb'.length).replaceAll(/[^\w.+~-]/g, '_') === kernel.version) return;
    throw new DiskswarmError(
      'EXTERNAL_TOOL_FAILED',
      `${packageName} is at another version than the cached kernel ${kernel.version}`,
    );
  });
  for (const [index, module] of (await collectModules(join(tree, 'lib/modules'), ['drbd'])).entries()) {
    await writeFile(join(folder, 'modules', `${index + 50}-${module.name}.ko`), module.data);
  }
  await rm(tree, { recursive: true });
  const tools = await unpackPackage(folder, 'drbd-utils', () => {});
  for (const tool of TOOLS) await copyFile(join(tools, tool), join(folder, basename(tool)));
  await rm(tools, { recursive: true });
}

/** Downloads and unpacks a Debian package; gives the folder with its files. */
async function unpackPackage(folder: string, name: string, check: (file: string) => void): Promise<string> {
  const place = join(folder, `tree-${name}`);
  await mkdir(place);
  const download = ['-o', 'APT::Sandbox::User=root', '-q', 'download', name];
  await runTool('apt-get', download, { cwd: place, timeoutMs: DOWNLOAD_TIMEOUT_MS });
  const archive = (await readdir(place)).find((file) => file.endsWith('.deb'));
  if (archive === undefined) throw new DiskswarmError('EXTERNAL_TOOL_FAILED', `apt-get downloaded no ${name}`);
  check(archive);
  await runTool('dpkg-deb', ['-x', join(place, archive), place]);
  return place;
}

async function buildDrbdInitramfs(kernel: GuestKernel, parts: string, cacheDir: string): Promise<string> {
  const more = (await readdir(join(parts, 'modules'))).sort().map((name) => join(parts, 'modules', name));
  const wanted = new Set(kernel.modules.map(nameOf));
  const modules = [...kernel.modules, ...more.filter((path) => !wanted.has(nameOf(path)))];
  const entries: CpioEntry[] = [
    ...['bin', 'dev', 'drbd', 'lib64', 'lib', 'lib/x86_64-linux-gnu', 'modules'].map(
      (path) => ({ path, kind: 'folder' }) as const,
    ),
    { path: 'dev/console', kind: 'console' },
    { path: 'bin/busybox', kind: 'file', data: await readFile(requireTool('busybox')) },
    { path: 'init', kind: 'file', data: Buffer.from(DRBD_SCRIPT) },
  ];
  for (const path of LIBRARIES) entries.push({ path: path.slice(1), kind: 'file', data: await readFile(path) });
  for (const tool of TOOLS.map((each) => basename(each))) {
    entries.push({ path: `drbd/${tool}`, kind: 'file', data: await readFile(join(parts, tool)) });
  }
  for (const path of modules) {
    entries.push({ path: `modules/${basename(path)}`, kind: 'file', data: await readFile(path) });
  }
  const archive = writeCpio(entries);
  const digest = createHash('sha256').update(archive).digest('hex').slice(0, 16);
  return buildOnce(join(cacheDir, `drbd-initramfs-${digest}.cpio`), (temporary) => writeFile(temporary, archive));
}

/** `07-virtio_net.ko` → `virtio_net`. */
function nameOf(path: string): string {
  return basename(path, '.ko').replace(/^\d+-/, '');
}
