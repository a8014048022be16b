/** A guest reads the right bytes whatever the store has lost, as long as some host has them: real store, real data path, a peer that is a map. */
import { chunkIdOf, Geometry } from '@diskswarm/chunk';
import { type ChunkId, type ChunkSource, type GenerationId, type PieceIndex, PRIORITY } from '@diskswarm/core';
import { PieceTable } from '@diskswarm/disk';
import { ManifestReader } from '@diskswarm/manifest';
import { createSimulation, type SimHost } from '@diskswarm/sim';
import { PackStore } from '@diskswarm/store';
import test from 'ava';
import { AttachmentResolver } from '../src/agent/attachment-resolver.ts';
import { DiskPages } from '../src/agent/disk-pages.ts';
import { FaultStatistics } from '../src/agent/fault-statistics.ts';
import { GenerationView } from '../src/agent/generation-view.ts';
import { PageFetch } from '../src/agent/page-fetch.ts';
import { PieceChunks } from '../src/agent/piece-chunks.ts';
import { PieceIntake } from '../src/agent/piece-intake.ts';
import { DISK, MemoryChunks, manifestOf } from './support/memory-chunks.ts';

const BYTES = 16_384;
const PIECES = 600;
const never = { signal: new AbortController().signal };
const geometry = new Geometry(PIECES * BYTES, BYTES);
/** Pieces 0 and 400 have the same content. */
const contentOf = (piece: number): Uint8Array => new Uint8Array(BYTES).fill(1 + ((piece % 400) % 250));

interface Here {
  readonly machine: SimHost;
  readonly store: PackStore;
  readonly view: GenerationView;
  readonly resolver: AttachmentResolver;
  readonly fetched: PieceIndex[];
  readonly warnings: string[];
  read(piece: number): Promise<Uint8Array>;
  /** The same through one table that lasts, as one export has it. */
  readAgain(piece: number): Promise<Uint8Array>;
  damage(id: ChunkId): Promise<void>;
  /** The ids of the pages on a piece's path, root first. */
  pathOf(piece: number): Promise<ChunkId[]>;
}

/** A host that has fetched `pieces` from the peer, and reads anew. */
async function withHere(
  seed: number,
  pieces: readonly number[],
  scenario: (here: Here) => Promise<void>,
): Promise<void> {
  const simulation = createSimulation(seed);
  await simulation.run(async () => {
    const machine = simulation.host('home');
    const there = new MemoryChunks();
    const ids = new Map<number, ChunkId>();
    for (let piece = 0; piece < PIECES; piece++) ids.set(piece, chunkIdOf(contentOf(piece)));
    const root = await manifestOf(there, PIECES, ids);
    const peer = new ManifestReader({ root, pieces: PIECES, source: new DiskPages(there, DISK) });
    let lasting: PieceTable | null = null;
    const onFailure = (): void => lasting?.distrust();
    const store = await PackStore.open(machine.storage, { random: machine.random, onFailure });
    const pages = new DiskPages(store, DISK);
    const view = new GenerationView(
      { disk: DISK, generation: '07'.repeat(32) as GenerationId, root, geometry },
      store,
      pages,
    );
    const fetch = new PageFetch(pages, {
      requestPath: async ({ piece, fromLevel }) => ({ pages: await peer.pathPages(piece, fromLevel), wrong: () => {} }),
    });
    const fetched: PieceIndex[] = [];
    const warnings: string[] = [];
    const source: ChunkSource = {
      get: async (_id, { piece }) => {
        fetched.push(piece);
        return contentOf(piece);
      },
      release: () => {},
    };
    const intake = new PieceIntake(store, machine.clock, DISK, {
      durable: () => {},
      failed: (error) => warnings.push(String(error)),
    });
    const chunks = new PieceChunks({
      store,
      source,
      pages: fetch,
      intake,
      statistics: new FaultStatistics(),
      base: { bring: (_view, _piece, _priority, { signal, ours }) => ours({ signal }) },
      claimedElsewhere: () => true,
    });
    const resolver = new AttachmentResolver({
      view,
      store,
      chunks,
      clock: machine.clock,
      onFault: () => {},
      onFailed: (error) => warnings.push(String(error)),
      warn: (message) => warnings.push(message),
    });
    for (const piece of pieces) await chunks.ensure(view, piece as PieceIndex, PRIORITY.bulk, never);
    await store.sync();
    fetched.length = 0;
    const tables: PieceTable[] = [];
    const newTable = (): PieceTable => {
      const table = new PieceTable({ geometry, storage: machine.storage, resolver });
      tables.push(table);
      return table;
    };
    const readFrom = async (table: PieceTable, piece: number): Promise<Uint8Array> => {
      const into = new Uint8Array(BYTES);
      if (!table.readSync(piece * BYTES, into)) await table.read(piece * BYTES, into, never);
      return into;
    };
    await scenario({
      machine,
      store,
      view,
      resolver,
      fetched,
      warnings,
      // A table of its own for each read: nothing was verified before.
      read: (piece) => readFrom(newTable(), piece),
      readAgain: (piece) => {
        lasting ??= newTable();
        return readFrom(lasting, piece);
      },
      damage: async (id) => {
        const { path, positionBytes } = store.locate(id)!;
        const file = await machine.storage.open(path, 'write');
        file.writeSync(new Uint8Array([0xee, 0xdd]), positionBytes + 9);
        await file.close();
      },
      pathOf: async (piece) => (await peer.pathPages(piece as PieceIndex, 9)).map((page) => chunkIdOf(page)),
    });
    for (const table of tables) await table.close();
    intake.stop();
    await store.close().catch(() => {}); // Some scenarios break it.
  });
}

