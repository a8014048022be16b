/**
 * What is known of a machine before it moves: what the destination lacks, how fast the link is, and how fast disks and memory change.
 *
 * Reads what the parts count anyway; only the link may have to be probed, and QEMU is asked to watch the memory for a second. What cannot be found out is
 * null, never a guess. What follows from it is forecast.ts in packages/migration.
 */
import { RangeSet } from '@diskswarm/bitfield';
import { type Clock, type HostId, sleep } from '@diskswarm/core';
import type { DiskMode, MoveObservation } from '@diskswarm/migration';
import type { QmpClient } from '@diskswarm/qmp';
import type { Agent } from '../agent/agent.ts';
import type { ManagedDisk } from '../agent/managed-disk.ts';
import type { ProcessIdentity } from '../state/process-identity.ts';
import { guestMemoryInUse } from '../vm/guest-memory.ts';
import type { Vm } from '../vm/vm.ts';
import { probeRate } from './rate-probe.ts';

/** The operator's wishes that a plan depends on. */
export interface MoveWishes {
  readonly diskMode: DiskMode;
  readonly maxDowntimeMs: number;
  readonly bytesPerSecond: number | null;
  readonly compress: boolean;
  readonly autoConverge: boolean;
  /** Anything but `off` slows writes that outrun the link. */
  readonly throttle: string;
  /** `precopy` where nothing is said. */
  readonly memoryMode?: 'precopy' | 'postcopy';
}

/** A rate that was probed is good for so long. */
const RATE_GOOD_MS = 60_000;
/** Hosts whose rates are remembered. */
const MAX_RATES = 64;
/** QEMU's watch over the memory, in its unit: seconds. */
const WATCH_SECONDS = 1;
const WATCH_SLACK_MS = 150;
const WATCH_TRIES = 5;
/** A QEMU that is slower to answer is not waited for. */
const ANSWER_MS = 2_000;
const MIB = 1024 * 1024;
/** Pages of each GiB that QEMU looks at: many of a small guest, so that little change is seen. */
const SAMPLES = { most: 4096, pages: 32_768, least: 128 };
/** Part of a guest's memory that zstd leaves, until a move of this machine has shown it. */
const USUAL_RATIO = 0.3;

/** The rates towards other hosts that probes have shown lately. */
export class LinkRates {
  readonly #agent: Agent;
  readonly #probed = new Map<HostId, { readonly rate: Promise<number | null>; readonly atUs: number }>();

  constructor(agent: Agent) {
    this.#agent = agent;
  }

