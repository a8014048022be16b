/**
 * The artefact cache: each thing is built once under a name that says all that went into it.
 *
 * Invariant: what stands under a final name is complete, because it was built beside it and renamed. Two processes that
 * build the same name at once both do the work; the first rename wins and the other adopts its result. No lock file, so
 * nothing is left behind by a crash but a temporary that the next build removes an hour later.
 */
import { randomBytes } from 'node:crypto';
import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { basename, dirname, join } from 'node:path';

const STALE_TEMPORARY_MS = 3_600_000;

/** Where artefacts are kept: DISKSWARM_CACHE, else `$XDG_CACHE_HOME/diskswarm`, else `~/.cache/diskswarm`. */
export function defaultCacheDir(env: NodeJS.ProcessEnv = process.env): string {
  if (env.DISKSWARM_CACHE) return env.DISKSWARM_CACHE;
  return join(env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'diskswarm');
}

/** True when something stands at `path`. */
export async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

/**
 * Returns `finalPath`, after running `build(temporaryPath)` and renaming its result there if it did not exist.
 *
 * @param build makes a file or a folder at the path it is given; when it throws, nothing is left at `finalPath`.
 */
export async function buildOnce(finalPath: string, build: (temporaryPath: string) => Promise<void>): Promise<string> {
  if (await exists(finalPath)) return finalPath;
  const folder = dirname(finalPath);
  await mkdir(folder, { recursive: true });
  await removeStaleTemporaries(folder);
  const temporary = join(folder, `.tmp-${randomBytes(6).toString('hex')}-${basename(finalPath)}`);
  try {
    await build(temporary);
    await rename(temporary, finalPath);
  } catch (error) {
    // A folder cannot be renamed over one that is not empty: somebody else finished first, and theirs is as good.
    if (!(isOccupied(error) && (await exists(finalPath)))) throw error;
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
  return finalPath;
}

function isOccupied(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException).code;
  return code === 'ENOTEMPTY' || code === 'EEXIST';
}

async function removeStaleTemporaries(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    if (!name.startsWith('.tmp-')) continue;
    const path = join(folder, name);
    const age = await stat(path).then(
      (info) => Date.now() - info.mtimeMs,
      () => 0,
    );
    if (age > STALE_TEMPORARY_MS) await rm(path, { recursive: true, force: true });
  }
}
