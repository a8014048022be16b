/** The workload of a machine that goes back and forth between two hosts: what its disk has written on it between two moves. */
import { type DeskLoad, deskRoomMib } from './desk-week.ts';
import type { Setting, Workload } from './workload.ts';

const mib = (otherwise: number): Setting => ({ least: 0, most: 65_536, otherwise });

/** The settings of this workload as its model takes them. */
export function deskLoadOf(settings: Readonly<Record<string, number>>): DeskLoad {
  return {
    edited: settings['edited-mib']!,
    anew: settings['anew-mib']!,
    temporary: settings['temporary-mib']!,
    cache: settings['cache-mib']!,
    upgrade: settings['upgrade-mib']!,
  };
}

export const deskWeek: Workload = {
  kind: 'roam',
  name: 'desk-week',
  about:
    "a model of a desktop's days: an office by day and home in the evening and at the weekend; files edited in place, written anew, temporary ones, a browser's cache, one upgrade (MiB of a day at the office each, the upgrade once), and the file system's tables and journal",
  settings: {
    days: { least: 1, most: 28, otherwise: 7 },
    'edited-mib': mib(4),
    'anew-mib': mib(12),
    'temporary-mib': mib(12),
    'cache-mib': mib(24),
    'upgrade-mib': mib(96),
  },
  steps: [],
  unit: '',
  label: ({ days }) => (days === 7 ? 'a week' : `${days} ${days === 1 ? 'day' : 'days'}`),
  diskMib: (settings) => deskRoomMib(deskLoadOf(settings)),
};
