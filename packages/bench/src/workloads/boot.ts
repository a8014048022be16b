/** The workload of hosts that boot from a disk which is elsewhere: from the asking to the login, and until all of the disk is there. */
import type { Workload } from './workload.ts';

export const boot: Workload = {
  kind: 'boot',
  name: 'boot',
  about:
    'hosts boot at once and log in; holders near them have an earlier state of the disk, of which a share of the chunks still matches; traces are boots that were recorded before; without background only what guests wait for comes',
  settings: {
    hosts: { least: 1, most: 16, otherwise: 1 },
    holders: { least: 0, most: 8, otherwise: 0 },
    'match-percent': { least: 0, most: 100, otherwise: 100 },
    traces: { least: 0, most: 5, otherwise: 0 },
    background: { least: 0, most: 1, otherwise: 1 },
    'chunk-kib': { least: 16, most: 1024, otherwise: 64, powerOfTwo: true },
  },
  steps: [],
  unit: '',
  label: (settings) => {
    const { hosts = 1, holders = 0, 'match-percent': match, 'chunk-kib': chunk, background, traces = 0 } = settings;
    return [
      hosts === 1 ? 'boot' : `boot of ${hosts} hosts`,
      ...(holders === 0 ? [] : [`${holders} ${holders === 1 ? 'holder' : 'holders'} with ${match} %`]),
      ...(traces === 0 ? [] : [`${traces} earlier ${traces === 1 ? 'boot' : 'boots'}`]),
      ...(background === 0 ? ['on demand alone'] : []),
      ...(chunk === 64 ? [] : [`chunks of ${chunk} KiB`]),
    ].join(', ');
  },
  diskMib: () => 0,
};
