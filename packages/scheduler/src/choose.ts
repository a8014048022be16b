/**
 * Which peer for a chunk: whoever is expected to have delivered it first. Pure; asks nobody.
 *
 * Fault: peers known to have it before ones that may have it, ones that answer before ones that are late, then the
 * shortest expected time, which for one that nobody measured is guessed from its round trip. Background: the same among
 * peers with credit; a peer nobody measured gets one try at once; a peer that only may have the chunk is asked when nobody
 * is known to, and a far one when no near one is there to wait for.
 * Now and then a far one is asked all the same: who is never asked would stay far.
 * `blocked` means somebody could be asked later without anybody's claims changing; `nobody` that nobody could.
 */
import { PRIORITY } from '@diskswarm/core';
import { NEARNESS } from './limits.ts';
import type { ConnectedHolder, Entry, Peer } from './peer.ts';

/** Whom to ask, and how long that should take. */
export interface Choice {
  readonly peer: Peer;
  readonly expectedUs: number;
}

type Verdict = Choice | 'blocked' | 'nobody';

/** The peer for a fault, leaving out those already asked. */
export function chooseForFault(entry: Entry, holders: readonly ConnectedHolder[], nowUs: number): Verdict {
  return choose(entry, holders, nowUs, (peer) => (peer.hasRoom ? peer.expectedUs(entry.want.lengthBytes) : null));
}

/** The peer for a background chunk; `among` leaves peers out for now. */
export function chooseForBackground(
  entry: Entry,
  holders: readonly ConnectedHolder[],
  nowUs: number,
  among: (peer: Peer) => boolean,
): Verdict {
  const { lengthBytes } = entry.want;
  const known = holders.some((holder) => holder.certainty === 'has' && mayBeAsked(entry, holder, nowUs));
  const sure = known ? holders.filter(({ certainty }) => certainty === 'has') : holders;
  const isDue = (peer: Peer): boolean => entry.priority === PRIORITY.bulk && isForgotten(peer, nowUs);
  const near = sure.filter(({ peer }) => !peer.far || isDue(peer));
  // What a near peer has waits for that peer's credit: it does not cross somebody's uplink.
  const spared = near.some((holder) => servesNow(entry, holder, nowUs));
  const candidates = spared ? near : sure;
  return choose(entry, candidates, nowUs, (peer) => {
    if (!peer.takesBackground(lengthBytes) || !among(peer)) return null;
    const untried = peer.requests.size === 0 && (!peer.model.measured || isDue(peer));
    return untried ? 0 : peer.expectedUs(lengthBytes);
  });
}

function choose(
  entry: Entry,
  holders: readonly ConnectedHolder[],
  nowUs: number,
  expect: (peer: Peer) => number | null,
): Verdict {
  let best: Choice | undefined;
  let bestRank = Number.POSITIVE_INFINITY;
  let blocked = false;
  for (const holder of holders) {
    const { peer, certainty } = holder;
    if (!mayBeAsked(entry, holder, nowUs)) continue;
    const expectedUs = peer.choked.has(entry.want.disk) ? null : expect(peer);
    if (expectedUs === null) {
      blocked = true;
      continue;
    }
    const rank = (certainty === 'has' ? 0 : 2) + (peer.late ? 1 : 0);
    if (best !== undefined) {
      const difference = rank - bestRank || expectedUs - best.expectedUs || peer.tie - best.peer.tie;
      if (difference >= 0) continue;
    }
    best = { peer, expectedUs };
    bestRank = rank;
  }
  return best ?? (blocked ? 'blocked' : 'nobody');
}

/** A far peer that nothing was asked of for a while. */
function isForgotten({ far, requests, askedUs }: Peer, nowUs: number): boolean {
  return far && requests.size === 0 && nowUs - askedUs >= NEARNESS.measureUs;
}

/** It may be asked, and answers: now, or once there is credit. */
function servesNow(entry: Entry, holder: ConnectedHolder, nowUs: number): boolean {
  const { peer } = holder;
  return !peer.late && !peer.choked.has(entry.want.disk) && mayBeAsked(entry, holder, nowUs);
}

/** Not banned, not asked already, not excluded for a while. */
function mayBeAsked(entry: Entry, { peer, certainty }: ConnectedHolder, nowUs: number): boolean {
  if (peer.bannedUntilUs > nowUs || entry.requests.has(peer.id)) return false;
  const exclusion = entry.excluded.get(peer.id);
  if (exclusion === undefined || exclusion.untilUs <= nowUs) return true;
  return exclusion.certainty === 'unknown' && certainty === 'has';
}
