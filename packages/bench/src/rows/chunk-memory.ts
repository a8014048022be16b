/** Memory of an agent for each chunk that it holds: the same agent over a store with few chunks and one with many. */
import { join } from 'node:path';
import { FolderStorage, systemRandom } from '@diskswarm/core/system';
import { PackStore } from '@diskswarm/store';
import { AgentHost } from '../hosts/agent-host.ts';
import { buildLargeDisk } from '../hosts/large-disk.ts';
import { rssAnonBytes } from '../machine.ts';
import { pause } from '../programs.ts';
import { check, type Row, type Series, valueFigure } from '../row.ts';

const MIB = 2 ** 20;
const GIB = 2 ** 30;
const CHUNK_BYTES = 65536;
const SETTLE_MS = 2000;
const STRIDES = 64;

interface Reading {
  readonly rssBytes: number;
  readonly indexBytes: number;
  readonly entries: number;
}

export const chunkMemory: Row = {
  name: 'chunk-memory',
  title: 'Memory of an agent per chunk: a disk attached, 10 GiB and 50 GiB of data on it',
  target: 'stated',
  programs: [],
  needsRoot: false,
  rounds: 3,
  async run({ folder, smoke, rounds, log }) {
    const counts = smoke ? { few: 1024, many: 8192 } : { few: 163_840, many: 819_200 };
    const hosts = {
      few: await hostWith(join(folder, 'few'), counts.few, log),
      many: await hostWith(join(folder, 'many'), counts.many, log),
    };
    const few: Reading[] = [];
    const many: Reading[] = [];
    for (let round = 0; round < rounds; round++) {
      few.push(await readingOf(hosts.few, counts.few));
      many.push(await readingOf(hosts.many, counts.many));
    }
    const between = (pick: (reading: Reading) => number): number[] =>
      many.map(
        (reading, round) =>
          (pick(reading) - pick(few[round] as Reading)) / (reading.entries - (few[round] as Reading).entries),
      );
    const rss = between(({ rssBytes }) => rssBytes);
    const index = between(({ indexBytes }) => indexBytes);
    const of = (subject: string, readings: readonly Reading[]): Series[] => [
      {
        subject,
        measure: 'RssAnon, disk attached',
        unit: 'MiB',
        values: readings.map(({ rssBytes }) => rssBytes / MIB),
      },
      {
        subject,
        measure: 'index of the store',
        unit: 'MiB',
        values: readings.map(({ indexBytes }) => indexBytes / MIB),
      },
      { subject, measure: 'chunks and pages', unit: 'entries', values: readings.map(({ entries }) => entries) },
    ];
    return {
      series: [...of('few chunks', few), ...of('many chunks', many)],
      figures: [
        valueFigure('memory of an agent per chunk', 'B', rss, null),
        valueFigure('of it in the index of the store', 'B', index, null),
      ],
      checks: ['all pieces are present after each start'],
      notes: [
        'What an agent has without chunks cancels out: the growth of its RssAnon from the one store to the other, over the chunks and pages that there are more.',
        'The chunks are synthetic as in the row "memory": all different, mostly zero, imported by the real import.',
      ],
    };
  },
};

async function hostWith(stateDir: string, chunks: number, log: (text: string) => void): Promise<AgentHost> {
  const host = new AgentHost({ stateDir });
  await host.start();
  await host.stop();
  log(`building a disk of ${chunks} chunks`);
  const dataBytes = (chunks / STRIDES) * CHUNK_BYTES;
  await buildLargeDisk(host, { sizeBytes: STRIDES * GIB, strideBytes: GIB, dataBytes });
  return host;
}

async function readingOf(host: AgentHost, chunks: number): Promise<Reading> {
  await host.start();
  const { piecesPresent } = await host.call('disk.info', { name: 'large' });
  check(piecesPresent === chunks, `${piecesPresent} pieces are here, not ${chunks}`);
  await host.attach('large');
  await pause(SETTLE_MS);
  const rssBytes = rssAnonBytes(host.pid);
  await host.call('disk.detach', { name: 'large' });
  await host.stop();
  const store = await PackStore.open(new FolderStorage(host.stateDir), { random: systemRandom });
  const { chunks: entries, indexBytes } = store.stats();
  await store.close();
  return { rssBytes, indexBytes, entries };
}