test('a chunk that was damaged is fetched anew, once', async (t) => {
  await withHere(1, [0, 1, 2], async (here) => {
    await here.damage(chunkIdOf(contentOf(1)));
    t.deepEqual(await here.read(1), contentOf(1));
    t.deepEqual(here.fetched, [1]);
    t.deepEqual(await here.read(0), contentOf(0));
    t.deepEqual(here.fetched, [1]);
  });
});

test('a chunk that the store dropped for one piece comes anew for another with the same content', async (t) => {
  await withHere(2, [0, 1, 400], async (here) => {
    await here.damage(chunkIdOf(contentOf(0)));
    await t.throwsAsync(here.store.get(chunkIdOf(contentOf(0))), { message: /changed/ });
    t.deepEqual(await here.read(400), contentOf(400));
    t.deepEqual(await here.read(0), contentOf(0));
    t.deepEqual(here.fetched, [400]);
  });
});

for (const level of [0, 1]) {
  test(`a manifest page of level ${level} that is damaged is fetched anew`, async (t) => {
    await withHere(3 + level, [0, 1, 300], async (here) => {
      const path = await here.pathOf(300);
      await here.damage(path[path.length - 1 - level]!);
      // As an agent that has just started: no page is cached, the view is learned from the store.
      const pages = new DiskPages(here.store, DISK);
      const again = new GenerationView(here.view.subject, here.store, pages);
      await t.notThrowsAsync(again.learnFromStore(never));
      t.false(again.leafKnown(1));
      here.resolver.rebase(again);
      t.deepEqual(await here.read(300), contentOf(300));
      t.deepEqual(await here.read(1), contentOf(1));
      await again.learnFromStore(never);
      t.true(again.leafKnown(1));
    });
  });
}

test('on a full disk a guest goes on reading what comes from elsewhere, and it is stored once there is room', async (t) => {
  await withHere(6, [0], async (here) => {
    const { disk } = here.machine;
    disk.capacityBytes -= disk.freeBytes;
    for (const piece of [1, 2, 300, 301, 2]) t.deepEqual(await here.read(piece), contentOf(piece), `piece ${piece}`);
    t.false(here.view.has(300 as PieceIndex));
    t.false(here.view.leafKnown(1));
    disk.capacityBytes = 2 ** 40;
    t.deepEqual(await here.read(2), contentOf(2));
    t.true(here.view.has(2 as PieceIndex));
    const before = here.fetched.length;
    t.deepEqual(await here.read(2), contentOf(2));
    t.is(here.fetched.length, before);
    t.deepEqual(here.warnings, []);
  });
});

test('once a leaf was told whole, a fault tells of its neighbours alone, and what was known stays', async (t) => {
  await withHere(7, [5, 255], async (here) => {
    const first = await here.resolver.resolve(3 as PieceIndex, PRIORITY.fault, never);
    t.deepEqual([first.first, first.locations.length], [0, 256]);
    const second = await here.resolver.resolve(254 as PieceIndex, PRIORITY.fault, never);
    t.deepEqual([second.first, second.locations.length], [254, 2]);
    t.deepEqual(
      second.locations,
      [254, 255].map((piece) => here.store.locate(chunkIdOf(contentOf(piece)))),
    );
    for (const piece of [3, 5, 254, 255, 4]) t.deepEqual(await here.read(piece), contentOf(piece), `piece ${piece}`);
    here.resolver.rebase(here.view);
    t.is((await here.resolver.resolve(3 as PieceIndex, PRIORITY.fault, never)).locations.length, 256);
  });
});

test('after a sync of the store failed a guest goes on reading the right bytes, also where it had read before', async (t) => {
  await withHere(8, [0], async (here) => {
    const pieces = Array.from({ length: 24 }, (_, index) => index + 1);
    for (const piece of pieces) t.deepEqual(await here.readAgain(piece), contentOf(piece));
    here.machine.disk.fail({ operation: 'sync', pathPrefix: 'store' });
    await t.throwsAsync(here.store.sync(), { message: /EIO/ });
    for (const round of [1, 2]) {
      for (const piece of pieces)
        t.deepEqual(await here.readAgain(piece), contentOf(piece), `piece ${piece}, round ${round}`);
    }
    t.deepEqual(await here.readAgain(400), contentOf(400));
  });
});
