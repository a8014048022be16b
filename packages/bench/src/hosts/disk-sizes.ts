/** What a disk comes to in chunks of some size: its data, and the pages of the manifest that names them, built as agents build it. */
import { open } from 'node:fs/promises';
import { chunkIdOf, isZero } from '@diskswarm/chunk';
import { BLOCK_BYTES } from '@diskswarm/core';
import { ManifestBuilder } from '@diskswarm/manifest';

export interface DiskSizes {
  /** Of blocks of 4 KiB that are not zero, whatever the chunks are. */
  readonly dataBytes: number;
  /** Of different pages that are not zero. */
  readonly manifestBytes: number;
}

/** Of a raw image, whose end is padded to whole chunks. */
export async function diskSizes(image: string, chunkBytes: number): Promise<DiskSizes> {
  const file = await open(image);
  try {
    const { size } = await file.stat();
    const pages = new Map<string, number>();
    const sink = { put: async (id: string, page: Uint8Array) => void pages.set(id, page.length) };
    const pieces = Math.ceil(size / chunkBytes);
    const builder = new ManifestBuilder({ pieces, sink });
    let dataBytes = 0;
    for (let piece = 0; piece < pieces; piece++) {
      const chunk = Buffer.alloc(chunkBytes);
      await file.read(chunk, 0, chunkBytes, piece * chunkBytes);
      for (let at = 0; at < chunkBytes; at += BLOCK_BYTES)
        if (!isZero(chunk.subarray(at, at + BLOCK_BYTES))) dataBytes += BLOCK_BYTES;
      await builder.add(chunkIdOf(chunk));
    }
    await builder.finish();
    return { dataBytes, manifestBytes: [...pages.values()].reduce((sum, length) => sum + length, 0) };
  } finally {
    await file.close();
  }
}
