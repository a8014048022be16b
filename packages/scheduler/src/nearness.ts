/**
 * Which peers are far: those whose lone answer takes several times as long as the nearest peer's. Measured, not configured.
 *
 * A far peer's line is somebody's uplink, and a chunk that a near peer has need not cross it (`choose.ts`). What counts is what
 * one chunk takes, round trip and rate together; a loaded near peer is not near for ever. Between the two borders a peer stays
 * what it was, so that a chunk now and then that was held up changes nothing. Peers that nobody measured are not far.
 */
import { NEARNESS } from './limits.ts';
import type { Peer } from './peer.ts';

/** Looks at all peers anew; `lengthBytes` is that of a chunk. */
export function rankByNearness(peers: Iterable<Peer>, lengthBytes: number): void {
  const measured: { readonly peer: Peer; readonly answerUs: number }[] = [];
  let nearestUs = Number.POSITIVE_INFINITY;
  for (const peer of peers) {
    if (!peer.model.measured) continue;
    const answerUs = peer.model.expectedUs(0, lengthBytes);
    measured.push({ peer, answerUs });
    if (!peer.late) nearestUs = Math.min(nearestUs, answerUs);
  }
  for (const { peer, answerUs } of measured) {
    if (answerUs > Math.max(NEARNESS.farUs, NEARNESS.farFactor * nearestUs)) peer.far = true;
    else if (answerUs <= Math.max(NEARNESS.nearUs, NEARNESS.nearFactor * nearestUs)) peer.far = false;
  }
}
