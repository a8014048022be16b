/**
 * Disk images as a run of extents to read: raw files directly, qcow2 files and NBD exports by way of qemu-img.
 *
 * Holes are found with `qemu-img map`, since Node cannot seek for them; without it a raw file is read whole, which gives the same disk.
 * A qcow2 file or an NBD export is first copied to a sparse raw file in the scratch folder, which `close` removes.
 */
import fs from 'node:fs';
import path from 'node:path';
import { DiskswarmError, messageOf, SECTOR_BYTES } from '@diskswarm/core';
import { runTool, toolError } from './run-tool.ts';

export type ImageFormat = 'raw' | 'qcow2' | 'nbd';

/** A part of an image that must be read; what lies between extents is zero. */
interface ImageExtent {
  readonly offsetBytes: number;
  readonly lengthBytes: number;
}

export interface ImageSource {
  readonly sizeBytes: number;
  /** Sorted, without overlap. */
  readonly extents: readonly ImageExtent[];
  /** Fills `into` from `offsetBytes`; an image that ends early is a BAD_IMAGE. */
  read(into: Uint8Array, offsetBytes: number): Promise<void>;
  close(): Promise<void>;
}

/** Opens an image; BAD_IMAGE says what is wrong with it. */
export async function openImage(
  location: string,
  format: ImageFormat,
  scratchFolder: string,
  options: { signal: AbortSignal },
): Promise<ImageSource> {
  if (format === 'raw') return openRaw(location, location, options.signal, async () => {});
  const scratch = path.join(scratchFolder, `import-${process.pid}-${++scratchNumber}.raw`);
  const remove = (): Promise<void> => fs.promises.rm(scratch, { force: true });
  try {
    await fs.promises.mkdir(scratchFolder, { recursive: true, mode: 0o700 });
    if (format === 'qcow2') await assertSound(location, options.signal);
    const input = format === 'qcow2' ? ['-f', 'qcow2', location] : ['-f', 'raw', location];
    await runTool('qemu-img', ['convert', '-O', 'raw', ...input, scratch], {
      signal: options.signal,
      onFailure: (failure) => (failure.missing ? toolError('qemu-img', failure) : badImage(location, failure.message)),
    });
    return await openRaw(location, scratch, options.signal, remove);
  } catch (error) {
    await remove();
    throw error;
  }
}

/** What lies beyond the end of a file that was cut short, qemu-img converts to zeros without a word: only its check tells. */
async function assertSound(location: string, signal: AbortSignal): Promise<void> {
  await runTool('qemu-img', ['check', '--output=json', '-f', 'qcow2', location], {
    signal,
    goodCodes: [0, LEAKED_CLUSTERS],
    onFailure: (failure) =>
      failure.missing
        ? toolError('qemu-img', failure)
        : badImage(
            location,
            `it is cut short or damaged; qemu-img check says: ${failure.message.split('\n').at(-1) ?? ''}`,
          ),
  });
}

/** Exit code of `qemu-img check` for an image that only wastes space. */
const LEAKED_CLUSTERS = 3;

let scratchNumber = 0;

async function openRaw(
  location: string,
  file: string,
  signal: AbortSignal,
  afterClose: () => Promise<void>,
): Promise<ImageSource> {
  let handle: fs.promises.FileHandle;
  try {
    handle = await fs.promises.open(file, 'r');
  } catch (error) {
    throw badImage(location, messageOf(error));
  }
  const close = async (): Promise<void> => {
    await handle.close();
    await afterClose();
  };
  try {
    const stat = await handle.stat();
    const sizeBytes = stat.isBlockDevice() ? await deviceSize(file, signal) : stat.size;
    if (!stat.isFile() && !stat.isBlockDevice()) throw badImage(location, 'not a file');
    if (sizeBytes === 0) throw badImage(location, 'it is empty');
    if (sizeBytes % SECTOR_BYTES !== 0)
      throw badImage(location, `its size of ${sizeBytes} bytes is no multiple of ${SECTOR_BYTES}; is it cut short?`);
    const extents = await findExtents(file, sizeBytes, signal);
    return { sizeBytes, extents, read: (into, offsetBytes) => readExactly(handle, into, offsetBytes, location), close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function readExactly(
  handle: fs.promises.FileHandle,
  into: Uint8Array,
  offsetBytes: number,
  location: string,
): Promise<void> {
  let done = 0;
  while (done < into.length) {
    const { bytesRead } = await handle.read(into, done, into.length - done, offsetBytes + done);
    if (bytesRead === 0) throw badImage(location, `it ended at byte ${offsetBytes + done} while it was read`);
    done += bytesRead;
  }
}

async function deviceSize(file: string, signal: AbortSignal): Promise<number> {
  const info = JSON.parse(
    await runTool('qemu-img', ['info', '--output=json', '-f', 'raw', file], {
      signal,
      onFailure: (failure) => toolError('qemu-img', failure),
    }),
  ) as { 'virtual-size': number };
  return info['virtual-size'];
}

/** Extents that hold data; the whole image when nobody can tell. */
async function findExtents(file: string, sizeBytes: number, signal: AbortSignal): Promise<ImageExtent[]> {
  const whole = [{ offsetBytes: 0, lengthBytes: sizeBytes }];
  let text: string;
  try {
    text = await runTool('qemu-img', ['map', '--output=json', '-f', 'raw', file], {
      signal,
      onFailure: (failure) => toolError('qemu-img', failure),
    });
  } catch (error) {
    if (error instanceof DiskswarmError && error.code === 'EXTERNAL_TOOL_FAILED') return whole;
    throw error;
  }
  const rows = JSON.parse(text) as { start: number; length: number; zero: boolean }[];
  const extents: ImageExtent[] = [];
  for (const row of rows) {
    if (row.zero) continue;
    const last = extents.at(-1);
    if (last !== undefined && last.offsetBytes + last.lengthBytes === row.start)
      extents[extents.length - 1] = { offsetBytes: last.offsetBytes, lengthBytes: last.lengthBytes + row.length };
    else extents.push({ offsetBytes: row.start, lengthBytes: row.length });
  }
  return extents;
}

function badImage(location: string, why: string): DiskswarmError {
  return new DiskswarmError('BAD_IMAGE', `${location} cannot be imported: ${why}`, { data: { image: location } });
}
