/**
 * Makes a guest's disk: an ext4 file system with a busybox userland, the guest's init and "installed" files.
 *
 * No mount and no root: mke2fs copies a folder in, then debugfs fixes what it took from the host (times, owners), so
 * equal parameters give equal bytes with the same e2fsprogs and busybox. What the files hold comes from root-content.ts.
 */
import { createHash } from 'node:crypto';
import { chmod, copyFile, mkdir, readdir, readFile, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { DiskswarmError } from '@diskswarm/core';
import { buildOnce } from './cache.ts';
import { BOOT_LIST, GUEST_SCRIPT } from './guest-script.ts';
import { contentOf, planContent } from './root-content.ts';
import { requireTool, runTool } from './tools.ts';

const MIB = 1024 * 1024;
/** What the file system's own tables, the journal and the userland may take. */
const OVERHEAD_BYTES = 16 * MIB;
const EPOCH_SECONDS = 1_700_000_000;
const UUID = 'd15c5a12-0000-4000-8000-000000000001';
const FEATURES =
  'none,has_journal,ext_attr,dir_index,filetype,extent,64bit,flex_bg,sparse_super,large_file,huge_file,dir_nlink,extra_isize,metadata_csum';
const FOLDERS = ['bin', 'data', 'dev', 'etc', 'proc', 'sys', 'tmp', 'usr/lib', 'usr/share'];

/** What goes into an image; equal values give equal bytes. */
export interface RootImageOptions {
  /** The disk's size, a multiple of 1 MiB. @default 256 MiB */
  readonly sizeBytes?: number;
  /** Bytes of "installed" files. @default 120 MiB */
  readonly contentBytes?: number;
  /** Of these, the bytes that a boot reads. @default 6 MiB */
  readonly bootBytes?: number;
  /** Whether the files that are like text are like programs too, so that no compressor gains on any. @default false */
  readonly incompressible?: boolean;
  /** @default 1 */
  readonly seed?: number;
}

/**
 * Writes the image to `path`, over what stands there; a file of its own, sparse where nothing was written.
 *
 * @throws DiskswarmError INVALID_ARGUMENT for sizes that do not fit; EXTERNAL_TOOL_FAILED
 */
export async function buildRootImage(options: RootImageOptions, path: string): Promise<void> {
  const plan = complete(options);
  const staging = `${path}.files`;
  await rm(staging, { recursive: true, force: true });
  await rm(path, { force: true });
  try {
    await mkdir(staging, { recursive: true });
    await stage(plan, staging);
    await makeFileSystem(plan, staging, path);
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
}

/** The image for `options` in the cache; built at most once. Belongs to the cache: copy or import it, never boot it. */
export async function cachedRootImage(options: RootImageOptions, cacheDir: string): Promise<string> {
  const plan = complete(options);
  const inputs = createHash('sha256')
    .update(JSON.stringify([plan, GUEST_SCRIPT, FEATURES, 1]))
    .update(await readFile(requireTool('busybox')))
    .digest('hex')
    .slice(0, 16);
  const finalPath = join(cacheDir, `root-${plan.sizeBytes / MIB}m-${inputs}.img`);
  return buildOnce(finalPath, async (temporary) => {
    try {
      await buildRootImage(plan, temporary);
    } finally {
      await rm(`${temporary}.files`, { recursive: true, force: true });
    }
  });
}

function complete(options: RootImageOptions): Required<RootImageOptions> {
  const {
    sizeBytes = 256 * MIB,
    contentBytes = 120 * MIB,
    bootBytes = 6 * MIB,
    seed = 1,
    incompressible = false,
  } = options;
  const whole = [sizeBytes, contentBytes, bootBytes, seed].every((value) => Number.isSafeInteger(value) && value >= 0);
  if (!whole || sizeBytes % MIB !== 0 || bootBytes > contentBytes || contentBytes + OVERHEAD_BYTES > sizeBytes) {
    throw new DiskswarmError(
      'INVALID_ARGUMENT',
      `A guest image is a multiple of 1 MiB, at least ${OVERHEAD_BYTES / MIB} MiB larger than its content`,
      { data: { sizeBytes, contentBytes, bootBytes, seed } },
    );
  }
  return { sizeBytes, contentBytes, bootBytes, seed, incompressible };
}

async function stage(plan: Required<RootImageOptions>, root: string): Promise<void> {
  for (const folder of FOLDERS) await mkdir(join(root, folder), { recursive: true });
  const busybox = requireTool('busybox');
  await copyFile(busybox, join(root, 'bin/busybox'));
  await chmod(join(root, 'bin/busybox'), 0o755);
  for (const applet of (await runTool('busybox', ['--list'])).split('\n').filter(Boolean)) {
    if (applet !== 'busybox') await symlink('busybox', join(root, 'bin', applet));
  }
  await writeFile(join(root, 'init-guest'), GUEST_SCRIPT);
  await chmod(join(root, 'init-guest'), 0o755);
  const files = planContent(plan);
  for (const file of files) {
    const path = join(root, file.path);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, contentOf(file, plan.seed));
  }
  const atBoot = files.filter((file) => file.atBoot).map((file) => `/${file.path}\n`);
  await writeFile(join(root, BOOT_LIST), atBoot.join(''));
}

async function makeFileSystem(plan: Required<RootImageOptions>, root: string, image: string): Promise<void> {
  await writeFile(image, '');
  await truncate(image, plan.sizeBytes);
  const extended = `root_owner=0:0,hash_seed=${UUID},lazy_itable_init=0,lazy_journal_init=0,nodiscard`;
  const args = ['-q', '-F', '-t', 'ext4', '-b', '4096', '-I', '256', '-m', '0', '-N', '8192', '-J', 'size=4'];
  args.push('-e', 'remount-ro', '-O', FEATURES, '-U', UUID, '-L', 'diskswarm', '-E', extended, '-d', root, image);
  const env = { E2FSPROGS_FAKE_TIME: String(EPOCH_SECONDS), MKE2FS_CONFIG: '/dev/null' };
  await runTool('mke2fs', args, { env });
  await runTool('debugfs', ['-w', '-f', '-', image], { env, input: await normalise(root) });
}

/** debugfs commands that give every inode the same owner and times. */
async function normalise(root: string): Promise<string> {
  const commands: string[] = [];
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  const paths = entries.map((entry) => `/${relative(root, join(entry.parentPath, entry.name))}`).sort();
  for (const path of ['/', ...paths]) {
    for (const field of ['ctime', 'atime', 'mtime', 'crtime']) {
      commands.push(`sif ${path} ${field} @${EPOCH_SECONDS}`, `sif ${path} ${field}_extra 0`);
    }
    commands.push(`sif ${path} uid 0`, `sif ${path} gid 0`);
    if (path === '/') commands.push('sif / mode 040755');
  }
  return `${commands.join('\n')}\n`;
}
