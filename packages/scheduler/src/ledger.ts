/**
 * What is under way at whom, and what each answer teaches: the peers, the host's credit, and the count of both.
 *
 * Background counts against two windows, the peer's and the host's. Faults go past them but take up their room, so that
 * background adds nothing to a pipe that faults fill. While faults follow each other, the place of one stays free for
 * 20 ms: the next one of a guest that reads on comes then, and would find background in it.
 * The host's window sees every answer, so the shortest queue of a round counts there: what all peers have in common is
 * this host's downlink, the rest is their own.
 */
import type { HostId } from '@diskswarm/core';
import { CreditWindow } from './credit-window.ts';
import { PATIENCE } from './limits.ts';
import type { Peer, Request } from './peer.ts';

export class Ledger {
  readonly peers = new Map<HostId, Peer>();
  readonly credit = new CreditWindow({ floorChunks: 2 });
  backgroundBytes = 0;
  faultBytes = 0;
  /** Places of faults that ended a moment ago, oldest first. */
  readonly #places: { readonly bytes: number; readonly untilUs: number }[] = [];
  #placeBytes = 0;
  #faultEndedUs = Number.NEGATIVE_INFINITY;
  /** The last fault came right after, or beside, another one. */
  #readsOn = false;

  /** Counts a request that is being made. */
  add(request: Request): void {
    request.entry.requests.set(request.peer.id, request);
    request.peer.add(request);
    if (request.lane === 'fault') {
      const sinceUs = request.sentAtUs - this.#faultEndedUs;
      this.#readsOn = this.faultBytes > 0 || sinceUs <= PATIENCE.faultPlaceUs;
      this.#takePlace();
    }
    this.#count(request, request.entry.want.lengthBytes);
  }

  /** Ends a request without learning from it. */
  remove(request: Request, nowUs: number): void {
    const { entry, peer, lane } = request;
    entry.requests.delete(peer.id);
    peer.remove(request);
    this.#count(request, -entry.want.lengthBytes);
    if (lane === 'bulk') return;
    this.#faultEndedUs = nowUs;
    if (!this.#readsOn) return;
    this.#placeBytes += entry.want.lengthBytes;
    this.#places.push({ bytes: entry.want.lengthBytes, untilUs: nowUs + PATIENCE.faultPlaceUs });
  }

  /** True when the host's credit takes another background request of this size. */
  takesBackground(lengthBytes: number): boolean {
    return this.credit.allows(this.backgroundBytes + this.faultBytes + this.#placeBytes, lengthBytes);
  }

  /** Frees the places kept for faults that did not come; returns when the next one is freed, or Infinity. */
  freePlaces(nowUs: number): number {
    while (this.#places.length > 0 && this.#places[0]!.untilUs <= nowUs) this.#takePlace();
    return this.#places[0]?.untilUs ?? Number.POSITIVE_INFINITY;
  }

  #takePlace(): void {
    this.#placeBytes -= this.#places.shift()?.bytes ?? 0;
  }

  /** True when some peer's credit takes a background request of this size. */
  someoneTakes(lengthBytes: number): boolean {
    for (const peer of this.peers.values()) if (peer.takesBackground(lengthBytes)) return true;
    return false;
  }

  /** True when no background is under way, but for what is late. */
  get quiet(): boolean {
    for (const { backgroundBytes, late } of this.peers.values()) if (backgroundBytes > 0 && !late) return false;
    return true;
  }

  /** Ends a request with its answer, which came in `arrivedBytes`, and learns from it. */
  answered(request: Request, arrivedBytes: number, nowUs: number): void {
    const { peer, entry, sentAtUs } = request;
    const { lengthBytes } = entry.want;
    peer.late = false;
    if (request.measured) {
      const whole = arrivedBytes >= lengthBytes;
      peer.model.learn(arrivedBytes, sentAtUs, request.expectedUs, nowUs, { whole });
      if (request.lane === 'bulk') {
        const baseUs = peer.model.baseUs(arrivedBytes)!;
        const sample = { bytes: lengthBytes, sentAtUs, baseUs, queueUs: nowUs - sentAtUs - baseUs };
        peer.credit.learn({ ...sample, outstandingBytes: peer.outstandingBytes }, nowUs);
        this.credit.learn({ ...sample, outstandingBytes: this.backgroundBytes + this.faultBytes }, nowUs);
      }
    }
    this.remove(request, nowUs);
  }

  #count(request: Request, bytes: number): void {
    if (request.lane === 'fault') this.faultBytes += bytes;
    else this.backgroundBytes += bytes;
  }
}
