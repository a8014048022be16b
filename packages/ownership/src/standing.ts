/**
 * What this host may do with a disk now, from durable facts alone: the chain, its own answers and its hand-over.
 *
 * The host agent asks when it starts, when it attaches and when the chain changes. Between those, the effects of the state
 * machines move an attachment; this function and they never disagree about who may write.
 */
import type { HostId } from '@diskswarm/core';
import { type EpochChain, memberOf, type Roster } from '@diskswarm/identity';
import type { DestinationState } from './destination.ts';
import type { SourceState } from './source-state.ts';

/**
 * `writable` in that epoch; `held` while a hand-over is decided; `incoming` before this host answered an offer;
 * `elsewhere`: read-only attachments are fine, a writable one left over from an earlier epoch is fenced.
 */
export type Standing =
  | { readonly state: 'writable' | 'held' | 'incoming'; readonly epoch: number }
  | { readonly state: 'elsewhere'; readonly owner: HostId };

/** The standing of `host`. */
export function standingOf(view: {
  host: HostId;
  chain: EpochChain;
  roster: Roster;
  source: SourceState;
  destination: DestinationState;
}): Standing {
  const { host, chain, roster, source, destination } = view;
  const { current } = chain;
  if (source.phase === 'relinquished' && source.relinquish.id === current.authority) {
    const ending = chain.entries.findLast((entry) => entry.head.previous === source.relinquish.previous);
    return { state: 'held', epoch: ending?.epoch ?? source.relinquish.epoch - 1 };
  }
  const member = memberOf(roster, host);
  if (current.owner !== host || member?.role !== 'writer' || member.revoked) {
    return { state: 'elsewhere', owner: current.owner };
  }
  if (source.phase === 'holding' || source.phase === 'sealing') return { state: 'held', epoch: current.epoch };
  return { state: isSettled(chain, destination) ? 'writable' : 'incoming', epoch: current.epoch };
}

/** Whether the present owner, which is this host, has accepted what made it owner; a grant and a forced take-over need none. */
export function isSettled(chain: EpochChain, destination: DestinationState): boolean {
  const { authority, epoch } = chain.current;
  const offered = chain.records.some((record) => record.id === authority && record.kind === 'relinquish');
  const answer = destination.slots.get(epoch);
  return !offered || (answer?.kind === 'accept' && answer.previous === authority);
}