  /** Bytes per second to a connected host: what its lanes carry at this moment, or what a probe shows; null where neither says anything. */
  async to(host: HostId, disks: readonly ManagedDisk[]): Promise<number | null> {
    const { clock, swarm } = this.#agent.env;
    const carried = disks.reduce((sum, disk) => sum + (disk.peers.link(host)?.channel.sent.bytesPerSecond ?? 0), 0);
    let known = this.#probed.get(host);
    if (known === undefined || clock.nowUs() - known.atUs > RATE_GOOD_MS * 1000) {
      known = { rate: probeRate(swarm, host, clock), atUs: clock.nowUs() };
      this.#probed.delete(host);
      this.#probed.set(host, known);
      for (const oldest of this.#probed.keys()) if (this.#probed.size > MAX_RATES) this.#probed.delete(oldest);
    }
    const rate = await known.rate;
    if (rate === null && this.#probed.get(host) === known) this.#probed.delete(host);
    if (rate === null) return carried > 0 ? Math.round(carried) : null;
    return Math.round(Math.max(rate, carried));
  }
}

/** What the plan of a move is made of; `diskBytesMissing` is all that the destination lacks, from wherever it comes. */
export interface Observed {
  readonly observation: MoveObservation;
  readonly diskBytesMissing: number;
}

/** Looks at a machine that may move to a connected host. Resolves within a few seconds; nothing it cannot find out makes it fail. */
export async function observeMove(
  { agent, vm, to, rates }: { agent: Agent; vm: Vm; to: HostId; rates: LinkRates },
  wishes: MoveWishes,
): Promise<Observed> {
  const disks = vm.disks();
  const gaps = disks.map((disk) => gapOf(disk, to));
  const { memoryBytes } = vm.record.definition;
  const identity: ProcessIdentity | null = vm.process?.identity ?? null;
  const [statuses, linkRate, inUse, memoryDirtyRate] = await Promise.all([
    Promise.all(disks.map((disk) => disk.attachment.attachment?.status().catch(() => null) ?? null)),
    rates.to(to, disks),
    identity === null ? null : guestMemoryInUse(identity, memoryBytes),
    vm.process === null ? null : memoryDirtyRateOf(vm.process.qmp, memoryBytes, agent.env.clock),
  ]);
  const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);
  const rttUs = disks[0]?.peers.link(to)?.channel.rttUs ?? null;
  const dirtyBytes = sum(statuses.map((status) => status?.dirtyBytes ?? 0));
  const onlyHere = sum(gaps.map((gap) => gap.onlyHereBytes)) + dirtyBytes;
  const elsewhere = sum(gaps.map((gap) => gap.elsewhereBytes));
  const uses = gaps.flatMap(({ missingInUse }) => (missingInUse === null ? [] : [missingInUse]));
  // Its connection is plain.
  const memoryPostcopy = wishes.memoryMode === 'postcopy';
  const limit = wishes.bytesPerSecond ?? Number.POSITIVE_INFINITY;
  return {
    diskBytesMissing: onlyHere + elsewhere,
    observation: {
      diskMode: wishes.diskMode,
      diskSizeBytes: sum(gaps.map(({ sizeBytes }) => sizeBytes)),
      maxDowntimeMs: wishes.maxDowntimeMs,
      autoConverge: wishes.autoConverge,
      memoryPostcopy,
      diskBytesOnlyHere: onlyHere,
      diskBytesElsewhere: elsewhere,
      memoryBytes: inUse ?? memoryBytes,
      memoryRatio: memoryRatioOf(vm.record.report, wishes.compress && !memoryPostcopy),
      linkRate: linkRate === null ? wishes.bytesPerSecond : Math.min(linkRate, limit),
      rttMs: rttUs === null ? null : rttUs / 1000,
      throttled: wishes.throttle !== 'off',
      diskDirtyRate: sum(statuses.map((status) => status?.writeBytesPerSecond ?? 0)),
      memoryDirtyRate,
      chunkSizeBytes: disks[0]?.records.genesis.chunkSizeBytes ?? 65_536,
      missingInUse: uses.length === 0 ? null : sum(uses),
    },
  };
}

interface Gap {
  readonly sizeBytes: number;
  readonly onlyHereBytes: number;
  readonly elsewhereBytes: number;
  readonly missingInUse: number | null;
}

/** By what hosts claim now; a piece of which the destination said nothing counts as missing there. */
function gapOf(disk: ManagedDisk, to: HostId): Gap {
  const view = disk.content.head;
  if (view === null) return { sizeBytes: 0, onlyHereBytes: 0, elsewhereBytes: 0, missingInUse: null };
  const { generation, geometry } = view.subject;
  const claims = (link: { claimsOf(of: typeof generation): { readonly has: RangeSet } | undefined } | undefined) =>
    link?.claimsOf(generation)?.has ?? new RangeSet();
  const missing = view.durablePieces().subtract(claims(disk.peers.link(to)));
  let near = new RangeSet();
  for (const link of disk.peers.links()) if (link.host !== to) near = near.union(claims(link));
  const elsewhere = missing.intersect(near).count;
  const used = disk.attachment.resolver?.trace.pieces ?? [];
  return {
    sizeBytes: geometry.sizeBytes,
    onlyHereBytes: (missing.count - elsewhere) * geometry.chunkSizeBytes,
    elsewhereBytes: elsewhere * geometry.chunkSizeBytes,
    missingInUse: used.length === 0 ? null : used.filter((piece) => missing.has(piece)).length,
  };
}

/** Bytes per second that change in the guest's memory, by samples that QEMU takes; null where it cannot say. */
async function memoryDirtyRateOf(
  qmp: Pick<QmpClient, 'execute'>,
  memoryBytes: number,
  clock: Clock,
): Promise<number | null> {
  const samples = Math.max(
    SAMPLES.least,
    Math.min(SAMPLES.most, Math.floor(SAMPLES.pages / (memoryBytes / MIB / 1024))),
  );
  try {
    const watch = { 'calc-time': WATCH_SECONDS, 'sample-pages': samples };
    await qmp.execute('calc-dirty-rate', watch, { timeoutMs: ANSWER_MS });
    for (let tries = 0; tries < WATCH_TRIES; tries++) {
      await sleep(clock, tries === 0 ? WATCH_SECONDS * 1000 + WATCH_SLACK_MS : WATCH_SLACK_MS);
      const { status, 'dirty-rate': rate } = await qmp.execute('query-dirty-rate', {}, { timeoutMs: ANSWER_MS });
      if (status === 'measured') return typeof rate === 'number' && rate >= 0 ? rate * MIB : null;
    }
  } catch {
    // It ended, is being asked already, or is of a version that does not know the command.
  }
  return null;
}

/** What the last move of this machine from here showed, with the same compression; else what is usual. */
function memoryRatioOf(report: string, compress: boolean): number {
  try {
    const { memoryRatio: ratio, compress: compressed } = JSON.parse(report) as Record<string, unknown>;
    if (compressed === compress && typeof ratio === 'number' && ratio > 0 && ratio <= 2) return ratio;
  } catch {
    // The first.
  }
  return compress ? USUAL_RATIO : 1;
}
