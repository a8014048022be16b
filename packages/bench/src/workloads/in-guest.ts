/** Workloads that the guest does by itself and tells of on its line. */
import type { MoveWorkload, Setting, WorkloadContext } from './workload.ts';

const mib = (otherwise: number): Setting => ({ least: 1, most: 65_536, otherwise });
const nothing = async (): Promise<void> => {};

/** A workload that one command of the guest begins. */
function inGuest(
  workload: Omit<MoveWorkload, 'begin' | 'kind'> & {
    command(context: WorkloadContext): readonly (string | number)[] | null;
  },
): MoveWorkload {
  const { command, ...rest } = workload;
  return {
    ...rest,
    kind: 'move',
    async begin(context) {
      const words = command(context);
      if (words !== null) await context.guest.say(...words);
      return nothing;
    },
  };
}

export const idle = inGuest({
  name: 'idle',
  about: 'nothing but a ticker',
  settings: {},
  steps: [],
  unit: '',
  label: () => 'idle',
  diskMib: () => 0,
  command: () => null,
});

export const rewrite = inGuest({
  name: 'rewrite',
  about: 'rewrites a region in blocks of 512 KiB with fsync at a rate, through the page cache',
  settings: { 'region-mib': mib(32), 'kib-per-second': { least: 64, most: 1_000_000, otherwise: 5000 } },
  steps: ['wrote'],
  unit: 'writes',
  label: (settings) => `rewrite ${Math.round(settings['kib-per-second']! / 100) / 10} MB/s`,
  diskMib: (settings) => settings['region-mib']!,
  command: ({ settings }) => ['rewrite', settings['region-mib']!, settings['kib-per-second']!],
});

export const diabolical = inGuest({
  name: 'diabolical',
  about: 'writes a file sequentially with fsync and reads it back past the cache, as fast as it goes (what Bonnie did)',
  settings: { 'file-mib': mib(32) },
  steps: ['wrote', 'read'],
  unit: 'MiB written or read',
  label: () => 'diabolical',
  diskMib: (settings) => settings['file-mib']!,
  command: ({ settings }) => ['diabolical', settings['file-mib']!],
});

export const mix = inGuest({
  name: 'mix',
  about: 'single 4 KiB blocks at random, two reads past the cache to each write with fsync',
  settings: { 'file-mib': mib(32) },
  steps: ['wrote', 'read'],
  unit: 'blocks written or read',
  label: () => 'random 4 KiB',
  diskMib: (settings) => settings['file-mib']!,
  command: ({ settings, seed }) => ['mix', settings['file-mib']!, seed],
});

export const bursts = inGuest({
  name: 'bursts',
  about: 'transactions as SQLite makes them: journal, fsync, 4 to 19 pages, fsync, a pause of up to a second',
  settings: { 'database-mib': mib(16) },
  steps: ['wrote'],
  unit: 'transactions',
  label: () => 'database bursts',
  diskMib: (settings) => settings['database-mib']! + 1,
  command: ({ settings, seed }) => ['bursts', settings['database-mib']!, seed],
});

export const dirtyMemory = inGuest({
  name: 'dirty-memory',
  about: 'rewrites memory and no disk, at a rate',
  settings: { 'region-mib': mib(24), 'mib-per-second': { least: 1, most: 1000, otherwise: 8 } },
  steps: ['wrote'],
  unit: 'MiB of memory rewritten',
  label: (settings) => `dirty memory ${settings['mib-per-second']} MiB/s`,
  diskMib: () => 0,
  command: ({ settings }) => ['dirty', settings['region-mib']!, settings['mib-per-second']!],
});
