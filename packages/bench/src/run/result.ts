/**
 * What one run comes to: a few figures out of its events.
 *
 * Steps are the workload's, or the ticks of a guest that does nothing else. Disruption is the time in which the guest kept a user
 * waiting: the union of all waits from the command to the end of the move that are longer than waits were before it (three times
 * their 99th percentile, and 100 ms more). A wait is the time a request took, or the time between two steps of the guest.
 */
import type { FaultStatus } from '@diskswarm/host-agent';
import { median, percentile } from '../statistics.ts';
import type { StepEvent } from '../workloads/workload.ts';
import { tellsParts } from './fault-times.ts';
import { roamFigures } from './roam-figures.ts';
import type { RunEvent } from './run-folder.ts';

/** What a run that came to its end, or to its limit, has recorded. */
export const ENDS: ReadonlySet<string> = new Set(['moved', 'booted', 'roamed']);
const TOLERANCE_MS = 100;
const TIMES_OF_BEFORE = 3;
/** A request that takes longer is one that a user notices. */
const STALL_MS = 100;

/** What a run is asked for; results/measures.ts says what each is. */
export type FigureName =
  | 'login'
  | 'lastLogin'
  | 'whole'
  | 'total'
  | 'downtime'
  | 'gap'
  | 'disruption'
  | 'bytes'
  | 'work'
  | 'stalled'
  | 'deltas'
  | 'connectedWork'
  | 'detach'
  | 'resync'
  | 'resyncBytes'
  | 'faults'
  | 'missRate'
  | 'farShare'
  | 'overContent'
  | 'manifest'
  | 'memory'
  | 'faultMedian'
  | 'faultTail'
  | 'faultQueue'
  | 'faultNetwork'
  | 'faultVerify'
  | 'faultStore'
  | 'played'
  | 'stalls'
  | 'requestTail'
  | 'weekBytes'
  | 'moveBytes'
  | 'mostBytes'
  | 'overDiffering'
  | 'ready'
  | 'moveTime'
  | 'firstBytes';

/** Figures of a run; those that a run does not have are left out or null. */
export type RunFigures = Readonly<Partial<Record<FigureName, number | null>>>;

/** A time that somebody waited. */
interface Wait {
  readonly fromMs: number;
  readonly untilMs: number;
}

/** The figures of a run with these events, whose workload's steps are of these kinds. */
export function figuresOf(events: readonly RunEvent[], steps: readonly StepEvent[]): RunFigures {
  if (events.some(({ event }) => event === 'booted')) return bootFigures(events);
  if (events.some(({ event }) => event === 'roamed')) return roamFigures(events);
  const at = (name: string): number => events.find(({ event }) => event === name)?.atMs ?? Number.NaN;
  const [beforeMs, startMs, endMs] = [at('before'), at('move'), at('end')];
  const moved = events.find(({ event }) => event === 'moved') ?? { atMs: endMs, event: 'moved' };
  const kinds: readonly string[] = steps.length > 0 ? steps : ['tick'];
  const done = events.filter(({ event }) => kinds.includes(event));
  const answers = done.concat(events.filter(({ event }) => event === 'failed'));
  const waits = [...waitsOf(answers), ...openWaitOf(answers, endMs)];
  const beats = events.filter(({ event }) => event === 'tick');
  const ticks = [...waitsOf(beats), ...openWaitOf(beats, endMs)];
  const during = (wait: Wait): boolean => wait.untilMs >= startMs && wait.fromMs <= endMs;
  const before = waits.filter((wait) => wait.fromMs >= beforeMs && wait.untilMs < startMs).map(lengthOf);
  const usual = before.length === 0 ? 0 : percentile(before, 0.99);
  const stalls = events.filter(({ event }) => event === 'stall');
  const amount = (fromMs: number, untilMs: number): number =>
    done
      .filter(({ atMs }) => atMs >= fromMs && atMs < untilMs)
      .reduce((sum, step) => sum + (step.event === 'bytes' ? Number(step.bytes) : 1), 0) /
    (untilMs - fromMs);
  const share = (fromMs: number, untilMs: number): number | null =>
    steps.length === 0 ? null : (100 * amount(fromMs, untilMs)) / amount(beforeMs, startMs);
  return {
    total: (endMs - startMs) / 1000,
    downtime: numberOr(moved.stopToResumeMs),
    gap: ticks.filter(during).reduce((longest, wait) => Math.max(longest, lengthOf(wait)), 0),
    disruption: unionMs(waits.filter(during).filter((wait) => lengthOf(wait) > TIMES_OF_BEFORE * usual + TOLERANCE_MS)),
    bytes: Number(moved.wireBytes ?? Number.NaN) / 1e6,
    work: share(startMs, endMs),
    stalled:
      stalls.length === 0
        ? null
        : unionMs(
            stalls.map(({ atMs, tookMs }) => within({ fromMs: atMs - Number(tookMs), untilMs: atMs }, startMs, endMs)),
          ),
    deltas: deltasOf(events),
    ...replicaFigures(events, share),
  };
}

