/**
 * The disk as it has to be: a plain file with all changes, that what the systems bring is compared with.
 *
 * It makes the bytes that are written, so that whoever else has to write them takes them from here; and it knows how many blocks each
 * stay wrote and how many of these are other ones afterwards, which is the least that a move can bring without compression.
 */
import { createHash } from 'node:crypto';
import { type FileHandle, open, writeFile } from 'node:fs/promises';
import { haveSameBytes, SeededBytes, writeImage } from '../image.ts';
import { BLOCK_BYTES, type Change } from '../workloads/desk-week.ts';

const MIB = 2 ** 20;

/** What a stay did, in blocks of 4 KiB. */
export interface ChangedBlocks {
  readonly written: number;
  /** Of these, those that hold something else than before. */
  readonly differing: number;
}

export class ReferenceDisk {
  readonly path: string;
  readonly sizeBytes: number;
  readonly #bytes: SeededBytes;

  private constructor(path: string, sizeBytes: number, seed: number) {
    this.path = path;
    this.sizeBytes = sizeBytes;
    this.#bytes = new SeededBytes(seed);
  }

  /** A disk whose content comes first and whose rest is a hole. */
  static async make(
    path: string,
    { diskMib, contentMib, seed }: { diskMib: number; contentMib: number; seed: number },
  ): Promise<ReferenceDisk> {
    await writeImage(path, { sizeBytes: contentMib * MIB, seed, zeroShare: 0, holes: true });
    const file = await open(path, 'r+');
    await file.truncate(diskMib * MIB);
    await file.close();
    return new ReferenceDisk(path, diskMib * MIB, seed + 1);
  }

  async apply(changes: readonly Change[]): Promise<ChangedBlocks> {
    const file = await open(this.path, 'r+');
    try {
      const before = new Map<number, string>();
      for (const change of changes) {
        for (const [at, hash] of await blocksOf(file, change)) if (!before.has(at)) before.set(at, hash);
        const { kind, offsetBytes, lengthBytes } = change;
        const bytes = kind === 'zero' ? Buffer.alloc(lengthBytes) : this.#bytes.next(lengthBytes);
        await file.write(bytes, 0, lengthBytes, offsetBytes);
      }
      const differing = new Set<number>();
      for (const change of changes) {
        for (const [at, hash] of await blocksOf(file, change)) if (before.get(at) !== hash) differing.add(at);
      }
      return { written: before.size, differing: differing.size };
    } finally {
      await file.close();
    }
  }

  /** Whether another file has the same bytes. */
  isLike(path: string): Promise<boolean> {
    return haveSameBytes(this.path, path);
  }
}

/** Makes the same changes in another file that was like the reference before. */
export async function copyChanges(reference: string, target: string, changes: readonly Change[]): Promise<void> {
  const [from, to] = [await open(reference, 'r'), await open(target, 'r+')];
  try {
    for (const { offsetBytes, lengthBytes } of changes) {
      const bytes = Buffer.alloc(lengthBytes);
      await from.read(bytes, 0, lengthBytes, offsetBytes);
      await to.write(bytes, 0, lengthBytes, offsetBytes);
    }
    await to.sync();
  } finally {
    await from.close();
    await to.close();
  }
}

/** Changes as change-disk.py reads them. */
export async function writeChanges(path: string, changes: readonly Change[]): Promise<void> {
  await writeFile(
    path,
    changes.map(({ kind, offsetBytes, lengthBytes }) => `${kind} ${offsetBytes} ${lengthBytes}\n`).join(''),
  );
}

/** Where each block of a change lies, and a digest of what it holds. */
async function blocksOf(
  file: FileHandle,
  { offsetBytes, lengthBytes }: Change,
): Promise<(readonly [number, string])[]> {
  const bytes = Buffer.alloc(lengthBytes);
  await file.read(bytes, 0, lengthBytes, offsetBytes);
  return Array.from({ length: lengthBytes / BLOCK_BYTES }, (_, index) => {
    const block = bytes.subarray(index * BLOCK_BYTES, (index + 1) * BLOCK_BYTES);
    return [offsetBytes + index * BLOCK_BYTES, createHash('sha256').update(block).digest('base64')];
  });
}
