/**
 * A crowd as a model: hosts that boot one disk at once, from one host that has it, behind a slow line.
 *
 * Every host runs the shipped scheduler and replays the recorded boot (modelled-host.ts). Up to 64 hosts all know each other, as sessions
 * are bounded by 64; of more, each knows 64, chosen at random, and the seed is among those of 64 hosts alone. The same options
 * give the same result.
 */
import assert from 'node:assert/strict';
import { SeededRandom } from '@diskswarm/sim';
import type { BootTrace } from './boot-trace.ts';
import { Cores } from './cores.ts';
import { hostIdOf, ModelledHost, type ModelledPeer, type Way, wantsOf } from './modelled-host.ts';
import { ACKNOWLEDGED, FRAMED, Sender } from './sender.ts';
import { Timeline } from './timeline.ts';
import { unitsOf } from './units.ts';

/** Sessions of one host, as swarm bounds them. */
const SESSIONS = 64;
/** Between hosts on one network, one way. */
const LAN_DELAY_US = 100;

export interface CrowdOptions {
  readonly way: Way;
  readonly trace: BootTrace;
  readonly hosts: number;
  readonly seed: number;
  /** Of the line that the seed sends by. */
  readonly uplink: { readonly bitsPerSecond: number; readonly delayMs: number };
  /** Of every other host, both ways. */
  readonly lanBitsPerSecond: number;
  /** Cores that all guests share; Infinity where each has its own. */
  readonly cores: number;
  /** All begin within this. */
  readonly withinMs: number;
  /** Chunks that go together, beside those that guests wait for. */
  readonly group: number;
  /** What peers tell is taken up together after so long. */
  readonly hearMs: number;
}

export interface CrowdResult {
  /** Of each host, from its own beginning. */
  readonly loginSeconds: readonly number[];
  /** Until all are up and have everything. */
  readonly totalSeconds: number;
  /** Chunk bytes that the seed sent. */
  readonly sentBytes: number;
  /** What crossed the seed's line both ways, with headers. */
  readonly lineBytes: number;
  /** What one host needs: one copy of the disk, or of what a boot touches. */
  readonly oneHostBytes: number;
  readonly events: number;
  /** What all have sent is what all have received, and each has every chunk: what came beyond that is `wastedBytes`. */
  readonly hosts: readonly {
    readonly receivedBytes: number;
    readonly wastedBytes: number;
    readonly sentBytes: number;
  }[];
}

export async function modelCrowd(options: CrowdOptions, { signal }: { signal: AbortSignal }): Promise<CrowdResult> {
  const { way, trace, uplink, lanBitsPerSecond, hearMs } = options;
  const random = new SeededRandom(`crowd ${options.seed}`);
  const timeline = new Timeline();
  const units = unitsOf(trace, options.group, way === 'disk');
  const world = {
    ...{ way, timeline, units, trace, wants: wantsOf(units), hearUs: hearMs * 1000 },
    cores: new Cores(timeline, options.cores),
    downBytesPerUs: lanBitsPerSecond / 8e6,
  };
  const sender = new Sender(timeline, uplink.bitsPerSecond);
  const home: ModelledPeer = {
    ...{ id: hostIdOf(0), delayUs: uplink.delayMs * 1000, claimed: new Uint8Array(units.all.length).fill(1) },
    serve: (request) => sender.add(request),
  };
  const hosts = Array.from({ length: options.hosts }, (_, index) => {
    const lan = { sender: new Sender(timeline, lanBitsPerSecond), delayUs: LAN_DELAY_US };
    return new ModelledHost(index + 1, world, { ...lan, random: random.fork(`host ${index}`) });
  });
  connect(hosts, home, random.fork('sessions'));
  const begins = random.fork('begins');
  for (const host of hosts) timeline.at(begins.between(0, options.withinMs * 1000), () => host.begin());
  await timeline.run(signal);
  const stuck = hosts.filter(({ done }) => !done).length;
  assert(stuck === 0, `${stuck} modelled hosts wait for ever`);
  const { sentBytes } = sender;
  return {
    loginSeconds: hosts.map(({ loginUs }) => loginUs! / 1e6),
    totalSeconds: Math.max(...hosts.map(({ doneUs }) => doneUs)) / 1e6,
    ...{ sentBytes, lineBytes: sentBytes * (FRAMED + ACKNOWLEDGED), oneHostBytes: units.totalBytes },
    events: timeline.happened,
    hosts: hosts.map(({ receivedBytes, wastedBytes, sender }) => ({
      ...{ receivedBytes, wastedBytes, sentBytes: sender.sentBytes },
    })),
  };
}

/** Everybody's sessions. */
function connect(hosts: readonly ModelledHost[], home: ModelledPeer, random: SeededRandom): void {
  const known = new Map(hosts.map((host) => [host, new Set<ModelledHost>()]));
  const meet = (one: ModelledHost, other: ModelledHost): void => {
    if (one === other || known.get(one)!.has(other)) return;
    known.get(one)!.add(other);
    known.get(other)!.add(one);
    one.connect(other, other);
    other.connect(one, one);
  };
  const ofHome = hosts.length <= SESSIONS ? hosts : shuffled(hosts, random).slice(0, SESSIONS);
  for (const host of ofHome) host.connect(home, null);
  if (hosts.length <= SESSIONS) {
    for (const [index, one] of hosts.entries()) for (const other of hosts.slice(index + 1)) meet(one, other);
    return;
  }
  // Everybody's free places, paired by chance: a few are left over where a host would meet itself, or somebody twice.
  const places = hosts.flatMap((host) =>
    new Array<ModelledHost>(SESSIONS - (ofHome.includes(host) ? 1 : 0)).fill(host),
  );
  const mixed = shuffled(places, random);
  for (let index = 0; index + 1 < mixed.length; index += 2) meet(mixed[index]!, mixed[index + 1]!);
}

/** Fisher and Yates. */
function shuffled<Value>(values: readonly Value[], random: SeededRandom): Value[] {
  const mixed = [...values];
  for (let last = mixed.length - 1; last > 0; last--) {
    const other = random.below(last + 1);
    [mixed[last], mixed[other]] = [mixed[other]!, mixed[last]!];
  }
  return mixed;
}