/** Of a disk that two ends keep the same; `share` is the work in a time against that before. */
function replicaFigures(
  events: readonly RunEvent[],
  share: (fromMs: number, untilMs: number) => number | null,
): RunFigures {
  const of = (name: string): RunEvent | undefined => events.find(({ event }) => event === name);
  const [connected, again, detached] = [of('connected'), of('resynced'), of('detached')];
  if (connected === undefined) return {};
  return {
    connectedWork: numberOr(share(connected.atMs - Number(connected.tookMs), connected.atMs)),
    ...(again?.ended === true
      ? { resync: Number(again.tookMs) / 1000, resyncBytes: Number(again.wireBytes) / 1e6 }
      : {}),
    ...(detached === undefined ? {} : { detach: Number(detached.tookMs) }),
  };
}

/** Of hosts that booted or replayed: medians and sums over all of them. */
function bootFigures(events: readonly RunEvent[]): RunFigures {
  const at = (name: string): number => events.find(({ event }) => event === name)?.atMs ?? Number.NaN;
  const sinceAsked = (name: string): number[] =>
    events
      .filter(({ event }) => event === name)
      .map(
        ({ host, atMs }) => (atMs - events.find((each) => each.event === 'asked' && each.host === host)!.atMs) / 1000,
      );
  const [logins, played, wholes] = [sinceAsked('up'), sinceAsked('played'), sinceAsked('whole')];
  const bytes = Number(events.find(({ event }) => event === 'end')?.wireBytes ?? Number.NaN);
  return {
    total: (at('end') - at('move')) / 1000,
    ...(logins.length === 0 ? {} : { login: median(logins) }),
    ...(logins.length < 2 ? {} : { lastLogin: Math.max(...logins) }),
    ...(wholes.length === 0 ? {} : { whole: median(wholes) }),
    ...(played.length === 0 ? {} : { played: median(played), ...requestFigures(events) }),
    bytes: bytes / 1e6,
    ...diskFigures(events, bytes),
    ...faultFigures(
      events.flatMap(({ event, faults, touchedPieces }) => {
        const told = event === 'facts' ? faultsOf(faults) : null;
        return told === null ? [] : [{ ...told, touched: Number(touchedPieces) }];
      }),
    ),
  };
}

/** What the size of chunks is paid with, where a system tells. */
function diskFigures(events: readonly RunEvent[], lineBytes: number): RunFigures {
  const disk = events.find(({ event }) => event === 'disk');
  const whole = events.some(({ event }) => event === 'whole');
  const memory = events.flatMap(({ event, memoryBytes }) =>
    event === 'facts' && typeof memoryBytes === 'number' ? [memoryBytes] : [],
  );
  const sources = events.filter(({ event, farBytes }) => event === 'facts' && typeof farBytes === 'number');
  const sum = (bytes: readonly number[]): number => bytes.reduce((total, one) => total + one, 0);
  const came = sum(
    sources.flatMap(({ bytesBySource }) => Object.values((bytesBySource ?? {}) as Record<string, number>)),
  );
  return {
    ...(came === 0 ? {} : { farShare: (100 * sum(sources.map(({ farBytes }) => Number(farBytes)))) / came }),
    ...(disk === undefined ? {} : { manifest: Number(disk.manifestBytes) / 1024 }),
    ...(disk === undefined || !whole ? {} : { overContent: lineBytes / Number(disk.dataBytes) }),
    ...(memory.length === 0 ? {} : { memory: Math.max(...memory) / 2 ** 20 }),
  };
}

/** Of replayed requests: those that made their guest wait for longer than a person bears. */
function requestFigures(events: readonly RunEvent[]): RunFigures {
  const waits = events
    .filter(({ event }) => event === 'request')
    .map(({ atMs, tookMs }) => ({ fromMs: atMs - Number(tookMs), untilMs: atMs }));
  const stalls = waits.filter((wait) => lengthOf(wait) > STALL_MS);
  return { stalls: stalls.length, stalled: unionMs(stalls), requestTail: percentile(waits.map(lengthOf), 0.99) };
}

