/** Chunk ids of a large buffer on one thread, beside b3sum (the same hash) and openssl (SHA-256, what torrents of version 2 have). */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { chunkIdOf } from '@diskswarm/chunk';
import { writeImage } from '../image.ts';
import { interleave } from '../interleave.ts';
import { run } from '../programs.ts';
import { check, type Row, ratioFigure, type Series } from '../row.ts';

const CHUNK_BYTES = 65536;
const SUBJECTS = ['diskswarm', 'b3sum, one thread', 'openssl, SHA-256'] as const;
type Subject = (typeof SUBJECTS)[number];

export const hash: Row = {
  name: 'hash',
  title: 'Ids of chunks of 64 KiB, one thread',
  target: 'stated, beside b3sum and SHA-256',
  programs: ['b3sum', 'openssl'],
  needsRoot: false,
  rounds: 7,
  async run({ folder, smoke, rounds }) {
    const sizeBytes = (smoke ? 32 : 1024) * 2 ** 20;
    const image = join(folder, 'image.raw');
    await writeImage(image, { sizeBytes, seed: 9, zeroShare: 0, holes: false });
    const content = await readFile(image);
    await checkIds(folder, content);
    const mibPerSecond = (elapsedMs: number): number => sizeBytes / 2 ** 20 / (elapsedMs / 1000);
    const values = await interleave(
      rounds,
      {
        diskswarm: async () => {
          const startedMs = performance.now();
          for (let at = 0; at < sizeBytes; at += CHUNK_BYTES) chunkIdOf(content.subarray(at, at + CHUNK_BYTES));
          return mibPerSecond(performance.now() - startedMs);
        },
        'b3sum, one thread': async () => mibPerSecond((await run(['b3sum', '--num-threads', '1', image])).elapsedMs),
        'openssl, SHA-256': async () => mibPerSecond((await run(['openssl', 'dgst', '-sha256', image])).elapsedMs),
      },
      { warmUp: !smoke },
    );
    const of = (subject: Subject): Series => ({
      ...{ subject, measure: `${sizeBytes / 2 ** 20} MiB hashed`, unit: 'MiB/s', values: values[subject] },
    });
    return {
      series: SUBJECTS.map(of),
      figures: [
        ratioFigure('ids of chunks, against b3sum on one thread', of('diskswarm'), of('b3sum, one thread'), null),
        ratioFigure('ids of chunks, against SHA-256 of openssl', of('diskswarm'), of('openssl, SHA-256'), null),
      ],
      checks: ['the ids of the first and the last chunk, against b3sum of the same bytes'],
      notes: [
        'A round to warm up is not counted. Ours looks whether a chunk is zero, hashes it in memory and makes its id as text; b3sum hashes the file as one, in the page cache.',
        'The figures of b3sum and openssl are of the whole process.',
      ],
    };
  },
};

async function checkIds(folder: string, content: Buffer): Promise<void> {
  for (const at of [0, content.length - CHUNK_BYTES]) {
    const chunk = content.subarray(at, at + CHUNK_BYTES);
    const file = join(folder, 'chunk.raw');
    await writeFile(file, chunk);
    const { stdout } = await run(['b3sum', '--no-names', file]);
    check(chunkIdOf(chunk) === stdout.trim(), `the id of the chunk at ${at} is not its BLAKE3 hash`);
  }
}
