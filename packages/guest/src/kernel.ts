/**
 * A guest kernel: the distribution's own cloud kernel, downloaded by apt and unpacked, never installed.
 *
 * Needs no root. The system's package lists are used as they are; where they are missing or out of date, a second try
 * fetches lists of its own into the cache, leaving the system alone. Cached by package version; without a network the
 * newest cached kernel serves. Leaves the payload's form to bzimage.ts and the choice of modules to modules.ts.
 */
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { DiskswarmError, messageOf } from '@diskswarm/core';
import { extractVmlinux } from './bzimage.ts';
import { buildOnce, exists } from './cache.ts';
import { collectModules } from './modules.ts';
import { runTool } from './tools.ts';

/** Debian's, then Ubuntu's name for the package that depends on the present kernel for virtual machines. */
const META_PACKAGES = ['linux-image-cloud-amd64', 'linux-image-virtual'];
const FORMAT = 'kernel-v3-';
const DOWNLOAD_TIMEOUT_MS = 300_000;

/** Receives one line at a time about what is being done. */
export type Log = (line: string) => void;

/** An unpacked kernel; its files belong to the cache and are only read. */
export interface GuestKernel {
  /** Package name and version. */
  readonly version: string;
  /** Path of the uncompressed kernel, which QEMU loads by PVH. */
  readonly vmlinux: string;
  /** Paths of the modules, in the order to load them. */
  readonly modules: readonly string[];
}

/**
 * Finds or makes the kernel in `cacheDir`: about 27 MB to download and five seconds to unpack, once per version.
 *
 * @throws DiskswarmError EXTERNAL_TOOL_FAILED when there is no kernel in the cache and apt cannot get one.
 */
export async function prepareKernel(cacheDir: string, log: Log = () => {}): Promise<GuestKernel> {
  await mkdir(cacheDir, { recursive: true });
  try {
    return await fetchKernel(cacheDir, [], log);
  } catch (first) {
    log('the package lists of this system did not lead to a kernel; trying with fresh ones, kept in the cache');
    try {
      const options = await privateLists(cacheDir);
      await runTool('apt-get', [...options, '-q', 'update'], { timeoutMs: DOWNLOAD_TIMEOUT_MS });
      return await fetchKernel(cacheDir, options, log);
    } catch (second) {
      const cached = await newestCached(cacheDir);
      if (cached === undefined) throw unobtainable(first, second);
      log(`no kernel can be looked up now; using ${basename(cached)} from the cache`);
      return openKernel(cached);
    }
  }
}

function unobtainable(first: unknown, second: unknown): DiskswarmError {
  return new DiskswarmError('EXTERNAL_TOOL_FAILED', `No guest kernel could be obtained. ${messageOf(second)}`, {
    data: { packages: META_PACKAGES },
    cause: new AggregateError([first, second]),
  });
}

async function fetchKernel(cacheDir: string, aptOptions: readonly string[], log: Log): Promise<GuestKernel> {
  const packageName = await resolvePackage(aptOptions);
  const uris = await runTool('apt-get', [...aptOptions, 'download', '--print-uris', packageName]);
  const fileName = / (\S+\.deb) /.exec(uris)?.[1];
  if (fileName === undefined) {
    throw new DiskswarmError('EXTERNAL_TOOL_FAILED', `apt-get names no file for the package ${packageName}`);
  }
  const version = fileName.slice(0, -'.deb'.length).replaceAll(/[^\w.+~-]/g, '_');
  const folder = await buildOnce(join(cacheDir, FORMAT + version), async (temporary) => {
    log(`downloading ${packageName}`);
    await mkdir(temporary);
    const sandbox = ['-o', 'APT::Sandbox::User=root'];
    const download = [...aptOptions, ...sandbox, '-q', 'download', packageName];
    await runTool('apt-get', download, { cwd: temporary, timeoutMs: DOWNLOAD_TIMEOUT_MS });
    log(`unpacking ${packageName}`);
    await unpack(temporary);
  });
  return openKernel(folder);
}

/** Follows the meta package to the package that holds the present kernel. */
async function resolvePackage(aptOptions: readonly string[]): Promise<string> {
  let failure: unknown;
  for (const meta of META_PACKAGES) {
    try {
      const said = await runTool('apt-cache', [...aptOptions, 'depends', '--important', meta]);
      const name = /Depends: (linux-image-[\w.+-]+)/.exec(said)?.[1];
      if (name !== undefined) return name;
    } catch (error) {
      failure ??= error;
    }
  }
  throw new DiskswarmError('EXTERNAL_TOOL_FAILED', `apt knows none of ${META_PACKAGES.join(', ')}`, { cause: failure });
}

/** Turns a folder that holds one downloaded .deb into one that holds vmlinux and the modules. */
async function unpack(folder: string): Promise<void> {
  const tree = join(folder, 'tree');
  const [archive] = (await readdir(folder)).filter((name) => name.endsWith('.deb'));
  if (archive === undefined) throw new DiskswarmError('EXTERNAL_TOOL_FAILED', 'apt-get download left no package');
  await runTool('dpkg-deb', ['-x', join(folder, archive), tree]);
  const [image] = (await readdir(join(tree, 'boot'))).filter((name) => name.startsWith('vmlinuz-'));
  if (image === undefined) throw new DiskswarmError('EXTERNAL_TOOL_FAILED', `${archive} holds no kernel image`);
  await writeFile(join(folder, 'vmlinux'), extractVmlinux(await readFile(join(tree, 'boot', image))));
  const modulesRoot = (await exists(join(tree, 'lib/modules'))) ? 'lib/modules' : 'usr/lib/modules';
  await mkdir(join(folder, 'modules'));
  for (const [index, module] of (await collectModules(join(tree, modulesRoot))).entries()) {
    const name = `${String(index).padStart(2, '0')}-${module.name}.ko`;
    await writeFile(join(folder, 'modules', name), module.data);
  }
  await rm(tree, { recursive: true });
  await rm(join(folder, archive));
}

async function openKernel(folder: string): Promise<GuestKernel> {
  const modules = (await readdir(join(folder, 'modules'))).sort();
  return {
    version: basename(folder).slice(FORMAT.length),
    vmlinux: join(folder, 'vmlinux'),
    modules: modules.map((name) => join(folder, 'modules', name)),
  };
}

async function newestCached(cacheDir: string): Promise<string | undefined> {
  const names = (await readdir(cacheDir)).filter((name) => name.startsWith(FORMAT));
  const newest = names.sort((a, b) => a.localeCompare(b, 'en', { numeric: true })).at(-1);
  return newest === undefined ? undefined : join(cacheDir, newest);
}

async function privateLists(cacheDir: string): Promise<string[]> {
  const lists = join(cacheDir, 'apt', 'lists');
  const cache = join(cacheDir, 'apt', 'cache');
  for (const folder of [lists, cache]) await mkdir(join(folder, 'partial'), { recursive: true });
  await mkdir(join(cache, 'archives', 'partial'), { recursive: true });
  const settings = [`Dir::State::lists=${lists}`, `Dir::Cache=${cache}`, 'APT::Sandbox::User=root'];
  return settings.flatMap((setting) => ['-o', setting]);
}
