/**
 * What a migration would take, from what is known before it begins: bytes, time, pause, stalls, and whether it ends. Pure.
 *
 * Goes through the rounds of the disks and the passes over the memory as they would go at the measured rates. The guest is taken to go on as it did, and
 * what it writes is counted as fresh each time: one that rewrites a region needs less than is said here. Leaves the measuring to the host agent.
 */
import type { DiskMode } from './message.ts';
import { MAX_ROUNDS, ROUND_PACE_MS } from './round-policy.ts';

/** What is known before a migration. Rates are bytes per second. */
export interface MoveObservation {
  readonly diskMode: DiskMode;
  /** Of all disks: no round sends more. */
  readonly diskSizeBytes: number;
  readonly maxDowntimeMs: number;
  readonly autoConverge: boolean;
  /** The guest goes on at the destination before its memory is there: one pass, and the rest once. */
  readonly memoryPostcopy: boolean;
  /** Chunks that the destination lacks and only this host has, and what was written since the last seal. */
  readonly diskBytesOnlyHere: number;
  /** Chunks that the destination lacks and another host that is connected here has. */
  readonly diskBytesElsewhere: number;
  /** Pages of the guest's memory that are in use. */
  readonly memoryBytes: number;
  /** Part of them that travels, by compression; 1 for none. */
  readonly memoryRatio: number;
  /** To the destination, the operator's limit included; null while unknown. */
  readonly linkRate: number | null;
  /** null while unknown. */
  readonly rttMs: number | null;
  readonly diskDirtyRate: number;
  /** Writes that outrun the link are slowed. */
  readonly throttled: boolean;
  /** null where QEMU does not say. */
  readonly memoryDirtyRate: number | null;
  readonly chunkSizeBytes: number;
  /** Chunks that the guest is known to use and the destination lacks; null while nothing is known of its use. */
  readonly missingInUse: number | null;
}

/** What leaves this host, by kind. */
export interface BytesToSend {
  readonly total: number;
  /** Of the disks as they are now. */
  readonly disk: number;
  /** Of the disks, written while the migration goes on; 0 while the link is unknown. */
  readonly rewritten: number;
  /** Of the memory, as it travels; what changes meanwhile is sent again. */
  readonly memory: number;
}

/** The prediction; null where a rate that it needs is unknown. */
export interface Forecast {
  readonly bytesToSend: BytesToSend;
  /** What the destination can have from other hosts that are connected here. */
  readonly diskBytesElsewhere: number;
  readonly linkBytesPerSecond: number | null;
  readonly diskDirtyBytesPerSecond: number;
  readonly memoryDirtyBytesPerSecond: number | null;
  /** Until nothing depends on this host any more. */
  readonly expectedMs: number | null;
  /** The guest stands still. */
  readonly expectedPauseMs: number | null;
  /** Reads of the guest that wait for a chunk after it moved: at most about so many. */
  readonly expectedStalls: number | null;
  /** null where it cannot be said. */
  readonly converges: boolean | null;
  /** Why, in words. */
  readonly reason: string;
}

/** Checks, QEMU's start at the destination, the receipts at the end. */
const SETUP_MS = 1_500;
/** A round costs so much besides its bytes: a seal, its manifest, the words. */
const ROUND_COST_MS = 100;
/** Rounds go on as long as each is at most this part of the one before, about as round-policy.ts has it; beyond it writes are slowed. */
const STILL_SHRINKING = 0.7;
/** QEMU's and the agents' work inside the pause, besides bytes and round trips. */
const PAUSE_COST_MS = 250;
/** Words that cross the link inside the pause, one after the other. */
const PAUSE_ROUND_TRIPS = 6;
/** The source gives up a pause that takes longer (source.ts). */
const LONGEST_PAUSE_MS = 30_000;
/** Rounds of the disks beside the memory leave it at least this part of the link. */
const MEMORY_SHARE: Readonly<Record<DiskMode, number>> = { precopy: 0.5, hybrid: 0.9, postcopy: 0.9 };
/** QEMU slows the guest by this much at first, then by so much more in each pass, up to the last (its defaults, version 7.2). */
const THROTTLE = { first: 0.2, step: 0.1, most: 0.99 };
/** A pass over the memory is the last one looked at: a copy that did not end by then does not. */
const MAX_PASSES = 64;

