/**
 * The host that gets a disk (design D6): one write-once slot per epoch, accept or refuse, durable before anybody hears of it.
 *
 * A relinquish that arrives again gets the very same answer for ever. A second, different record for an epoch that was
 * answered gets none: refusing it would make its signer an owner beside this host. Whether the offer is sound (the final
 * generation trusted, its manifest durable here) is examined by the host agent, which reports the decision.
 */
import {
  DiskswarmError,
  decodeCanonical,
  type EpochRecordId,
  encodeCanonical,
  type HostId,
  RecordReader,
} from '@diskswarm/core';
import {
  createAcceptance,
  createRefusal,
  decodeVerdict,
  type Generation,
  type Genesis,
  MAX_EPOCH_RECORDS,
  MAX_RECORD_BYTES,
  type Relinquish,
  type Verdict,
} from '@diskswarm/identity';
import type { Context, Effect, Step } from './machine.ts';

/** The destination of hand-overs of one disk. */
export interface DestinationState {
  /** The answers given, by epoch. Never changed, never removed. */
  readonly slots: ReadonlyMap<number, Verdict>;
  /** The offer under examination; not durable, because its source repeats it. */
  readonly examining: Relinquish | null;
}

/** Where every disk begins. */
export const INITIAL_DESTINATION: DestinationState = { slots: new Map(), examining: null };

/** What happens to the destination. */
export type DestinationEvent =
  /** A relinquish arrived from `sender` (its signer, or a host that carries it). The context's chain must hold it already. */
  | { readonly kind: 'offered'; readonly sender: HostId; readonly relinquish: Relinquish; readonly final: Generation }
  /** The agent decided about the offer it examined: null accepts. */
  | {
      readonly kind: 'examined';
      readonly relinquish: EpochRecordId;
      readonly refusal: { readonly code: string; readonly reason: string } | null;
    };

/** One step of the destination; PROTOCOL_ERROR where the final generation is not the one the record names. */
export function applyDestination(
  state: DestinationState,
  event: DestinationEvent,
  context: Context,
): Step<DestinationState> {
  return event.kind === 'offered' ? consider(state, event, context) : decide(state, event, context);
}

type Offered = Extract<DestinationEvent, { kind: 'offered' }>;
type Examined = Extract<DestinationEvent, { kind: 'examined' }>;

function consider(state: DestinationState, event: Offered, { keys, chain }: Context): Step<DestinationState> {
  const { relinquish, final, sender } = event;
  if (relinquish.to !== keys.hostId) return { state, effects: [] };
  const answered = state.slots.get(relinquish.epoch);
  if (answered) {
    if (answered.previous !== relinquish.id) return { state, effects: [{ kind: 'conflict', relinquish }] };
    return { state, effects: [answer(answered, sender)] };
  }
  if (final.id !== relinquish.finalGeneration || final.sequence !== relinquish.finalSequence) {
    throw new DiskswarmError('PROTOCOL_ERROR', 'the offered generation is not the one the relinquish names', {
      data: { sender },
    });
  }
  if (chain.current.authority !== relinquish.id || state.examining?.id === relinquish.id) return { state, effects: [] };
  return { state: { ...state, examining: relinquish }, effects: [{ kind: 'examine', relinquish, final }] };
}

/** Fills the slot. The offer may have been overruled while it was examined: then it is neither accepted nor refused. */
function decide(state: DestinationState, event: Examined, { genesis, keys, chain }: Context): Step<DestinationState> {
  const { examining: relinquish } = state;
  if (relinquish === null || relinquish.id !== event.relinquish) return { state, effects: [] };
  if (chain.current.authority !== relinquish.id || state.slots.has(relinquish.epoch)) {
    return { state: { ...state, examining: null }, effects: [] };
  }
  const { refusal } = event;
  const verdict = refusal
    ? createRefusal(genesis, relinquish, refusal, keys)
    : createAcceptance(genesis, relinquish, keys);
  const next = { slots: new Map([...state.slots, [relinquish.epoch, verdict]]), examining: null };
  const records = verdict.kind === 'refuse' ? [relinquish, verdict] : [relinquish];
  const effects: Effect[] = [{ kind: 'persist', side: 'destination', state: encodeDestinationState(next), records }];
  if (verdict.kind === 'accept') effects.push({ kind: 'activate', epoch: relinquish.epoch });
  effects.push(answer(verdict, relinquish.from));
  return { state: next, effects };
}

function answer(verdict: Verdict, to: HostId): Effect {
  return { kind: 'send', to, message: { kind: 'verdict', disk: verdict.disk, record: verdict.bytes } };
}

const WHAT = 'answers to hand-overs';

/** The durable form: the answers, in the order of epochs. */
export function encodeDestinationState(state: DestinationState): Uint8Array {
  const verdicts = [...state.slots.values()].toSorted((left, right) => left.epoch - right.epoch);
  return encodeCanonical({ v: 1, verdicts: verdicts.map((verdict) => verdict.bytes) });
}

/** The state in `bytes`; FORMAT_INVALID or SIGNATURE_INVALID. */
export function decodeDestinationState(bytes: Uint8Array, genesis: Genesis): DestinationState {
  const value = decodeCanonical(bytes, { maxBytes: MAX_EPOCH_RECORDS * MAX_RECORD_BYTES, what: WHAT });
  const reader = new RecordReader(value, WHAT, ['v', 'verdicts']);
  reader.integer('v', 1, 1);
  const slots = new Map<number, Verdict>();
  for (const item of reader.list('verdicts', MAX_EPOCH_RECORDS)) {
    const verdict = item instanceof Uint8Array ? decodeVerdict(item, genesis) : null;
    if (verdict === null || slots.has(verdict.epoch)) {
      throw new DiskswarmError('FORMAT_INVALID', `${WHAT}: two for one epoch, or no record`, { data: { what: WHAT } });
    }
    slots.set(verdict.epoch, verdict);
  }
  return { slots, examining: null };
}
