/**
 * The state of the host that gives a disk away, and its durable form.
 *
 * Only `relinquished` and the last outcome outlive a crash: before the relinquish is durable nothing was given away, so a
 * restart finds the host as owner again. Transitions are in source.ts.
 */
import {
  type Canonical,
  DiskswarmError,
  decodeCanonical,
  type EpochRecordId,
  encodeCanonical,
  type HostId,
  idFromBytes,
  idToBytes,
  RecordReader,
} from '@diskswarm/core';
import {
  cutText,
  decodeEpochRecord,
  decodeGeneration,
  type Generation,
  type Genesis,
  MAX_GENERATION_BYTES,
  MAX_RECORD_BYTES,
  type Relinquish,
} from '@diskswarm/identity';

/** How a hand-over ended. `done`: durable at the other host; `refused`: signed by it; `aborted`: before it was offered;
 * `overruled`: the owner forced the disk elsewhere meanwhile. */
export interface Outcome {
  readonly result: 'done' | 'refused' | 'aborted' | 'overruled';
  /** Absent where no record was signed. */
  readonly relinquish: EpochRecordId | null;
  /** A stable error code, and words for people; empty when done. */
  readonly code: string;
  readonly message: string;
}

/** Who asked for the disk; null for the local user. The nonce goes back with a refusal. */
export type Asker = { readonly host: HostId; readonly nonce: Uint8Array } | null;

/** The source of a hand-over. */
export type SourceState =
  | { readonly phase: 'idle'; readonly last: Outcome | null }
  | { readonly phase: 'holding'; readonly to: HostId; readonly asker: Asker }
  | { readonly phase: 'sealing'; readonly to: HostId; readonly asker: Asker }
  | { readonly phase: 'relinquished'; readonly relinquish: Relinquish; readonly final: Generation };

/** Where every disk begins. */
export const INITIAL_SOURCE: SourceState = { phase: 'idle', last: null };

const WHAT = 'hand-over state';
const RESULTS: readonly Outcome['result'][] = ['done', 'refused', 'aborted', 'overruled'];

/** What a waiting user is told: still deciding, in doubt (both hosts stay stopped), or how it ended. */
export function handoverResult(state: SourceState): 'none' | 'deciding' | 'in-doubt' | Outcome['result'] {
  if (state.phase === 'relinquished') return 'in-doubt';
  if (state.phase !== 'idle') return 'deciding';
  return state.last?.result ?? 'none';
}

/** The durable form; phases before the relinquish become idle. */
export function encodeSourceState(state: SourceState): Uint8Array {
  if (state.phase === 'relinquished') {
    return encodeCanonical({
      v: 1,
      phase: 'relinquished',
      relinquish: state.relinquish.bytes,
      final: state.final.bytes,
    });
  }
  const last = state.phase === 'idle' ? state.last : null;
  return encodeCanonical({ v: 1, phase: 'idle', ...(last ? { last: encodeOutcome(last) } : {}) });
}

function encodeOutcome(outcome: Outcome): Canonical {
  const { result, relinquish, code, message } = outcome;
  const common = { result: RESULTS.indexOf(result), code, message: cutText(message, 512) };
  return relinquish === null ? common : { ...common, relinquish: idToBytes(relinquish) };
}

/** The state in `bytes`; FORMAT_INVALID or SIGNATURE_INVALID. */
export function decodeSourceState(bytes: Uint8Array, genesis: Genesis): SourceState {
  const value = decodeCanonical(bytes, { maxBytes: MAX_RECORD_BYTES + MAX_GENERATION_BYTES + 1024, what: WHAT });
  const reader = new RecordReader(value, WHAT, ['v', 'phase', 'relinquish', 'final', 'last']);
  reader.integer('v', 1, 1);
  const phase = reader.text('phase', 16);
  if (phase === 'idle') return { phase, last: reader.has('last') ? decodeOutcome(reader) : null };
  const relinquish = decodeEpochRecord(reader.bytes('relinquish', { max: MAX_RECORD_BYTES }), genesis);
  const final = decodeGeneration(reader.bytes('final', { max: MAX_GENERATION_BYTES }));
  if (phase === 'relinquished' && relinquish.kind === 'relinquish' && relinquish.finalGeneration === final.id) {
    return { phase, relinquish, final };
  }
  throw new DiskswarmError('FORMAT_INVALID', `${WHAT}: its parts do not belong together`, { data: { what: WHAT } });
}

function decodeOutcome(state: RecordReader): Outcome {
  const reader = new RecordReader(state.value('last'), WHAT, ['result', 'relinquish', 'code', 'message']);
  return {
    result: RESULTS[reader.integer('result', 0, RESULTS.length - 1)] as Outcome['result'],
    relinquish: reader.has('relinquish')
      ? idFromBytes<EpochRecordId>(reader.bytes('relinquish', { length: 32 }))
      : null,
    code: reader.text('code', 64),
    message: reader.text('message', 512),
  };
}
