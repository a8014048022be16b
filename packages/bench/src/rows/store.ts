/** The store by itself: chunks in, synced, and out again verified, beside dd that only writes and b3sum that reads and hashes. */
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { chunkIdOf } from '@diskswarm/chunk';
import type { ChunkId, DiskId } from '@diskswarm/core';
import { FolderStorage, systemRandom } from '@diskswarm/core/system';
import { PackStore } from '@diskswarm/store';
import { seededNumbers, writeImage } from '../image.ts';
import { interleave } from '../interleave.ts';
import { run } from '../programs.ts';
import { check, type Row, ratioFigure, type Series } from '../row.ts';

const CHUNK_BYTES = 65536;
/** Chunks that are put together: 4 MiB. */
const BATCH = 64;
const DISK = '5a'.repeat(32) as DiskId;

interface Chunk {
  readonly id: ChunkId;
  readonly bytes: Uint8Array;
}

export const store: Row = {
  name: 'store',
  title: 'The store: chunks of 64 KiB written and synced, and read at random with verification',
  target: 'stated, beside dd with fsync and b3sum on one thread',
  programs: ['dd', 'b3sum'],
  needsRoot: false,
  rounds: 5,
  async run({ folder, smoke, rounds }) {
    const sizeBytes = (smoke ? 32 : 512) * 2 ** 20;
    const image = join(folder, 'image.raw');
    await writeImage(image, { sizeBytes, seed: 10, zeroShare: 0, holes: false });
    const content = await readFile(image);
    const chunks: Chunk[] = Array.from({ length: sizeBytes / CHUNK_BYTES }, (_, index) => {
      const bytes = content.subarray(index * CHUNK_BYTES, (index + 1) * CHUNK_BYTES);
      return { id: chunkIdOf(bytes), bytes };
    });
    const mibPerSecond = (elapsedMs: number): number => sizeBytes / 2 ** 20 / (elapsedMs / 1000);
    const open = (name: string): Promise<PackStore> =>
      PackStore.open(new FolderStorage(join(folder, name)), { random: systemRandom });
    const first = smoke ? 0 : -1;
    const kept = await open('kept');
    await putAll(kept, chunks);
    await kept.close();
    const reopened = await open('kept');
    const writes = await interleave(
      rounds,
      {
        diskswarm: async (round) => {
          const fresh = await open(`fresh${round}`);
          const startedMs = performance.now();
          await putAll(fresh, chunks);
          const elapsedMs = performance.now() - startedMs;
          await fresh.close();
          await rm(join(folder, `fresh${round}`), { recursive: true });
          return mibPerSecond(elapsedMs);
        },
        dd: async () => {
          const copy = join(folder, 'copy.raw');
          const { elapsedMs } = await run(['dd', `if=${image}`, `of=${copy}`, 'bs=4M', 'conv=fsync', 'status=none']);
          await rm(copy);
          return mibPerSecond(elapsedMs);
        },
      },
      { warmUp: !smoke },
    );
    const reads = await interleave(
      rounds,
      {
        diskswarm: async (round) => {
          const order = shuffled(chunks, 20 + round);
          const startedMs = performance.now();
          for (const { id, bytes } of order) {
            const read = await reopened.get(id);
            if (round === first) check(Buffer.compare(read, bytes) === 0, `other bytes came for chunk ${id}`);
          }
          return mibPerSecond(performance.now() - startedMs);
        },
        'b3sum, one thread': async () => mibPerSecond((await run(['b3sum', '--num-threads', '1', image])).elapsedMs),
      },
      { warmUp: !smoke },
    );
    await reopened.close();
    const mib = sizeBytes / 2 ** 20;
    const written = (subject: keyof typeof writes): Series => ({
      ...{ subject, measure: `${mib} MiB written and synced`, unit: 'MiB/s', values: writes[subject] },
    });
    const read = (subject: keyof typeof reads): Series => ({
      ...{ subject, measure: `${mib} MiB read and hashed`, unit: 'MiB/s', values: reads[subject] },
    });
    return {
      series: [written('diskswarm'), written('dd'), read('diskswarm'), read('b3sum, one thread')],
      figures: [
        ratioFigure('chunks into the store, against dd with fsync', written('diskswarm'), written('dd'), null),
        ratioFigure(
          'verified chunks out of the store, against b3sum on one thread',
          read('diskswarm'),
          read('b3sum, one thread'),
          null,
        ),
      ],
      checks: ['every chunk that the store gave after it was closed and opened again, against what was put'],
      notes: [
        'A round to warm up is not counted. Into the store: batches of 64 chunks whose ids are known, one sync at the end. Out of it: one chunk at a time, in random order, hashed; b3sum reads the file in order. The page cache is warm.',
      ],
    };
  },
};

async function putAll(into: PackStore, chunks: readonly Chunk[]): Promise<void> {
  for (let at = 0; at < chunks.length; at += BATCH) await into.putMany(chunks.slice(at, at + BATCH), DISK);
  await into.sync();
}

function shuffled<Value>(values: readonly Value[], seed: number): Value[] {
  const random = seededNumbers(seed);
  const order = [...values];
  for (let at = order.length - 1; at > 0; at--) {
    const other = random(at + 1);
    [order[at], order[other]] = [order[other] as Value, order[at] as Value];
  }
  return order;
}
