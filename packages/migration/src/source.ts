/**
 * The host that a running machine leaves: preparing → bulk → rounds → memory → switchover → confirming → relinquishing → post → ended.
 *
 * Until `relinquish` every failure ends the same way: everything is taken back and the guest goes on here, as if nothing had happened. From then on
 * nothing but the destination's signed verdicts decides, and no deadline counts. With post-copy of the memory the disks are given away first: the guest then goes
 * on at the destination while its memory follows, and is lost when that is cut. Pure: effects are carried out in order by the host agent, which reports
 * their results as events; an event that does not fit the phase changes nothing.
 */
import type { GenerationId } from '@diskswarm/core';
import type { DiskMode, MemoryMode, MigrationMessage, Progress } from './message.ts';
import { decideRound, ROUND_PACE_MS, ROUND_PATIENCE_MS } from './round-policy.ts';

/** What the operator wants. */
export interface MigrationPlan {
  readonly migration: string;
  readonly diskMode: DiskMode;
  readonly memoryMode: MemoryMode;
  readonly maxDowntimeMs: number;
  /** Connections of multifd; 0 for one plain connection. */
  readonly channels: number;
  readonly compress: boolean;
  /** Opaque definition of the machine. */
  readonly definition: Uint8Array;
  readonly qemuVersion: string;
  /** Of the machine. */
  readonly memoryBytes: number;
}

export type SourcePhase =
  | 'preparing'
  | 'bulk'
  | 'rounds'
  | 'memory'
  | 'switchover'
  | 'confirming'
  | 'relinquishing'
  | 'post'
  | 'ended';

/** How it ended. */
export type SourceOutcome =
  /** The machine runs at the destination, and nothing depends on this host any more. */
  | { readonly result: 'done' }
  /** The disks are the destination's, the guest's memory is nobody's: post-copy was cut. */
  | { readonly result: 'lost'; readonly code: string; readonly message: string }
  /** The guest goes on here. */
  | { readonly result: 'cancelled' | 'failed' | 'refused'; readonly code: string; readonly message: string };

export interface SourceState {
  readonly phase: SourcePhase;
  readonly plan: MigrationPlan;
  /** The last round that was sealed; 0 before the first. */
  readonly round: number;
  readonly sealedUs: number;
  /** What its seals took. */
  readonly sealTookUs: number;
  /** From the beginning of a round's seals until the destination knew what it misses, the newest one's; null before the first. */
  readonly turnUs: number | null;
  readonly lastRoundUs: number | null;
  /** The round during which the guest's writes were slowed more than before; null when they were not. */
  readonly slowedInRound: number | null;
  /** What waited when the last round was whole, over what it sent; null when nobody measured it. */
  readonly growth: number | null;
  /** What the destination misses of the last round; null before it said so. */
  readonly missingBytes: number | null;
  /** The next round beside the memory is on its way to its seal. */
  readonly sealAsked: boolean;
  readonly finalReady: boolean;
  readonly memoryCompleted: boolean;
  /** The destination has memory, and manifests that are durable. */
  readonly confirmed: boolean;
  readonly running: boolean;
  /** Why the guest's memory is lost; null when it is not. */
  readonly lost: { readonly code: string; readonly message: string } | null;
  readonly outcome: SourceOutcome | null;
}

export type SourceEvent =
  | { readonly kind: 'started' }
  | { readonly kind: 'message'; readonly message: MigrationMessage; readonly nowUs: number }
  /** The seal of a round is durable. */
  | {
      readonly kind: 'sealed';
      readonly generations: readonly GenerationId[];
      readonly startedUs: number;
      readonly nowUs: number;
    }
  /** The guest's writes are slowed more than before. */
  | { readonly kind: 'slowed' }
  /** What waits, over what the round sent that is about to be told whole. */
  | { readonly kind: 'measured'; readonly growth: number | null }
  /** QEMU's migration reached a state. */
  | { readonly kind: 'memory'; readonly status: 'pre-switchover' | 'completed' }
  /** All of the memory was sent, or what changed of it since, for so many times. */
  | { readonly kind: 'passed'; readonly passes: number }
  /** Exports are drained and refuse writes. */
  | { readonly kind: 'held' }
  | { readonly kind: 'finalSealed'; readonly generations: readonly GenerationId[] }
  | { readonly kind: 'verdict'; readonly accepted: boolean; readonly message: string }
  /** Receipts say that nothing depends on this host. */
  | { readonly kind: 'free' }
  /** Something failed, a deadline passed, the link is gone, the guest ended, or the operator cancels. */
  | {
      readonly kind: 'failed';
      readonly result: 'cancelled' | 'failed';
      readonly code: string;
      readonly message: string;
    };

