/**
 * The modelled part of an experiment with hosts that boot: the same crowd on as many hosts as nobody has, and on as many as were measured.
 *
 * Where hosts were measured they are modelled with the cores that those shared, so that model and runs can be laid side by side; beyond,
 * each guest has a core of its own. All of it follows from the recorded boot and the experiment's seed.
 */
import type { Experiment, LinkChoice } from '../experiment/experiment.ts';
import { percentile } from '../statistics.ts';
import type { BootTrace } from './boot-trace.ts';
import { modelCrowd } from './crowd.ts';
import type { Way } from './modelled-host.ts';
import { modelNbdCrowd } from './nbd-crowd.ts';

/** Systems that have a model. */
const WAYS: Readonly<Record<string, Way | 'nbd'>> = {
  'diskswarm-boot': 'disk',
  'diskswarm-clones': 'clone',
  'nbd-overlay': 'nbd',
};
/** Hosts are told to boot within this. */
const WITHIN_MS = 100;
/** Beyond so many chunks at all hosts together neighbours go in groups, of so many at most. */
const MAX_CHUNKS = 60_000;
const MAX_GROUP = 64;
/** Of a whole disk, whose seed sends one copy to each of its sessions, more hosts take hours to model and say nothing more. */
const MOST_HOSTS = { disk: 100, clone: Number.POSITIVE_INFINITY, nbd: Number.POSITIVE_INFINITY };
/** With more hosts, what peers tell is taken up together. */
const EXACT_HOSTS = 100;
const HEAR_MS = 200;

/** One system with one number of hosts on one link. */
export interface ModelledCrowd {
  readonly system: string;
  readonly link: string;
  readonly hosts: number;
  /** That all guests shared; null where each has its own. */
  readonly cores: number | null;
  /** Chunks that went together, beside those that guests wait for. */
  readonly group: number;
  /** Time to login: median, 99th percentile and longest. */
  readonly loginSeconds: readonly [number, number, number];
  readonly totalSeconds: number;
  /** Both ways on the seed's line, with headers. */
  readonly lineBytes: number;
  /** Chunk bytes that the seed sent. */
  readonly sentBytes: number;
  /** Of these, what one host needs. */
  readonly oneHostBytes: number;
}

/** What of an experiment is modelled; none without a `model` part. */
export interface PlannedCrowd {
  readonly system: string;
  readonly way: Way | 'nbd';
  readonly link: LinkChoice;
  readonly hosts: number;
  readonly measured: boolean;
}

/** Measured numbers of hosts first, each of them once, then the modelled ones. */
export function planCrowds({ systems, links, workloads, model }: Experiment): readonly PlannedCrowd[] {
  if (model === undefined) return [];
  const measured = [...new Set(workloads.map(({ settings }) => settings.hosts ?? 1))];
  const numbers = [
    ...measured.map((hosts) => ({ hosts, measured: true })),
    ...model.hosts.map((hosts) => ({ hosts, measured: false })),
  ];
  return links.flatMap((link) =>
    numbers.flatMap((number) =>
      systems.flatMap((system) => {
        const way = WAYS[system];
        return way === undefined || number.hosts > MOST_HOSTS[way] ? [] : [{ system, way, link, ...number }];
      }),
    ),
  );
}

/** Does one. Rejects when the signal fires. */
export async function modelPlanned(
  { system, way, link, hosts, measured }: PlannedCrowd,
  {
    experiment,
    trace,
    cores,
    signal,
  }: { experiment: Experiment; trace: BootTrace; cores: number; signal: AbortSignal },
): Promise<ModelledCrowd> {
  const group = way === 'disk' ? groupOf(hosts * trace.present.length) : 1;
  const common = {
    ...{ trace, hosts, seed: experiment.seed, cores: measured ? cores : Number.POSITIVE_INFINITY, withinMs: WITHIN_MS },
    uplink: link.there,
  };
  const lan = { lanBitsPerSecond: experiment.model!.lanBitsPerSecond, hearMs: hosts > EXACT_HOSTS ? HEAR_MS : 0 };
  const result =
    way === 'nbd'
      ? await modelNbdCrowd(common, { signal })
      : await modelCrowd({ ...common, ...lan, way, group }, { signal });
  const { loginSeconds, totalSeconds, lineBytes, sentBytes, oneHostBytes } = result;
  return {
    ...{ system, link: link.name, hosts, cores: measured ? cores : null, group },
    loginSeconds: [percentile(loginSeconds, 0.5), percentile(loginSeconds, 0.99), Math.max(...loginSeconds)],
    ...{ totalSeconds, lineBytes, sentBytes, oneHostBytes },
  };
}

/** A power of two, so that chunks of all hosts come to what can be modelled in minutes. */
function groupOf(chunks: number): number {
  let group = 1;
  while (group < MAX_GROUP && chunks / group > MAX_CHUNKS) group *= 2;
  return group;
}
