/** Reads a .torrent file that may be anything: only a plain file, and no more of it than a torrent may have. */
import fs from 'node:fs/promises';
import { DiskswarmError, messageOf } from '@diskswarm/core';
import { MAX_METAINFO_BYTES } from '@diskswarm/metainfo';

/** TORRENT_INVALID when it cannot be read or is too large. */
export async function readBounded(file: string): Promise<Uint8Array> {
  const invalid = (why: string, cause?: unknown): DiskswarmError =>
    new DiskswarmError('TORRENT_INVALID', `${file.slice(0, 300)} cannot be used: ${why}`, { data: { why }, cause });
  try {
    const stat = await fs.stat(file);
    if (!stat.isFile()) throw invalid('it is no file');
    if (stat.size > MAX_METAINFO_BYTES) throw invalid(`it has more than ${MAX_METAINFO_BYTES} bytes`);
    return await fs.readFile(file);
  } catch (error) {
    throw error instanceof DiskswarmError ? error : invalid(messageOf(error), error);
  }
}
