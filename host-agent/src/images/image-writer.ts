/**
 * Writes a disk out as an image file: sparse raw, or qcow2 by way of qemu-img.
 *
 * The file appears under its name only when it is complete and synced; a failed export leaves nothing behind.
 */
import fs from 'node:fs';
import path from 'node:path';
import { DiskswarmError, messageOf } from '@diskswarm/core';
import { runTool, toolError } from './run-tool.ts';

/** Bytes at an offset of the disk; what no part covers is zero. */
export interface ImagePart {
  readonly offsetBytes: number;
  readonly bytes: Uint8Array;
}

/** Writes `parts` (sorted) to `file`, replacing what was there. */
export async function writeImage(
  file: string,
  format: 'raw' | 'qcow2',
  sizeBytes: number,
  parts: AsyncIterable<ImagePart>,
  options: { signal: AbortSignal },
): Promise<void> {
  const partial = path.join(path.dirname(file), `.${path.basename(file)}.partial-${process.pid}`);
  const converted = `${partial}.qcow2`;
  try {
    await writeRaw(partial, sizeBytes, parts);
    if (format === 'qcow2') {
      await runTool('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', partial, converted], {
        signal: options.signal,
        onFailure: (failure) => toolError('qemu-img', failure),
      });
      await sync(converted);
    }
    await fs.promises.rename(format === 'raw' ? partial : converted, file);
    await sync(path.dirname(file));
  } catch (error) {
    if (error instanceof DiskswarmError) throw error;
    const full = (error as NodeJS.ErrnoException).code === 'ENOSPC';
    throw new DiskswarmError(full ? 'DISK_FULL' : 'WRITE_FAILED', `${file} could not be written: ${messageOf(error)}`, {
      data: { path: file },
      cause: error,
    });
  } finally {
    await fs.promises.rm(partial, { force: true });
    await fs.promises.rm(converted, { force: true });
  }
}

/** Makes a file that another program wrote, or the names in a folder, durable. */
async function sync(place: string): Promise<void> {
  const handle = await fs.promises.open(place, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function writeRaw(file: string, sizeBytes: number, parts: AsyncIterable<ImagePart>): Promise<void> {
  const handle = await fs.promises.open(file, 'w', 0o600);
  try {
    await handle.truncate(sizeBytes);
    for await (const part of parts) {
      let done = 0;
      while (done < part.bytes.length)
        done += (await handle.write(part.bytes, done, part.bytes.length - done, part.offsetBytes + done)).bytesWritten;
    }
    await handle.sync();
  } finally {
    await handle.close();
  }
}
