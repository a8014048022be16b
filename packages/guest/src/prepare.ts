/**
 * Everything a boot takes, from the cache or made now: kernel, initramfs and a disk image.
 */
import { defaultCacheDir } from './cache.ts';
import { buildInitramfs } from './initramfs.ts';
import { type GuestKernel, type Log, prepareKernel } from './kernel.ts';
import { cachedRootImage, type RootImageOptions } from './root-image.ts';

/** What a boot takes. The files belong to the cache: read them, copy them, never write to them. */
export interface GuestArtefacts {
  readonly kernel: GuestKernel;
  /** Path of the initramfs. */
  readonly initramfs: string;
  /** Path of the raw disk image. Copy or import it. */
  readonly rootImage: string;
}

/** What to prepare. */
export interface PrepareOptions {
  /** @default defaultCacheDir() */
  readonly cacheDir?: string;
  readonly image?: RootImageOptions;
  readonly log?: Log;
}

/**
 * Prepares a guest: under ten seconds after the kernel's download, two when all is cached.
 *
 * @throws DiskswarmError EXTERNAL_TOOL_FAILED with an install hint when a program or the kernel is missing.
 */
export async function prepareGuest(options: PrepareOptions = {}): Promise<GuestArtefacts> {
  const cacheDir = options.cacheDir ?? defaultCacheDir();
  const log = options.log ?? (() => {});
  const kernel = await prepareKernel(cacheDir, log);
  const initramfs = await buildInitramfs(kernel, cacheDir);
  log('making the guest disk, unless it is cached');
  const rootImage = await cachedRootImage(options.image ?? {}, cacheDir);
  return { kernel, initramfs, rootImage };
}
