/** The workload of hosts that replay a recorded trace on a disk which is elsewhere, instead of booting from it. */
import type { Workload } from './workload.ts';

export const replay: Workload = {
  kind: 'boot',
  name: 'replay',
  about:
    'a host replays a recorded trace (`trace` names a file beside the experiment) as its guest would have waited; traces are replays that were recorded before; without background only what is waited for comes',
  settings: {
    traces: { least: 0, most: 5, otherwise: 0 },
    background: { least: 0, most: 1, otherwise: 1 },
  },
  trace: 'desktop.trace',
  steps: [],
  // For the library that the player uses.
  programs: ['nbdsh'],
  unit: '',
  label: ({ background, traces = 0 }, trace = '') =>
    [
      `replay of ${trace.replace(/\.trace$/, '')}`,
      ...(traces === 0 ? [] : [`${traces} earlier ${traces === 1 ? 'replay' : 'replays'}`]),
      ...(background === 0 ? ['on demand alone'] : []),
    ].join(', '),
  diskMib: () => 0,
};