/** What the move would take. Rates that are not positive count as unknown. */
export function forecastMigration(seen: MoveObservation): Forecast {
  const { diskBytesOnlyHere: diskBytes, diskBytesElsewhere, diskDirtyRate, memoryDirtyRate } = seen;
  const linkRate = seen.linkRate !== null && seen.linkRate > 0 ? seen.linkRate : null;
  const known = {
    diskBytesElsewhere,
    linkBytesPerSecond: linkRate,
    diskDirtyBytesPerSecond: diskDirtyRate,
    memoryDirtyBytesPerSecond: memoryDirtyRate,
  };
  if (linkRate === null) {
    const memoryBytes = Math.round(seen.memoryBytes * seen.memoryRatio);
    return {
      ...known,
      bytesToSend: { total: diskBytes + memoryBytes, disk: diskBytes, rewritten: 0, memory: memoryBytes },
      expectedMs: null,
      expectedPauseMs: null,
      expectedStalls: seen.diskMode === 'precopy' ? 0 : null,
      converges: null,
      reason: 'how fast the link to that host is could not be measured',
    };
  }
  // In `postcopy` there are no rounds that writes could outrun.
  const slowed = seen.throttled && seen.diskMode !== 'postcopy' && diskDirtyRate > linkRate * STILL_SHRINKING;
  const going = slowed ? { ...seen, diskDirtyRate: linkRate * STILL_SHRINKING } : seen;
  const rounds = roundsOf(going, linkRate);
  const memory = passesOf(going, linkRate);
  // Written beside the memory, and told by rounds there.
  const besideBytes =
    seen.diskMode === 'postcopy'
      ? 0
      : Math.min(seen.diskSizeBytes, Math.round((going.diskDirtyRate * memory.ms) / 1000));
  const rewritten = rounds.sentBytes - diskBytes + besideBytes;
  const pauseDiskMs = seen.diskMode === 'precopy' ? (rounds.leftBytes * 1000) / linkRate : 0;
  const pauseMs = PAUSE_COST_MS + PAUSE_ROUND_TRIPS * (seen.rttMs ?? 0) + memory.lastMs + pauseDiskMs;
  const laterMs = seen.diskMode === 'precopy' ? 0 : (rounds.leftBytes * 1000) / linkRate;
  const { converges, reason } = verdictOf(seen, linkRate, { memoryEnds: memory.ends, pauseDiskMs, slowed, ...rounds });
  return {
    ...known,
    bytesToSend: {
      total: diskBytes + rewritten + memory.sentBytes,
      disk: diskBytes,
      rewritten,
      memory: memory.sentBytes,
    },
    expectedMs: memory.ends ? Math.round(SETUP_MS + rounds.ms + memory.ms + pauseMs + laterMs) : null,
    expectedPauseMs: memory.ends ? Math.round(pauseMs) : null,
    expectedStalls: stallsOf(seen, rounds.leftBytes),
    converges,
    reason,
  };
}

interface Rounds {
  readonly ms: number;
  readonly sentBytes: number;
  /** Not at the destination when the guest stops. */
  readonly leftBytes: number;
  /** They ended because they shrank no more. */
  readonly gaveUp: boolean;
}

function roundsOf(seen: MoveObservation, linkRate: number): Rounds {
  const { diskBytesOnlyHere, diskDirtyRate, maxDowntimeMs } = seen;
  const written = (ms: number): number => Math.min(seen.diskSizeBytes, Math.round((diskDirtyRate * ms) / 1000));
  if (seen.diskMode === 'postcopy')
    return { ms: ROUND_COST_MS, sentBytes: diskBytesOnlyHere, leftBytes: diskBytesOnlyHere, gaveUp: false };
  let bytes = diskBytesOnlyHere;
  let ms = 0;
  let sentBytes = 0;
  for (let round = 1; round <= MAX_ROUNDS; round++) {
    const roundMs = ROUND_COST_MS + (bytes * 1000) / linkRate;
    ms += roundMs;
    sentBytes += bytes;
    const before = bytes;
    bytes = written(roundMs);
    if (roundMs <= maxDowntimeMs || bytes > STILL_SHRINKING * before) break;
  }
  // Beside the memory rounds keep what is left small, unless the guest writes faster than the link carries.
  const gaveUp = diskDirtyRate >= linkRate * (1 - MEMORY_SHARE[seen.diskMode]);
  return {
    ms,
    sentBytes,
    leftBytes: gaveUp ? Math.max(bytes, written(ROUND_PACE_MS)) : written(ROUND_PACE_MS),
    gaveUp,
  };
}

