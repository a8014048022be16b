/**
 * The host that a running machine comes to: checking → arriving → final → confirmed → accepting → running → ended.
 *
 * Nothing is this host's before it accepted the disks; until then every failure, and every cancel of the source, discards what was prepared. Offers of the
 * disks are accepted all or none, and only after this side confirmed: an offer that comes at any other time is refused with a signature, which lets the
 * source go on. Pure, like source.ts.
 */
import type { GenerationId } from '@diskswarm/core';
import type { DiskMode, MigrationMessage, OpenMemory, Prepare } from './message.ts';

export type DestinationPhase = 'checking' | 'arriving' | 'confirmed' | 'accepting' | 'resuming' | 'running' | 'ended';

export type DestinationOutcome =
  | { readonly result: 'done' }
  /** Nothing of the machine is left here. */
  | { readonly result: 'discarded'; readonly code: string; readonly message: string }
  /** The disks are this host's, the machine does not run. */
  | { readonly result: 'stopped'; readonly code: string; readonly message: string };

export interface DestinationState {
  readonly phase: DestinationPhase;
  readonly migration: string;
  readonly diskMode: DiskMode;
  readonly round: number;
  /** QEMU waits for its memory here. */
  readonly launched: boolean;
  readonly launching: boolean;
  /** Asked for before QEMU was there. */
  readonly memoryWanted: OpenMemory | null;
  readonly final: readonly GenerationId[] | null;
  readonly finalAdopted: boolean;
  readonly memoryArrived: boolean;
  /** The guest goes on before all of its memory is here. */
  readonly postcopy: boolean;
  /** All of every disk is durable here. */
  readonly diskComplete: boolean;
  readonly outcome: DestinationOutcome | null;
}

export type DestinationEvent =
  | { readonly kind: 'message'; readonly message: MigrationMessage }
  | { readonly kind: 'checked' }
  /** The manifests of a round are whole here. */
  | { readonly kind: 'adopted'; readonly round: number }
  | { readonly kind: 'progress'; readonly round: number; readonly known: boolean; readonly missingBytes: number }
  | { readonly kind: 'launched' }
  | { readonly kind: 'memoryOpened' }
  /** QEMU says the incoming state is whole. */
  | { readonly kind: 'memoryArrived' }
  /** The final manifests, and in precopy the chunks, are durable here. */
  | { readonly kind: 'finalAdopted' }
  /** An offer of every disk is here. */
  | { readonly kind: 'offered' }
  /** Every acceptance is durable. */
  | { readonly kind: 'accepted' }
  | { readonly kind: 'resumed' }
  /** All of every disk is durable here. */
  | { readonly kind: 'complete' }
  | { readonly kind: 'failed'; readonly code: string; readonly message: string };

export type DestinationEffect =
  | { readonly kind: 'send'; readonly message: MigrationMessage }
  /** May the machine run here: QEMU, memory, arguments, roles, room; report `checked` or `failed`. */
  | { readonly kind: 'check'; readonly prepare: Prepare }
  /** Take these generations as the newest, and tell progress until nothing is missing. */
  | { readonly kind: 'adopt'; readonly round: number; readonly generations: readonly GenerationId[] }
  /** Exports that wait, and a QEMU on them. */
  | { readonly kind: 'launch' }
  | { readonly kind: 'openMemory'; readonly open: OpenMemory }
  | { readonly kind: 'adoptFinal'; readonly generations: readonly GenerationId[]; readonly whole: boolean }
  | { readonly kind: 'accept' }
  | { readonly kind: 'refuse'; readonly code: string; readonly message: string }
  /** Exports take writes, then the guest runs. */
  | { readonly kind: 'resume' }
  /** QEMU and exports are taken away. */
  | { readonly kind: 'discard'; readonly code: string; readonly message: string }
  | { readonly kind: 'ended'; readonly outcome: DestinationOutcome };

export interface DestinationStep {
  readonly state: DestinationState;
  readonly effects: readonly DestinationEffect[];
}

/** Begins with the source's first message. */
export function beginDestination(prepare: Prepare): DestinationStep {
  return {
    state: {
      phase: 'checking',
      migration: prepare.migration,
      diskMode: prepare.diskMode,
      round: 0,
      launched: false,
      launching: false,
      memoryWanted: null,
      final: null,
      finalAdopted: false,
      memoryArrived: false,
      postcopy: false,
      diskComplete: false,
      outcome: null,
    },
    effects: [{ kind: 'check', prepare }],
  };
}

/** True once the disks are, or may be, this host's. */
export function hasCommitted(phase: DestinationPhase): boolean {
  return phase === 'accepting' || phase === 'resuming' || phase === 'running' || phase === 'ended';
}