export type SourceEffect =
  | { readonly kind: 'send'; readonly message: MigrationMessage }
  /** Not before `afterMs`; not at all when the phase is another by then. */
  | { readonly kind: 'sealRound'; readonly afterMs: number }
  /** QMP: capabilities, parameters, migrate. `downtimeMs` is what the memory may take of the pause. */
  | { readonly kind: 'startMemory'; readonly downtimeMs: number }
  /** QMP: the memory may take so much from now on. */
  | { readonly kind: 'allowDowntime'; readonly downtimeMs: number }
  /** QMP: migrate-start-postcopy. */
  | { readonly kind: 'startPostcopy' }
  | { readonly kind: 'hold' }
  | { readonly kind: 'finalSeal' }
  /** QMP: migrate-continue. */
  | { readonly kind: 'continueMemory' }
  | { readonly kind: 'relinquish' }
  /** Fails the migration when the phase has not changed after so long; replaces the deadline before. 0 for none. */
  | { readonly kind: 'deadline'; readonly ms: number }
  /** Cancel memory, lift hold and throttle, resume the guest if it was stopped, tell the destination. */
  | { readonly kind: 'takeBack'; readonly code: string; readonly message: string }
  /** The machine runs elsewhere: its QEMU here ends, and what throttled it too. */
  | { readonly kind: 'leave' }
  | { readonly kind: 'ended'; readonly outcome: SourceOutcome };

export interface SourceStep {
  readonly state: SourceState;
  readonly effects: readonly SourceEffect[];
}

const PREPARE_MS = 60_000;
/** The guest is stopped: what is not through by then is taken back. */
const PAUSE_MS = 30_000;
/** Of the pause, for what the disks' hand-over takes, at most. */
const DISK_PART = 0.5;
/** Memory that was gone over so often and does not fit may have the whole pause. */
const PATIENT_PASSES = 12;

/** Where a migration begins; feed `started`. */
export function initialSource(plan: MigrationPlan): SourceState {
  return {
    phase: 'preparing',
    plan,
    round: 0,
    sealedUs: 0,
    sealTookUs: 0,
    turnUs: null,
    lastRoundUs: null,
    slowedInRound: null,
    growth: null,
    missingBytes: null,
    sealAsked: false,
    finalReady: false,
    memoryCompleted: false,
    confirmed: false,
    running: false,
    lost: null,
    outcome: null,
  };
}

/** True while a failure takes everything back. */
export function canTakeBack(phase: SourcePhase): boolean {
  return phase !== 'relinquishing' && phase !== 'post' && phase !== 'ended';
}

