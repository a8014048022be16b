/** What came from peers enters this host once, and is offered only when it is durable; of two generations that come together the newer one stays. */
import { Geometry } from '@diskswarm/chunk';
import { blake3, type ChunkId, DiskswarmError, type GenerationId, type PieceIndex, toHex } from '@diskswarm/core';
import type { Generation } from '@diskswarm/identity';
import { createSimulation } from '@diskswarm/sim';
import test from 'ava';
import { DiskContent } from '../src/agent/disk-content.ts';
import { DiskPages } from '../src/agent/disk-pages.ts';
import { GenerationView } from '../src/agent/generation-view.ts';
import type { PageFetch } from '../src/agent/page-fetch.ts';
import { PieceIntake } from '../src/agent/piece-intake.ts';
import { DISK, idOf, MemoryChunks, manifestOf } from './support/memory-chunks.ts';

const BYTES = 16_384;
const PIECES = 600;
const geometry = new Geometry(PIECES * BYTES, BYTES);

test('pieces whose sync failed are offered after the next one that holds', async (t) => {
  const simulation = createSimulation(1);
  await simulation.run(async () => {
    const { clock } = simulation.host('home');
    const store = new MemoryChunks();
    const bytes = new Uint8Array(BYTES).fill(3);
    const id = toHex(blake3(bytes)) as ChunkId;
    const root = await manifestOf(store, PIECES, new Map([[7, id]]));
    const view = new GenerationView(
      { disk: DISK, generation: '01'.repeat(32) as GenerationId, root, geometry },
      store,
      new DiskPages(store, DISK),
    );
    const durable: PieceIndex[] = [];
    const failures: unknown[] = [];
    let full = true;
    store.sync = async () => {
      if (full) throw new DiskswarmError('DISK_FULL', 'no room');
    };
    const intake = new PieceIntake(store, clock, DISK, {
      durable: (_view, pieces) => durable.push(...pieces),
      failed: (error) => failures.push(error),
    });
    await intake.take(view, 7 as PieceIndex, id, bytes);
    await new Promise<void>((resolve) => clock.setTimer(1000, resolve));
    t.deepEqual([durable.length, failures.length], [0, 1]);
    await t.throwsAsync(intake.flush(), { message: 'no room' });
    full = false;
    await intake.flush();
    t.deepEqual(durable, [7 as PieceIndex]);
  });
});

test('of two generations that come together the newer one stays, however long looking at the other takes', async (t) => {
  const store = new MemoryChunks();
  const roots = await Promise.all(
    [1, 2].map((first) =>
      manifestOf(
        store,
        PIECES,
        new Map([
          [0, idOf(first)],
          [300, idOf(9)],
        ]),
      ),
    ),
  );
  const generation = (index: number): Generation =>
    ({ id: `0${index + 1}`.repeat(32), root: roots[index], sizeBytes: geometry.sizeBytes }) as unknown as Generation;
  const pages = new DiskPages(store, DISK);
  const slow = Promise.withResolvers<void>();
  const get = store.get.bind(store);
  let asked = 0;
  store.get = async (id) => {
    if (asked++ === 0) await slow.promise;
    return get(id);
  };
  const heads: string[] = [];
  const content = new DiskContent({
    disk: DISK,
    chunkSizeBytes: BYTES,
    store,
    pages,
    fetch: {} as PageFetch,
    isRound: () => false,
    listener: {
      headChanged: (view) => heads.push(view.subject.generation.slice(0, 2)),
      learned: () => {},
      warn: (message, error) => t.fail(`${message}: ${String(error)}`),
    },
  });
  let newest = generation(0);
  const first = content.adopt(() => newest);
  await new Promise<void>((resolve) => setImmediate(resolve));
  newest = generation(1);
  const second = content.adopt(() => newest);
  await new Promise<void>((resolve) => setImmediate(resolve));
  slow.resolve();
  await Promise.all([first, second]);
  t.deepEqual(heads, ['01', '02']);
  t.is(content.head?.subject.generation, newest.id);
});

test('a piece that came just before a seal is offered under the sealed generation too', async (t) => {
  const store = new MemoryChunks();
  const bytes = new Uint8Array(BYTES).fill(3);
  const id = toHex(blake3(bytes)) as ChunkId;
  const before = await manifestOf(store, PIECES, new Map([[7, id]]));
  const after = await manifestOf(
    store,
    PIECES,
    new Map([
      [7, id],
      [300, idOf(1)],
    ]),
  );
  const generation = (index: number, root: ChunkId): Generation =>
    ({ id: `0${index}`.repeat(32), root, sizeBytes: geometry.sizeBytes }) as unknown as Generation;
  const listener = { headChanged: () => {}, learned: () => {}, warn: () => {} };
  const pages = new DiskPages(store, DISK);
  const content = new DiskContent({
    disk: DISK,
    chunkSizeBytes: BYTES,
    store,
    pages,
    fetch: {} as PageFetch,
    isRound: () => false,
    listener,
  });
  await content.adopt(() => generation(1, before));
  const old = content.head!;
  old.addPiece(7 as PieceIndex);
  await content.adoptSealed(generation(2, after));
  const head = content.head!;
  t.is(head.durablePieces().count, 0);
  t.deepEqual(content.durable(old, [7 as PieceIndex]), [
    [old, [7 as PieceIndex]],
    [head, [7 as PieceIndex]],
  ]);
  t.is(head.durablePieces().count, 1);
});
