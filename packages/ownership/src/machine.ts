/**
 * What the two sides of a hand-over share: what they may look at, and what they ask the host agent to do.
 *
 * `apply(state, event, context) → {state, effects}` is pure. The effects of all steps of one disk run in one queue, in order;
 * the next begins when the one before is finished: a `persist` durable, a `hold` or `seal` reported. A crash drops the state
 * in memory and the effects not yet run; going on from what was persisted is always correct. A `persist` that fails counts as
 * a crash: no effect after it may run, and no event may be fed until the state was read back from what is durable.
 * No timer exists here: nothing but a signed record moves ownership.
 */
import type { HostId } from '@diskswarm/core';
import type { EpochChain, EpochRecord, Generation, Genesis, HostKeys, Relinquish, Roster } from '@diskswarm/identity';
import type { DestinationState } from './destination.ts';
import type { OwnershipMessage } from './message.ts';
import type { Outcome } from './source-state.ts';

/** What a step may look at: the disk's records as this host knows them now, and this host's keys. */
export interface Context {
  readonly genesis: Genesis;
  readonly keys: HostKeys;
  readonly chain: EpochChain;
  readonly roster: Roster;
}

/** The source also needs to know what this host accepted: a disk that was only offered to it is not its to give away. */
export interface SourceContext extends Context {
  readonly destination: DestinationState;
}

/** What the host agent does next. */
export type Effect =
  /** Stop new writes on the export and drain those in flight, then report `held` or `holdRefused`. */
  | { readonly kind: 'hold' }
  /** Seal the final generation, then report `sealed` or `sealFailed`. */
  | { readonly kind: 'seal' }
  /** Writes may go on: the export is writable in its old epoch. */
  | { readonly kind: 'resume' }
  /** End the writable export for good. */
  | { readonly kind: 'fence' }
  /** Check the offer (role, final generation, its manifest durable here), then report `examined`. */
  | { readonly kind: 'examine'; readonly relinquish: Relinquish; readonly final: Generation }
  /** This host owns the disk from now on: incoming becomes writable. */
  | { readonly kind: 'activate'; readonly epoch: number }
  /** Make the encoded state and the epoch records durable together, before any later effect. */
  | {
      readonly kind: 'persist';
      readonly side: 'source' | 'destination';
      readonly state: Uint8Array;
      readonly records: readonly EpochRecord[];
    }
  /** Send, if the host is connected; otherwise the next connection repeats it. */
  | { readonly kind: 'send'; readonly to: HostId; readonly message: OwnershipMessage }
  /** A hand-over ended; tell whoever waits for it. */
  | { readonly kind: 'finished'; readonly outcome: Outcome }
  /** The request of the local user cannot be fulfilled. */
  | { readonly kind: 'refuse'; readonly code: string; readonly message: string }
  /** Two different relinquish records for one epoch arrived: neither is answered, people must decide. */
  | { readonly kind: 'conflict'; readonly relinquish: Relinquish };

/** The result of a step. */
export interface Step<State> {
  readonly state: State;
  readonly effects: readonly Effect[];
}
