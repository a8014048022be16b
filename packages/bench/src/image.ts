/**
 * Disk images from a seed: the same bytes on every run and machine, unlike in every block, so that nothing deduplicates.
 *
 * An `ext4-like` image is mostly zero, its data in runs of uneven length, as a file system that was used for a while leaves
 * it; its zeros are written, not left as holes, unless the caller asks for holes.
 */
import { createCipheriv, createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { copyFile, type FileHandle, open } from 'node:fs/promises';
import { run } from './programs.ts';

const MIB = 1024 * 1024;
const BUFFER_BYTES = 4 * MIB;
/** Where runs of data begin and end. */
const GRAIN_BYTES = 64 * 1024;

/** What an image holds. */
export interface ImageOptions {
  readonly sizeBytes: number;
  readonly seed: number;
  /** Share of the image that is zero, 0 to 1. */
  readonly zeroShare: number;
  /** Leave zeros as holes of the file. */
  readonly holes: boolean;
}

/** Deterministic bytes at disk speed: AES-CTR over zeros. */
export class SeededBytes {
  readonly #cipher: ReturnType<typeof createCipheriv>;

  constructor(seed: number) {
    const key = createHash('sha256').update(`diskswarm bench ${seed}`).digest();
    this.#cipher = createCipheriv('aes-128-ctr', key.subarray(0, 16), key.subarray(16));
  }

  next(sizeBytes: number): Buffer {
    return this.#cipher.update(Buffer.alloc(sizeBytes));
  }
}

/** Whole numbers from a seed (xorshift32). */
export function seededNumbers(seed: number): (below: number) => number {
  let state = (seed * 2654435761 + 1) >>> 0 || 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state % below;
  };
}

/** Writes the image; returns how many of its bytes are data. */
export async function writeImage(file: string, { sizeBytes, seed, zeroShare, holes }: ImageOptions): Promise<number> {
  const content = new SeededBytes(seed);
  const random = seededNumbers(seed);
  const handle = await open(file, 'w');
  let dataBytes = 0;
  try {
    await handle.truncate(sizeBytes);
    for (let position = 0; position < sizeBytes; ) {
      // A run of data of 1 to 16 grains, then zeros in proportion.
      const data = Math.min(sizeBytes - position, (1 + random(16)) * GRAIN_BYTES);
      const zeroGrains = zeroShare === 0 ? 0 : Math.round((data * zeroShare) / (1 - zeroShare) / GRAIN_BYTES);
      await handle.write(content.next(data), 0, data, position);
      dataBytes += data;
      position += data;
      const zeros = Math.min(sizeBytes - position, zeroGrains * GRAIN_BYTES);
      for (let written = 0; !holes && written < zeros; ) {
        const count = Math.min(BUFFER_BYTES, zeros - written);
        await handle.write(Buffer.alloc(count), 0, count, position + written);
        written += count;
      }
      position += zeros;
    }
    await handle.sync();
  } finally {
    await handle.close();
  }
  return dataBytes;
}

/** Copies an image with its holes as holes: a mirror sends those of its source as what they are, and bytes that are zero as bytes. */
export async function copyImage(image: string, copy: string): Promise<void> {
  await run(['cp', '--sparse=always', image, copy]);
}

/** Copies an image; of its chunks with data a share, picked by a seed, gets other bytes. */
export async function spoilChunks(
  image: string,
  copy: string,
  { share, chunkBytes, seed }: { share: number; chunkBytes: number; seed: number },
): Promise<void> {
  await copyFile(image, copy);
  const content = new SeededBytes(seed);
  const random = seededNumbers(seed);
  const file = await open(copy, 'r+');
  try {
    const chunk = Buffer.alloc(chunkBytes);
    for (let position = 0; ; position += chunkBytes) {
      const { bytesRead } = await file.read(chunk, 0, chunkBytes, position);
      if (bytesRead === 0) break;
      const isZero = chunk.subarray(0, bytesRead).every((byte) => byte === 0);
      if (!isZero && random(1_000_000) < share * 1_000_000)
        await file.write(content.next(bytesRead), 0, bytesRead, position);
    }
  } finally {
    await file.close();
  }
}

/** Whether two files have the same bytes. */
export async function haveSameBytes(left: string, right: string): Promise<boolean> {
  const files = [await open(left, 'r'), await open(right, 'r')] as const;
  try {
    const buffers = [Buffer.alloc(BUFFER_BYTES), Buffer.alloc(BUFFER_BYTES)] as const;
    for (let position = 0; ; ) {
      const [one, other] = await Promise.all(files.map((file, index) => readAll(file, buffers[index]!, position)));
      if (one !== other || !buffers[0].subarray(0, one).equals(buffers[1].subarray(0, other))) return false;
      if (one === 0) return true;
      position += one!;
    }
  } finally {
    await Promise.all(files.map((file) => file.close()));
  }
}

/** Fills the buffer from a position on, or to the file's end; gives how much came. */
async function readAll(file: FileHandle, buffer: Buffer, position: number): Promise<number> {
  for (let filled = 0; ; ) {
    const { bytesRead } = await file.read(buffer, filled, buffer.length - filled, position + filled);
    filled += bytesRead;
    if (bytesRead === 0 || filled === buffer.length) return filled;
  }
}

/** SHA-256 of a file, hex: to compare what came out with what went in. */
export async function hashFile(file: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const part of createReadStream(file, { highWaterMark: BUFFER_BYTES })) hash.update(part as Buffer);
  return hash.digest('hex');
}
