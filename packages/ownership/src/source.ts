/**
 * The host that gives a disk away (design D6): idle → holding → sealing → relinquished → idle, done or refused.
 *
 * Until the relinquish is durable an abort makes the export writable again. From then on only the destination's signed
 * verdict, or a take-over that the owner forced, ends it; the record is sent again whenever the destination connects.
 * The order of effects is the order of the design: hold, drain, final seal, relinquish (durable, then sent), fence.
 */
import { DiskswarmError, type HostId, hasCode } from '@diskswarm/core';
import {
  activeMember,
  createRelinquish,
  entryOf,
  type Generation,
  type Refusal,
  type Verdict,
} from '@diskswarm/identity';
import type { Effect, SourceContext, Step } from './machine.ts';
import { type Asker, encodeSourceState, type Outcome, type SourceState } from './source-state.ts';
import { isSettled } from './standing.ts';

/** What happens to the source. */
export type SourceEvent =
  /** The local user hands the disk to `to`. */
  | { readonly kind: 'start'; readonly to: HostId }
  /** A connected host asks for the disk. */
  | { readonly kind: 'ask'; readonly from: HostId; readonly nonce: Uint8Array }
  /** The export is drained and refuses writes. */
  | { readonly kind: 'held' }
  /** It cannot be held, for example CLIENT_CONNECTED. */
  | { readonly kind: 'holdRefused'; readonly code: string; readonly message: string }
  /** The final generation is durable here; `nonce` is 16 fresh random bytes. */
  | { readonly kind: 'sealed'; readonly final: Generation; readonly nonce: Uint8Array }
  | { readonly kind: 'sealFailed'; readonly code: string; readonly message: string }
  /** The user changed their mind. */
  | { readonly kind: 'abort' }
  /** A verdict arrived, by whatever way. */
  | { readonly kind: 'verdict'; readonly verdict: Verdict }
  /** A session with `host` is up. */
  | { readonly kind: 'connected'; readonly host: HostId }
  /** The chain of epoch records in the context changed. */
  | { readonly kind: 'chainChanged' };

/** One step of the source. Events that do not fit the phase (late, repeated, of another record) change nothing. */
export function applySource(state: SourceState, event: SourceEvent, context: SourceContext): Step<SourceState> {
  switch (event.kind) {
    case 'start':
      return begin(state, event.to, null, context);
    case 'ask':
      return answerAsk(state, { host: event.from, nonce: event.nonce }, context);
    case 'held':
      return state.phase === 'holding'
        ? { state: { ...state, phase: 'sealing' }, effects: [{ kind: 'seal' }] }
        : same(state);
    case 'sealed':
      return state.phase === 'sealing' ? relinquish(state, event, context) : same(state);
    case 'holdRefused':
    case 'sealFailed':
      return isEarly(state) ? giveUp(state, event, context) : same(state);
    case 'abort':
      return abort(state, context);
    case 'verdict':
      return conclude(state, event.verdict);
    case 'connected':
      return state.phase === 'relinquished' && state.relinquish.to === event.host
        ? { state, effects: [offer(state)] }
        : same(state);
    case 'chainChanged':
      return obeyChain(state, context);
  }
}

/** The first step of a restarted agent with the state it persisted. The export's own state follows from `standingOf`. */
export function restartSource(state: SourceState, context: SourceContext): Step<SourceState> {
  const step = obeyChain(state, context);
  return step.state.phase === 'relinquished' ? { state: step.state, effects: [offer(step.state)] } : step;
}

type Early = Extract<SourceState, { phase: 'holding' | 'sealing' }>;
type Relinquished = Extract<SourceState, { phase: 'relinquished' }>;
type Failure = { readonly code: string; readonly message: string };

function same(state: SourceState): Step<SourceState> {
  return { state, effects: [] };
}

function isEarly(state: SourceState): state is Early {
  return state.phase === 'holding' || state.phase === 'sealing';
}

function begin(state: SourceState, to: HostId, asker: Asker, context: SourceContext): Step<SourceState> {
  const failure = state.phase === 'idle' ? forbids(to, context) : busy(state);
  if (failure) return { state, effects: [reply(asker, failure, context)] };
  return { state: { phase: 'holding', to, asker }, effects: [{ kind: 'hold' }] };
}

/** An ask repeated by the host that already gets the disk repeats the offer, or takes the place of the earlier ask. */
function answerAsk(state: SourceState, asker: NonNullable<Asker>, context: SourceContext): Step<SourceState> {
  if (state.phase === 'relinquished' && state.relinquish.to === asker.host) return { state, effects: [offer(state)] };
  if (isEarly(state) && state.to === asker.host) return same(state.asker ? { ...state, asker } : state);
  return begin(state, asker.host, asker, context);
}

/** Why this host may not hand the disk to `to`. */
function forbids(to: HostId, { chain, keys, roster, destination }: SourceContext): Failure | null {
  if (chain.current.owner !== keys.hostId) {
    return { code: 'NOT_OWNER', message: `${chain.current.owner} owns the disk` };
  }
  if (!isSettled(chain, destination)) {
    return { code: 'NOT_OWNER', message: 'the disk was offered to this host, which has not accepted it yet' };
  }
  if (to === keys.hostId) return { code: 'INVALID_ARGUMENT', message: 'this host owns the disk already' };
  try {
    const roles = [keys.hostId, to].map((host) => activeMember(roster, host).role);
    if (roles.every((role) => role === 'writer')) return null;
    return { code: 'ROLE_FORBIDS', message: 'only writers of the disk hand it over and take it' };
  } catch (error) {
    if (hasCode(error, 'REVOKED') || hasCode(error, 'ROLE_FORBIDS')) return error;
    throw error;
  }
}