export function applySource(state: SourceState, event: SourceEvent): SourceStep {
  const { plan, phase } = state;
  const { migration } = plan;
  switch (event.kind) {
    case 'started':
      return {
        state,
        effects: [
          { kind: 'deadline', ms: PREPARE_MS },
          {
            kind: 'send',
            message: {
              kind: 'prepare',
              migration,
              definition: plan.definition,
              qemuVersion: plan.qemuVersion,
              diskMode: plan.diskMode,
              statistics: true,
            },
          },
        ],
      };
    case 'message':
      return event.message.migration === migration ? hear(state, event.message, event.nowUs) : same(state);
    case 'sealed': {
      if (phase !== 'bulk' && phase !== 'rounds' && phase !== 'memory') return same(state);
      const round = state.round + 1;
      const message = { kind: 'round', migration, round, generations: event.generations } as const;
      const follows = phase === 'memory' && plan.diskMode !== 'precopy';
      return {
        state: {
          ...state,
          round,
          sealedUs: event.nowUs,
          sealTookUs: event.nowUs - event.startedUs,
          missingBytes: null,
          growth: null,
          sealAsked: follows,
        },
        // Beside the memory one follows the other, because what was written since the last one is sealed inside the pause: whole or not where the pause
        // does not wait for it (`beside` has the others).
        effects: [
          { kind: 'send', message },
          ...(follows ? [{ kind: 'sealRound', afterMs: ROUND_PACE_MS } as const] : []),
        ],
      };
    }
    case 'slowed':
      return same({ ...state, slowedInRound: state.round });
    case 'measured':
      return same({ ...state, growth: event.growth });
    case 'memory':
      return memory(state, event.status);
    case 'passed':
      return passed(state, event.passes);
    case 'held':
      // What is left of the memory, and the manifests of the final seal, go at the same time.
      if (phase !== 'switchover') return same(state);
      if (plan.memoryMode === 'postcopy') return { state, effects: [{ kind: 'finalSeal' }] };
      return { state, effects: [{ kind: 'continueMemory' }, { kind: 'finalSeal' }] };
    case 'finalSealed': {
      if (phase !== 'switchover') return same(state);
      return {
        state,
        effects: [{ kind: 'send', message: { kind: 'final', migration, generations: event.generations } }],
      };
    }
    case 'verdict':
      return phase === 'relinquishing' ? conclude(state, event.accepted, event.message) : same(state);
    case 'free':
      return phase === 'post' ? leftFor(state) : same(state);
    case 'failed':
      if (phase === 'post' && !state.memoryCompleted) return lose(state, event.code, event.message);
      return canTakeBack(phase) ? takeBack(state, event.result, event.code, event.message) : same(state);
  }
}

function hear(state: SourceState, message: MigrationMessage, nowUs: number): SourceStep {
  const { phase, plan } = state;
  switch (message.kind) {
    case 'prepared':
      if (phase !== 'preparing') return same(state);
      return {
        state: { ...state, phase: 'bulk' },
        effects: [
          { kind: 'deadline', ms: 0 },
          { kind: 'sealRound', afterMs: 0 },
        ],
      };
    case 'refused':
      return canTakeBack(phase) ? takeBack(state, 'refused', message.code, message.message) : same(state);
    case 'progress':
      return progress(state, message, nowUs);
    case 'memoryReady':
      if (phase !== 'memory') return same(state);
      return { state, effects: [{ kind: 'startMemory', downtimeMs: memoryDowntimeMs(state) }] };
    case 'finalReady': {
      if (phase !== 'switchover' || state.finalReady) return same(state);
      return same({ ...state, phase: 'confirming', finalReady: true });
    }
    case 'confirmed':
      return phase === 'confirming' ? relinquishIfReady({ ...state, confirmed: true }) : same(state);
    case 'running':
      return { state: { ...state, running: true }, effects: [] };
    default:
      return same({ ...state, plan });
  }
}

function progress(state: SourceState, { round, known, missingBytes }: Progress, nowUs: number): SourceStep {
  const { phase, slowedInRound, growth, lastRoundUs: beforeUs } = state;
  if (round !== state.round || (phase !== 'bulk' && phase !== 'rounds' && phase !== 'memory')) return same(state);
  const turnUs = known && state.missingBytes === null ? nowUs - state.sealedUs + state.sealTookUs : state.turnUs;
  const next = { ...state, missingBytes, turnUs };
  if (phase === 'memory') return beside(next, nowUs);
  if (!known) return same(next);
  const { diskMode, maxDowntimeMs, memoryBytes } = state.plan;
  if (diskMode === 'postcopy') return toMemory(next);
  if (missingBytes > 0)
    return diskMode === 'hybrid' && round > 1 && missingBytes <= memoryBytes ? toMemory(next) : same(next);
  const lastUs = nowUs - state.sealedUs;
  const decision = decideRound({ round, lastUs, beforeUs, maxDowntimeMs, slowedInRound, growth });
  if (decision === 'memory') return toMemory(next);
  return { state: { ...next, phase: 'rounds', lastRoundUs: lastUs }, effects: [{ kind: 'sealRound', afterMs: 0 }] };
}