interface Passes {
  readonly ms: number;
  readonly sentBytes: number;
  /** The last pass, which the guest stands still for. */
  readonly lastMs: number;
  readonly ends: boolean;
}

function passesOf(seen: MoveObservation, linkRate: number): Passes {
  const { memoryRatio, maxDowntimeMs, autoConverge } = seen;
  const rate = Math.max(linkRate * MEMORY_SHARE[seen.diskMode], linkRate - seen.diskDirtyRate);
  const dirtyRate = seen.memoryDirtyRate ?? 0;
  let bytes = seen.memoryBytes * memoryRatio;
  let ms = 0;
  let sentBytes = 0;
  let slowed = 0;
  if (seen.memoryPostcopy) {
    const passMs = (bytes * 1000) / rate;
    const rest = Math.min(bytes, (dirtyRate * memoryRatio * passMs) / 1000);
    return { ms: passMs + (rest * 1000) / rate, sentBytes: Math.round(bytes + rest), lastMs: 0, ends: true };
  }
  for (let pass = 1; pass <= MAX_PASSES; pass++) {
    const passMs = (bytes * 1000) / rate;
    if (pass > 1 && passMs <= maxDowntimeMs)
      return { ms, sentBytes: Math.round(sentBytes + bytes), lastMs: passMs, ends: true };
    ms += passMs;
    sentBytes += bytes;
    const changed = (dirtyRate * (1 - slowed) * memoryRatio * passMs) / 1000;
    if (changed >= bytes && !autoConverge) break;
    if (autoConverge && changed > bytes / 2)
      slowed = slowed === 0 ? THROTTLE.first : Math.min(THROTTLE.most, slowed + THROTTLE.step);
    bytes = Math.min(changed, seen.memoryBytes * memoryRatio);
  }
  return { ms, sentBytes: Math.round(sentBytes), lastMs: maxDowntimeMs, ends: false };
}

function stallsOf(seen: MoveObservation, leftBytes: number): number | null {
  if (seen.diskMode === 'precopy') return 0;
  if (seen.diskMode === 'postcopy') return seen.missingInUse;
  return Math.ceil(leftBytes / seen.chunkSizeBytes);
}

function verdictOf(
  seen: MoveObservation,
  linkRate: number,
  {
    memoryEnds,
    pauseDiskMs,
    slowed,
    gaveUp,
    leftBytes,
  }: Rounds & {
    memoryEnds: boolean;
    pauseDiskMs: number;
    slowed: boolean;
  },
): { converges: boolean | null; reason: string } {
  const link = `the link carries ${rateText(linkRate)}`;
  const writes = `the guest writes ${rateText(seen.diskDirtyRate)} to its disks`;
  const changes = seen.memoryDirtyRate === null ? '' : `it changes ${rateText(seen.memoryDirtyRate)} of its memory`;
  if (!memoryEnds)
    return {
      converges: false,
      reason: seen.autoConverge
        ? `${changes} and ${link}: even slowed down, the guest changes more than can be sent within --max-downtime`
        : `${changes} and ${link}: the copy of the memory does not end. --auto-converge slows the guest down, a longer --max-downtime lets the rest go in the pause`,
    };
  if (seen.diskMode === 'precopy' && pauseDiskMs > LONGEST_PAUSE_MS)
    return {
      converges: false,
      reason: `${writes} and ${link}: what is left of the disks does not fit into a pause. --disk hybrid lets it follow`,
    };
  if (seen.memoryDirtyRate === null)
    return { converges: null, reason: `${writes} and ${link}; how fast its memory changes could not be measured` };
  if (slowed) return { converges: true, reason: `${writes} and ${link}: its writes are slowed until rounds catch up` };
  if (gaveUp && seen.diskMode !== 'postcopy') {
    const rest = `about ${sizeText(leftBytes)} of the disks are left when the guest stops`;
    return {
      converges: true,
      reason: `${writes} and ${link}: rounds of the disks do not catch up, ${rest} and ${seen.diskMode === 'precopy' ? 'go in the pause' : 'follow'}`,
    };
  }
  return { converges: true, reason: `${writes}, ${changes}, and ${link}` };
}

function sizeText(bytes: number): string {
  if (bytes < 1024) return `${Math.round(bytes)} bytes`;
  return bytes < 1024 * 1024 ? `${Math.round(bytes / 1024)} KiB` : `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
}

function rateText(bytesPerSecond: number): string {
  return `${sizeText(bytesPerSecond)}/s`;
}