function busy(state: SourceState): Failure {
  return state.phase === 'relinquished'
    ? {
        code: 'HANDOVER_IN_DOUBT',
        message: `the disk was offered to ${state.relinquish.to}, whose answer has not come`,
      }
    : { code: 'ATTACHMENT_STATE', message: 'the disk is being handed over' };
}

function reply(asker: Asker, { code, message }: Failure, { genesis }: SourceContext): Effect {
  if (asker === null) return { kind: 'refuse', code, message };
  return {
    kind: 'send',
    to: asker.host,
    message: { kind: 'refused', disk: genesis.disk, nonce: asker.nonce, code, message },
  };
}

/** Nothing was given away yet: writes go on (or end, where the chain has moved), and whoever asked hears why. */
function giveUp(state: Early, failure: Failure, context: SourceContext): Step<SourceState> {
  const stillOwner = context.chain.current.owner === context.keys.hostId;
  const outcome: Outcome = { result: 'aborted', relinquish: null, code: failure.code, message: failure.message };
  const effects: Effect[] = [{ kind: stillOwner ? 'resume' : 'fence' }, { kind: 'finished', outcome }];
  if (state.asker) effects.push(reply(state.asker, failure, context));
  return { state: { phase: 'idle', last: outcome }, effects };
}

function abort(state: SourceState, context: SourceContext): Step<SourceState> {
  if (isEarly(state)) return giveUp(state, { code: 'ABORTED', message: 'the hand-over was given up' }, context);
  return state.phase === 'relinquished' ? { state, effects: [reply(null, busy(state), context)] } : same(state);
}

/** The point of no return: the record is made, made durable, and only then sent. */
function relinquish(
  state: Early,
  event: { final: Generation; nonce: Uint8Array },
  context: SourceContext,
): Step<SourceState> {
  const { chain, genesis, keys } = context;
  const failure = forbids(state.to, context);
  if (failure) return giveUp(state, failure, context);
  const { authority, after, head } = chain.current;
  const { final, nonce } = event;
  if (final.authority !== authority && final.id !== after?.generation) {
    throw new DiskswarmError('INTERNAL', 'the final generation is not of the epoch that ends', {
      data: { generation: final.id },
    });
  }
  const content = { at: head, to: state.to, finalGeneration: final.id, finalSequence: final.sequence, nonce };
  const next: Relinquished = { phase: 'relinquished', relinquish: createRelinquish(genesis, content, keys), final };
  return { state: next, effects: [persist(next, next.relinquish), offer(next)] };
}

function persist(state: SourceState, ...records: Extract<Effect, { kind: 'persist' }>['records']): Effect {
  return { kind: 'persist', side: 'source', state: encodeSourceState(state), records };
}

function offer({ relinquish: record, final }: Relinquished): Effect {
  const message = { kind: 'relinquish', disk: record.disk, record: record.bytes, generation: final.bytes } as const;
  return { kind: 'send', to: record.to, message };
}

function conclude(state: SourceState, verdict: Verdict): Step<SourceState> {
  if (state.phase !== 'relinquished') return same(state);
  const { id, to } = state.relinquish;
  if (verdict.previous !== id || verdict.by !== to) return same(state);
  return verdict.kind === 'accept' ? finish(state, 'done') : finish(state, 'refused', verdict);
}

/** The hand-over ended: durably first, then the export follows, then whoever waits is told. */
function finish(
  state: Relinquished,
  result: 'done' | 'refused' | 'overruled',
  refusal: Refusal | null = null,
): Step<SourceState> {
  const words = {
    done: { code: '', message: '' },
    refused: { code: refusal?.code ?? '', message: refusal?.reason ?? '' },
    overruled: { code: 'NOT_OWNER', message: 'the owner forced the disk to another host meanwhile' },
  };
  const outcome: Outcome = { result, relinquish: state.relinquish.id, ...words[result] };
  const next: SourceState = { phase: 'idle', last: outcome };
  const durable = refusal ? persist(next, refusal) : persist(next);
  const follow: Effect = { kind: result === 'refused' ? 'resume' : 'fence' };
  return { state: next, effects: [durable, follow, { kind: 'finished', outcome }] };
}

/**
 * What the chain says counts, by whatever way it was learned: a refusal in it is one, a record that goes on from ours proves
 * that ours was accepted, and where ours no longer counts the owner forced the disk elsewhere.
 */
function obeyChain(state: SourceState, context: SourceContext): Step<SourceState> {
  const { chain, keys } = context;
  if (isEarly(state)) {
    if (chain.current.owner === keys.hostId) return same(state);
    return giveUp(state, { code: 'NOT_OWNER', message: `${chain.current.owner} owns the disk` }, context);
  }
  if (state.phase !== 'relinquished' || chain.current.authority === state.relinquish.id) return same(state);
  const entry = entryOf(chain, state.relinquish.id);
  if (entry === null) return finish(state, 'overruled');
  if (!entry.refused) return finish(state, 'done');
  const refusal = chain.records.find((record) => record.kind === 'refuse' && record.previous === state.relinquish.id);
  return finish(state, 'refused', refusal as Refusal);
}
