/**
 * Which peer for a chunk: whoever is expected to have delivered it first. Pure; asks nobody.
 *
 * Fault: peers known to have it before ones that may have it, ones that answer before ones that are late, then the
 * shortest expected time. Background: the same among peers with credit; a peer nobody measured gets one try at once; a
 * peer that only may have the chunk is asked when nobody is known to.
 * `blocked` means somebody could be asked later without anybody's claims changing; `nobody` that nobody could.
 */
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
  const candidates = known ? holders.filter(({ certainty }) => certainty === 'has') : holders;
  return choose(entry, candidates, nowUs, (peer) => {
    if (!peer.takesBackground(lengthBytes) || !among(peer)) return null;
    const untried = !peer.model.measured && peer.requests.size === 0;
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

/** Not banned, not asked already, not excluded for a while. */
function mayBeAsked(entry: Entry, { peer, certainty }: ConnectedHolder, nowUs: number): boolean {
  if (peer.bannedUntilUs > nowUs || entry.requests.has(peer.id)) return false;
  const exclusion = entry.excluded.get(peer.id);
  if (exclusion === undefined || exclusion.untilUs <= nowUs) return true;
  return exclusion.certainty === 'unknown' && certainty === 'has';
}
