/** What changed between two generations of a disk of 1 TiB without a hole: the time, and the pages that are read for it. */
import type { ChunkId, DiskId, PageId, PieceIndex } from '@diskswarm/core';
import { FolderStorage, systemRandom } from '@diskswarm/core/system';
import { compareManifests, ManifestBuilder, type PageSink, type PageSource, updateManifest } from '@diskswarm/manifest';
import { PackStore } from '@diskswarm/store';
import { seededNumbers } from '../image.ts';
import { check, type Row, type Series, valueFigure } from '../row.ts';

const CHUNK_BYTES = 65536;
const ID_BYTES = 32;
const PAGE_MIB = 8192 / 2 ** 20;
const DIFFERING = [1, 1000, 100_000] as const;
const DISK = '5b'.repeat(32) as DiskId;

export const manifest: Row = {
  name: 'manifest',
  title: 'Comparison of two manifests of a disk of 1 TiB, 16,777,216 chunks and none of them zero',
  target: 'stated, beside the size of two flat lists of ids',
  programs: [],
  needsRoot: false,
  rounds: 5,
  async run({ folder, smoke, rounds, log }) {
    const pieces = (smoke ? 2 ** 30 : 2 ** 40) / CHUNK_BYTES;
    const counts = smoke ? DIFFERING.slice(0, 2) : DIFFERING;
    const store = await PackStore.open(new FolderStorage(folder), { random: systemRandom });
    const pages = new StoredPages(store);
    log('building the manifest');
    const builder = new ManifestBuilder({ pieces, sink: pages });
    for (let piece = 0; piece < pieces; piece++) {
      const closed = builder.add(idOf(piece + 1));
      if (closed !== undefined) await closed;
    }
    const before = { root: await builder.finish(), pieces };
    const series: Series[] = [];
    const figures = [];
    for (const count of counts) {
      const measure = `${count.toLocaleString('en-US')} of ${pieces.toLocaleString('en-US')} pieces differ`;
      log(measure);
      const changes = scattered(count, pieces).map((piece) => [piece, idOf(pieces + 1 + piece)] as const);
      const root = await updateManifest({ root: before.root, pieces, source: pages, sink: pages, changes });
      const [ms, mib]: [number[], number[]] = [[], []];
      for (let round = 0; round < rounds; round++) {
        const readBefore = pages.read;
        const startedMs = performance.now();
        const found: PieceIndex[] = [];
        for await (const { piece, after } of compareManifests(before, { root, pieces }, pages)) {
          if (after === idOf(pieces + 1 + piece)) found.push(piece);
        }
        ms.push(performance.now() - startedMs);
        mib.push((pages.read - readBefore) * PAGE_MIB);
        check(
          found.length === count && found.every((piece, index) => piece === changes[index]?.[0]),
          `${found.length} pieces were found to differ, not the ${count} that do`,
        );
      }
      series.push({ subject: 'diskswarm: time', measure, unit: 'ms', values: ms });
      series.push({ subject: 'diskswarm: pages read', measure, unit: 'MiB', values: mib });
      figures.push(valueFigure(`manifests compared, ${measure}`, 'ms', ms, null));
    }
    await store.close();
    const flat = (2 * pieces * ID_BYTES) / 2 ** 20;
    series.push({
      subject: 'two flat lists of ids',
      measure: 'to be read, however few differ',
      unit: 'MiB',
      values: [flat],
    });
    return {
      series,
      figures,
      checks: ['the pieces that were found to differ, with their new ids, against those that were changed, every time'],
      notes: [
        'Both manifests are in a store; each page that is read is verified. Pages that another host has cost a round trip per level besides.',
        'The ids are made up, the tree over them is real. The pieces that differ are scattered at random over the disk.',
      ],
    };
  },
};

/** Pages in a store, counted. */
class StoredPages implements PageSource, PageSink {
  /** Pages so far. */
  read = 0;
  readonly #store: PackStore;

  constructor(store: PackStore) {
    this.#store = store;
  }

  get(id: PageId): Promise<Uint8Array> {
    this.read++;
    return this.#store.get(id);
  }

  put(id: PageId, page: Uint8Array): Promise<void> {
    return this.#store.put(id, page, DISK);
  }
}

function idOf(number: number): ChunkId {
  return number.toString(16).padStart(2 * ID_BYTES, '0') as ChunkId;
}

/** Distinct pieces, rising. */
function scattered(count: number, pieces: number): PieceIndex[] {
  const random = seededNumbers(12);
  const chosen = new Set<number>();
  while (chosen.size < count) chosen.add(random(pieces));
  return [...chosen].sort((left, right) => left - right) as PieceIndex[];
}
