/**
 * The .torrent files of this host's disks, kept so that a generation is hashed once: `torrents/<generation>.torrent` in the state folder.
 *
 * A file appears under its name when it is complete and synced. What cannot be read, or is of something else, is made again.
 */
import fs from 'node:fs/promises';
import path from 'node:path';
import { DiskswarmError, type GenerationId, messageOf } from '@diskswarm/core';
import { type Metainfo, parseMetainfo } from '@diskswarm/metainfo';
import { readBounded } from './read-bounded.ts';

export class TorrentFiles {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** The file of a generation; null when there is none that can be used. */
  async read(generation: GenerationId): Promise<Metainfo | null> {
    try {
      return parseMetainfo(await readBounded(this.#place(generation)));
    } catch {
      return null;
    }
  }

  async write(generation: GenerationId, metainfo: Uint8Array): Promise<void> {
    await fs.mkdir(this.#folder, { recursive: true, mode: 0o700 });
    await writeWhole(this.#place(generation), metainfo, 0o600);
  }

  /** Removes those of generations that are no longer known here. */
  async keepOnly(generations: ReadonlySet<GenerationId>): Promise<void> {
    const names = await fs.readdir(this.#folder).catch(() => []);
    const known = new Set([...generations].map((generation) => path.basename(this.#place(generation))));
    for (const name of names) if (!known.has(name)) await fs.rm(path.join(this.#folder, name), { force: true });
  }

  #place(generation: GenerationId): string {
    return path.join(this.#folder, `${generation}.torrent`);
  }
}

/** Writes a file that appears when it is complete and synced, in place of what was there. DISK_FULL, WRITE_FAILED. */
export async function writeWhole(file: string, bytes: Uint8Array, mode: number): Promise<void> {
  const partial = path.join(path.dirname(file), `.${path.basename(file)}.partial-${process.pid}`);
  try {
    const handle = await fs.open(partial, 'w', mode);
    try {
      await handle.writeFile(bytes);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await fs.rename(partial, file);
  } catch (error) {
    await fs.rm(partial, { force: true });
    const full = (error as NodeJS.ErrnoException).code === 'ENOSPC';
    throw new DiskswarmError(full ? 'DISK_FULL' : 'WRITE_FAILED', `${file} could not be written: ${messageOf(error)}`, {
      data: { path: file },
      cause: error,
    });
  }
}