export function applyDestination(state: DestinationState, event: DestinationEvent): DestinationStep {
  const { phase, migration } = state;
  switch (event.kind) {
    case 'message':
      return event.message.migration === migration ? hear(state, event.message) : same(state);
    case 'checked':
      return phase === 'checking'
        ? {
            state: { ...state, phase: 'arriving' },
            effects: [{ kind: 'send', message: { kind: 'prepared', migration } }],
          }
        : same(state);
    case 'adopted':
      return phase === 'arriving' && !state.launched && !state.launching
        ? { state: { ...state, launching: true }, effects: [{ kind: 'launch' }] }
        : same(state);
    case 'progress': {
      if (phase !== 'arriving' || event.round !== state.round || state.final !== null) return same(state);
      const { round, known, missingBytes } = event;
      return {
        state,
        effects: [{ kind: 'send', message: { kind: 'progress', migration, round, known, missingBytes } }],
      };
    }
    case 'launched': {
      if (phase !== 'arriving') return same(state);
      const open = state.memoryWanted;
      return {
        state: { ...state, launched: true, launching: false, memoryWanted: null },
        effects: open === null ? [] : [{ kind: 'openMemory', open }],
      };
    }
    case 'memoryOpened':
      return phase === 'arriving'
        ? { state, effects: [{ kind: 'send', message: { kind: 'memoryReady', migration } }] }
        : same(state);
    case 'memoryArrived':
      return phase === 'running'
        ? endIfWhole({ ...state, memoryArrived: true })
        : confirmIfWhole({ ...state, memoryArrived: true });
    case 'finalAdopted':
      if (phase !== 'arriving' || state.final === null || state.finalAdopted) return same(state);
      return confirmIfWhole({ ...state, finalAdopted: true }, [
        { kind: 'send', message: { kind: 'finalReady', migration } },
      ]);
    case 'offered':
      if (phase === 'confirmed') return { state: { ...state, phase: 'accepting' }, effects: [{ kind: 'accept' }] };
      if (hasCommitted(phase)) return same(state);
      return {
        state,
        effects: [
          { kind: 'refuse', code: 'VM_STATE', message: 'the machine had not arrived when its disks were offered' },
        ],
      };
    case 'accepted':
      return phase === 'accepting'
        ? { state: { ...state, phase: 'resuming' }, effects: [{ kind: 'resume' }] }
        : same(state);
    case 'resumed':
      return phase === 'resuming'
        ? {
            state: { ...state, phase: 'running' },
            effects: [{ kind: 'send', message: { kind: 'running', migration } }],
          }
        : same(state);
    case 'complete':
      return phase === 'running' ? endIfWhole({ ...state, diskComplete: true }) : same(state);
    case 'failed':
      return fail(state, event.code, event.message);
  }
}

function hear(state: DestinationState, message: MigrationMessage): DestinationStep {
  const { phase } = state;
  switch (message.kind) {
    case 'round': {
      if (phase !== 'arriving' || state.final !== null || message.round <= state.round) return same(state);
      const { round, generations } = message;
      return { state: { ...state, round }, effects: [{ kind: 'adopt', round, generations }] };
    }
    case 'openMemory':
      if (phase !== 'arriving') return same(state);
      return state.launched
        ? { state: { ...state, postcopy: message.postcopy }, effects: [{ kind: 'openMemory', open: message }] }
        : { state: { ...state, postcopy: message.postcopy, memoryWanted: message }, effects: [] };
    case 'final': {
      if (phase !== 'arriving' || state.final !== null) return same(state);
      const { generations } = message;
      const whole = state.diskMode === 'precopy';
      return { state: { ...state, final: generations }, effects: [{ kind: 'adoptFinal', generations, whole }] };
    }
    case 'cancel':
      return hasCommitted(phase) ? same(state) : fail(state, message.code, message.message);
    default:
      return same(state);
  }
}

/** Goes on when memory and manifests are here, after `effects` in any case. */
function confirmIfWhole(state: DestinationState, effects: readonly DestinationEffect[] = []): DestinationStep {
  const { phase, finalAdopted, memoryArrived, postcopy, migration } = state;
  if (phase !== 'arriving' || !finalAdopted || !(memoryArrived || postcopy)) return { state, effects };
  return {
    state: { ...state, phase: 'confirmed' },
    effects: [...effects, { kind: 'send', message: { kind: 'confirmed', migration } }],
  };
}

/** Memory and disks need the source no more. */
function endIfWhole(state: DestinationState): DestinationStep {
  const { memoryArrived, diskComplete } = state;
  if (!memoryArrived || !diskComplete) return same(state);
  return end(state, { result: 'done' }, []);
}

/** Before the acceptance nothing is lost by discarding; after it only the running machine can be. */
function fail(state: DestinationState, code: string, message: string): DestinationStep {
  const { phase, migration, memoryArrived } = state;
  if (phase === 'ended' || phase === 'accepting' || (phase === 'running' && memoryArrived)) return same(state);
  // It needs the other host no more: it is about to run.
  if (phase === 'resuming' && memoryArrived && code === 'PEER_UNREACHABLE') return same(state);
  if (phase === 'resuming' || phase === 'running') return end(state, { result: 'stopped', code, message }, []);
  return end(state, { result: 'discarded', code, message }, [
    { kind: 'send', message: { kind: 'refused', migration, code, message } },
    { kind: 'refuse', code, message },
    { kind: 'discard', code, message },
  ]);
}

function end(
  state: DestinationState,
  outcome: DestinationOutcome,
  effects: readonly DestinationEffect[],
): DestinationStep {
  return { state: { ...state, phase: 'ended', outcome }, effects: [...effects, { kind: 'ended', outcome }] };
}

function same(state: DestinationState): DestinationStep {
  return { state, effects: [] };
}