/** What an agent tells of its faults; null where a system tells nothing. */
function faultsOf(faults: unknown): FaultStatus | null {
  return typeof faults === 'object' && faults !== null && 'latencyUs' in faults ? (faults as FaultStatus) : null;
}

/** Medians over the hosts, latencies in milliseconds; none of these where nobody had a fault. */
function faultFigures(hosts: readonly (FaultStatus & { readonly touched: number })[]): RunFigures {
  if (hosts.length === 0) return {};
  const some = hosts.filter(({ count }) => count > 0);
  const inParts = some.filter(({ latencyUs }) => tellsParts(latencyUs));
  const of = (pick: (latencyUs: FaultStatus['latencyUs']) => number, told = some): number | null =>
    told.length === 0 ? null : median(told.map(({ latencyUs }) => pick(latencyUs) / 1000));
  return {
    faults: median(hosts.map(({ count }) => count)),
    missRate: numberOr(median(hosts.map(({ count, touched }) => (100 * count) / touched))),
    faultMedian: of(({ p50 }) => p50),
    faultTail: of(({ p99 }) => p99),
    faultQueue: of(({ queue }) => queue.p50, inParts),
    faultNetwork: of(({ network }) => network.p50, inParts),
    faultVerify: of(({ verify }) => verify.p50, inParts),
    faultStore: of(({ store }) => store.p50, inParts),
  };
}

/** How long the answered requests took; of steps without such a time, how far they lie apart. */
function waitsOf(steps: readonly RunEvent[]): Wait[] {
  if (steps.some(({ event }) => event === 'bytes')) return droughtsOf(steps);
  return steps.flatMap((step, index) => {
    const previous = steps[index - 1];
    if (typeof step.tookMs === 'number') return [{ fromMs: step.atMs - step.tookMs, untilMs: step.atMs }];
    return previous === undefined ? [] : [{ fromMs: previous.atMs, untilMs: step.atMs }];
  });
}

/** Whoever had no answer by the end waited until then. */
function openWaitOf(answers: readonly RunEvent[], endMs: number): Wait[] {
  const lastMs = answers.reduce((latest, { atMs }) => Math.max(latest, atMs), Number.NEGATIVE_INFINITY);
  return answers.length > 0 && lastMs < endMs ? [{ fromMs: lastMs, untilMs: endMs }] : [];
}

/** A client that counts what comes waited where nothing did, for several counts in a row perhaps. */
function droughtsOf(counts: readonly RunEvent[]): Wait[] {
  const droughts: Wait[] = [];
  for (const [index, { atMs, tookMs, bytes }] of counts.entries()) {
    if (bytes !== 0) continue;
    const last = droughts.at(-1);
    if (last !== undefined && counts[index - 1]?.bytes === 0)
      droughts[droughts.length - 1] = { ...last, untilMs: atMs };
    else droughts.push({ fromMs: atMs - Number(tookMs), untilMs: atMs });
  }
  return droughts;
}

/** The part of a wait that lies in a time; of no length where there is none. */
function within({ fromMs, untilMs }: Wait, startMs: number, endMs: number): Wait {
  const from = Math.max(fromMs, startMs);
  return { fromMs: from, untilMs: Math.max(from, Math.min(untilMs, endMs)) };
}

function lengthOf({ fromMs, untilMs }: Wait): number {
  return untilMs - fromMs;
}

/** How long at least one of them lasts. */
function unionMs(waits: readonly Wait[]): number {
  let sumMs = 0;
  let reachedMs = Number.NEGATIVE_INFINITY;
  for (const { fromMs, untilMs } of [...waits].sort((left, right) => left.fromMs - right.fromMs)) {
    sumMs += Math.max(0, untilMs - Math.max(fromMs, reachedMs));
    reachedMs = Math.max(reachedMs, untilMs);
  }
  return sumMs;
}

function deltasOf(events: readonly RunEvent[]): number | null {
  const rounds = events.find(({ event }) => event === 'record')?.rounds;
  if (!Array.isArray(rounds)) return null;
  return rounds.slice(1).reduce((sum: number, round) => sum + Number(round.changedPieces), 0);
}

function numberOr(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) ? value : null;
}
