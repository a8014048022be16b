/** An image becomes chunks and a manifest: the same whatever its extents look like, holes unread, the end padded, memory bounded. */

import { Geometry } from '@diskswarm/chunk';
import { ZERO_ID } from '@diskswarm/core';
import { ManifestReader } from '@diskswarm/manifest';
import { SeededRandom } from '@diskswarm/sim';
import test from 'ava';
import fc from 'fast-check';
import { DiskPages } from '../src/agent/disk-pages.ts';
import { type ImportSource, importDisk } from '../src/agent/import-disk.ts';
import { DISK, MemoryChunks } from './support/memory-chunks.ts';

const CHUNK_BYTES = 16_384;
const never = new AbortController().signal;

interface Range {
  readonly offsetBytes: number;
  readonly lengthBytes: number;
}

/** An image whose reads are recorded; bytes outside of its extents are not to be read alone. */
function imageOf(bytes: Uint8Array, extents: readonly Range[]): ImportSource & { readonly reads: Range[] } {
  const reads: Range[] = [];
  return {
    extents,
    reads,
    read: async (into, offsetBytes) => {
      reads.push({ offsetBytes, lengthBytes: into.length });
      if (offsetBytes + into.length > bytes.length) throw new Error('read beyond the end');
      into.set(bytes.subarray(offsetBytes, offsetBytes + into.length));
    },
  };
}

async function imported(source: ImportSource, sizeBytes: number, signal = never) {
  const store = new MemoryChunks();
  const geometry = new Geometry(sizeBytes, CHUNK_BYTES);
  const pages = new DiskPages(store, DISK);
  const progress: number[] = [];
  const result = await importDisk(
    source,
    { geometry, disk: DISK, store, pages },
    { signal, onProgress: (done) => progress.push(done) },
  );
  const reader = new ManifestReader({ root: result.root, pieces: geometry.pieces, source: pages });
  const content = Buffer.alloc(geometry.pieces * CHUNK_BYTES);
  for (let piece = 0; piece < geometry.pieces; piece++) {
    const id = await reader.idOf(piece as never);
    if (id !== ZERO_ID) content.set(await store.get(id), piece * CHUNK_BYTES);
  }
  return { ...result, content, store, progress };
}

test('whatever the extents, the disk has the image’s bytes and a padded end', async (t) => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 600 }),
      fc.array(fc.tuple(fc.nat(600), fc.integer({ min: 1, max: 90 })), { maxLength: 12 }),
      fc.nat(),
      async (sectors, areas, seed) => {
        const sizeBytes = sectors * 512;
        const bytes = new Uint8Array(sizeBytes);
        const extents: Range[] = [];
        let end = 0;
        for (const [gap, length] of areas) {
          const from = end + (gap % 40) * 512;
          const to = Math.min(sizeBytes, from + length * 512);
          if (from >= to) break;
          bytes.set(new SeededRandom(`${seed} ${from}`).bytes(to - from), from);
          extents.push({ offsetBytes: from, lengthBytes: to - from });
          end = to;
        }
        const { content } = await imported(imageOf(bytes, extents), sizeBytes);
        t.true(content.subarray(0, sizeBytes).equals(bytes));
        t.true(content.subarray(sizeBytes).every((byte) => byte === 0));
      },
    ),
    { numRuns: 60 },
  );
});

test('a hole is never read, and an extent of zeros is stored as nothing', async (t) => {
  const sizeBytes = 4096 * CHUNK_BYTES;
  const bytes = new Uint8Array(sizeBytes);
  bytes.fill(7, 1000 * CHUNK_BYTES + 100, 1000 * CHUNK_BYTES + 200);
  const source = imageOf(bytes, [
    { offsetBytes: 1000 * CHUNK_BYTES + 100, lengthBytes: 100 },
    { offsetBytes: 2000 * CHUNK_BYTES, lengthBytes: 3 * CHUNK_BYTES },
  ]);
  const { dataBytes, store, content, progress } = await imported(source, sizeBytes);
  t.deepEqual(source.reads, [
    { offsetBytes: 1000 * CHUNK_BYTES, lengthBytes: CHUNK_BYTES },
    { offsetBytes: 2000 * CHUNK_BYTES, lengthBytes: 3 * CHUNK_BYTES },
  ]);
  t.true(content.equals(bytes));
  t.is(dataBytes, CHUNK_BYTES);
  t.is([...store.chunks.values()].filter((chunk) => chunk.bytes.length === CHUNK_BYTES).length, 1);
  t.is(progress.at(-1), sizeBytes);
});

test('equal chunks are stored once; no read is longer than the buffers', async (t) => {
  const bytes = new Uint8Array(1024 * CHUNK_BYTES).fill(9);
  const source = imageOf(bytes, [{ offsetBytes: 0, lengthBytes: bytes.length }]);
  const { store, dataBytes } = await imported(source, bytes.length);
  t.is([...store.chunks.values()].filter((chunk) => chunk.bytes.length === CHUNK_BYTES).length, 1);
  t.is(dataBytes, bytes.length);
  t.true(Math.max(...source.reads.map(({ lengthBytes }) => lengthBytes)) <= 4 * 1024 * 1024);
});

test('an import that is given up, or whose image fails, rejects', async (t) => {
  const bytes = new Uint8Array(1024 * CHUNK_BYTES).fill(9);
  const whole = [{ offsetBytes: 0, lengthBytes: bytes.length }];
  await t.throwsAsync(imported(imageOf(bytes, whole), bytes.length, AbortSignal.abort(new Error('given up'))), {
    message: 'given up',
  });
  const source = imageOf(bytes.subarray(0, 600 * CHUNK_BYTES), whole);
  await t.throwsAsync(imported(source, bytes.length), { message: 'read beyond the end' });
});