/** The pause of precopy waits for all that is missing: a round that took the place of one on its way would begin its fetch anew, again and again. */
function beside(state: SourceState, nowUs: number): SourceStep {
  const sinceMs = (nowUs - state.sealedUs) / 1000;
  if (state.sealAsked || (state.missingBytes !== 0 && sinceMs < ROUND_PATIENCE_MS)) return same(state);
  return {
    state: { ...state, sealAsked: true },
    effects: [{ kind: 'sealRound', afterMs: Math.max(0, ROUND_PACE_MS - sinceMs) }],
  };
}

/** Rounds go on beside it. */
function toMemory(state: SourceState): SourceStep {
  const { migration, channels, compress, memoryMode } = state.plan;
  const postcopy = memoryMode === 'postcopy';
  const message = { kind: 'openMemory', migration, channels, compress, postcopy } as const;
  return {
    state: { ...state, phase: 'memory', sealAsked: true },
    effects: [
      { kind: 'send', message },
      { kind: 'sealRound', afterMs: ROUND_PACE_MS },
    ],
  };
}

/** The final seal and its hand-over happen in the pause too, and take about what a round does: the memory gets what that leaves. */
function memoryDowntimeMs({ plan, turnUs }: SourceState): number {
  const whole = plan.maxDowntimeMs;
  return Math.round(whole - Math.min((turnUs ?? 0) / 1000, whole * DISK_PART));
}

function passed(state: SourceState, passes: number): SourceStep {
  if (state.phase !== 'memory') return same(state);
  if (state.plan.memoryMode === 'postcopy')
    return passes === 1 ? { state, effects: [{ kind: 'startPostcopy' }] } : same(state);
  if (passes !== PATIENT_PASSES) return same(state);
  return { state, effects: [{ kind: 'allowDowntime', downtimeMs: state.plan.maxDowntimeMs }] };
}

function memory(state: SourceState, status: 'pre-switchover' | 'completed'): SourceStep {
  if (status === 'pre-switchover' && state.phase === 'memory') {
    return {
      state: { ...state, phase: 'switchover' },
      effects: [{ kind: 'deadline', ms: PAUSE_MS }, { kind: 'hold' }],
    };
  }
  if (status === 'completed' && (state.phase === 'switchover' || state.phase === 'confirming'))
    return relinquishIfReady({ ...state, memoryCompleted: true });
  if (status === 'completed' && state.phase === 'post' && !state.memoryCompleted)
    return { state: { ...state, memoryCompleted: true }, effects: [{ kind: 'leave' }] };
  return same(state);
}

/** With post-copy the memory goes on only when the disks are the destination's. */
function relinquishIfReady(state: SourceState): SourceStep {
  const memory = state.memoryCompleted || state.plan.memoryMode === 'postcopy';
  if (!memory || !state.confirmed) return same(state);
  return {
    state: { ...state, phase: 'relinquishing' },
    effects: [{ kind: 'deadline', ms: 0 }, { kind: 'relinquish' }],
  };
}

/** A refusal that the destination signed gives everything back; an acceptance is the commit. */
function conclude(state: SourceState, accepted: boolean, message: string): SourceStep {
  if (!accepted) return takeBack(state, 'refused', 'HANDOVER_REFUSED', message);
  const next: SourceState = { ...state, phase: 'post' };
  return { state: next, effects: [{ kind: state.memoryCompleted ? 'leave' : 'continueMemory' }] };
}

/** The memory will not follow any more: what is left here is of no use. */
function lose(state: SourceState, code: string, message: string): SourceStep {
  return { state: { ...state, memoryCompleted: true, lost: { code, message } }, effects: [{ kind: 'leave' }] };
}

/** Nothing depends on this host any more. */
function leftFor(state: SourceState): SourceStep {
  return end(state, state.lost === null ? { result: 'done' } : { result: 'lost', ...state.lost }, []);
}

function takeBack(
  state: SourceState,
  result: 'cancelled' | 'failed' | 'refused',
  code: string,
  message: string,
): SourceStep {
  return end(state, { result, code, message }, [{ kind: 'takeBack', code, message }]);
}

function end(state: SourceState, outcome: SourceOutcome, effects: readonly SourceEffect[]): SourceStep {
  return {
    state: { ...state, phase: 'ended', outcome },
    effects: [{ kind: 'deadline', ms: 0 }, ...effects, { kind: 'ended', outcome }],
  };
}

function same(state: SourceState): SourceStep {
  return { state, effects: [] };
}
