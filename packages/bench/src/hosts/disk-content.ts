/**
 * The content of a guest's disk, found again at the end that was reached: every block that no compressor gains on has to be there as
 * it is in the image.
 *
 * A guest writes beside its content and never into it, so that these blocks are the same for good, whoever moves the disk and whatever
 * works on it. Tables and journal of the file system, which do change, hold zeros and small numbers and are told by that.
 */
import { type FileHandle, open } from 'node:fs/promises';
import { BLOCK_BYTES } from '@diskswarm/core';
import { check } from '../row.ts';

const PIECE_BYTES = 1024 * BLOCK_BYTES;
/** Of the 256 values, what a block of random bytes has at least; code and tables have fewer. */
const LEAST_VALUES = 245;

/** How many blocks of content `image` has; throws unless the raw file `copy` has them all. */
export async function checkContent(image: string, copy: string): Promise<number> {
  const [own, other] = await Promise.all([open(image), open(copy)]);
  try {
    return await compare(own, other);
  } finally {
    await Promise.all([own.close(), other.close()]);
  }
}

async function compare(own: FileHandle, other: FileHandle): Promise<number> {
  const pieces = [Buffer.alloc(PIECE_BYTES), Buffer.alloc(PIECE_BYTES)] as const;
  const differing: number[] = [];
  let blocks = 0;
  for (let position = 0; ; ) {
    const { bytesRead } = await own.read(pieces[0], 0, PIECE_BYTES, position);
    if (bytesRead === 0) break;
    pieces[1].fill(0);
    await other.read(pieces[1], 0, bytesRead, position);
    for (let at = 0; at + BLOCK_BYTES <= bytesRead; at += BLOCK_BYTES) {
      const block = pieces[0].subarray(at, at + BLOCK_BYTES);
      if (!isContent(block)) continue;
      blocks++;
      if (!block.equals(pieces[1].subarray(at, at + BLOCK_BYTES))) differing.push(position + at);
    }
    position += bytesRead;
  }
  check(blocks > 0, 'the image has no content to compare');
  const [first] = differing;
  check(
    first === undefined,
    `${differing.length} of ${blocks} blocks of content differ from the image, the first at byte ${first}`,
  );
  return blocks;
}

function isContent(block: Uint8Array): boolean {
  const seen = new Uint8Array(256);
  for (const byte of block) seen[byte] = 1;
  const values = seen.reduce((sum, one) => sum + one, 0);
  return values >= LEAST_VALUES;
}
