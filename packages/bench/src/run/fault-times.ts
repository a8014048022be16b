/** How the latencies of faults are distributed: all of a fault and its parts, as agents tell it, in milliseconds. */
import type { FaultStatus } from '@diskswarm/host-agent';
import { median } from '../statistics.ts';
import type { RunEvent } from './run-folder.ts';

/** The parts of a fault in their order. */
export const FAULT_PARTS = [
  { name: 'total', title: 'all of it' },
  { name: 'queue', title: 'waiting to be asked' },
  { name: 'network', title: 'network and other host' },
  { name: 'verify', title: 'verifying' },
  { name: 'store', title: 'storing' },
  { name: 'far', title: 'from beyond the line' },
  { name: 'near', title: 'from hosts nearby' },
] as const;

type Percentiles = FaultStatus['latencyUs']['queue'];

type Part = (typeof FAULT_PARTS)[number]['name'];

/** All of a fault; its parts are left out where they are not told. */
export type FaultTimes = Readonly<Partial<Record<Part, Percentiles>> & { total: Percentiles }>;

/** Whether an agent knows where the time went: of a clone's faults the template that it is made of knows, and all parts are zero. */
export function tellsParts({ queue, network, verify, store }: FaultStatus['latencyUs']): boolean {
  return [queue, network, verify, store].some(({ max }) => max > 0);
}

/** Of a run: the median of its hosts that had faults; null where none had, or nobody tells. */
export function faultTimesOf(events: readonly RunEvent[]): FaultTimes | null {
  return middleOf(
    events.flatMap(({ event, faults, farHost }) => {
      const told = event === 'facts' ? (faults as FaultStatus | undefined) : undefined;
      if (told === undefined || told.count === 0) return [];
      const { latencyUs: total } = told;
      const { queue, network, verify, store } = total;
      const sources = sourcesOf(told, farHost);
      return [tellsParts(total) ? { total, queue, network, verify, store, ...sources } : { total }];
    }),
    1000,
  );
}

/** How long chunks took that somebody waited for, by where they came from; of several hosts nearby the median. */
function sourcesOf({ bySource }: FaultStatus, farHost: unknown): Partial<FaultTimes> {
  const of = (isFar: boolean): Percentiles | undefined => {
    const hosts = Object.entries(bySource ?? {}).filter(([host]) => (host === farHost) === isFar);
    return middleOf(hosts.map(([, percentiles]) => ({ total: percentiles })))?.total;
  };
  const [far, near] = typeof farHost === 'string' ? [of(true), of(false)] : [];
  return { ...(far === undefined ? {} : { far }), ...(near === undefined ? {} : { near }) };
}

/** Percentile by percentile the median, over a divisor; null of nothing. */
export function middleOf(all: readonly FaultTimes[], divisor = 1): FaultTimes | null {
  if (all.length === 0) return null;
  const part = (name: Part): Percentiles | null => {
    const told = all.flatMap((times) => times[name] ?? []);
    if (told.length === 0) return null;
    const of = (pick: (percentiles: Percentiles) => number): number => median(told.map(pick)) / divisor;
    return {
      p50: of(({ p50 }) => p50),
      p90: of(({ p90 }) => p90),
      p99: of(({ p99 }) => p99),
      max: of(({ max }) => max),
    };
  };
  const parts = FAULT_PARTS.flatMap(({ name }) => {
    const percentiles = part(name);
    return percentiles === null ? [] : [[name, percentiles] as const];
  });
  return Object.fromEntries(parts) as FaultTimes;
}
