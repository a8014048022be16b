/**
 * What is under way at whom, and what each answer teaches: the peers, the host's credit, and the count of both.
 *
 * Background counts against two windows, the peer's and the host's. Faults go past them but take up their room, so that
 * background adds nothing to a pipe that faults fill. While faults follow each other, the place of one stays free for
 * 20 ms: the next one of a guest that reads on comes then, and would find background in it.
 * The host's window sees every answer, so the shortest queue of a round counts there: what all peers have in common is
 * this host's downlink, the rest is their own.
 * A request is alone when nothing else is under way in the whole host from its sending to its answer, but for what is late.
 */
import type { HostId } from '@diskswarm/core';
import { CreditWindow, queueTargetUs } from './credit-window.ts';
import { PATIENCE, SCHEDULER_LIMITS } from './limits.ts';
import { rankByNearness } from './nearness.ts';
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
  #alone: Request | null = null;

  /** Counts a request that is being made. */
  add(request: Request): void {
    this.#alone = this.#nothingUnderWay ? request : null;
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
    if (this.#alone === request) this.#alone = null;
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

  /** A peer parts its link by itself, or does so no more: what it queues says nothing of this host's downlink either. */
  share(peer: Peer, on: boolean): void {
    peer.shared = on;
    peer.credit.keep(on ? SCHEDULER_LIMITS.sharedBytes : 0);
    const any = [...this.peers.values()].some(({ shared }) => shared);
    this.credit.keep(any ? SCHEDULER_LIMITS.sharedBytes : 0);
  }

  /** True while a fault is under way, or its place is kept for the next one. */
  get faultsGoOn(): boolean {
    return this.faultBytes + this.#placeBytes > 0;
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

  /** Ends a request with its answer, which came in `arrivedBytes`, and learns from it; true when answers are quicker now than was usual. */
  answered(request: Request, arrivedBytes: number, nowUs: number): boolean {
    const { peer, entry, sentAtUs } = request;
    const { lengthBytes } = entry.want;
    let quicker = false;
    peer.late = false;
    if (request.measured) {
      const whole = arrivedBytes >= lengthBytes;
      const alone = this.#alone === request;
      const before = peer.model.usualUs(arrivedBytes);
      peer.model.learn(arrivedBytes, sentAtUs, request.expectedUs, nowUs, { whole, alone });
      const baseUs = peer.model.baseUs(arrivedBytes)!;
      const usualUs = peer.model.usualUs(arrivedBytes)!;
      const changeUs = before === null ? 0 : usualUs - before;
      quicker = changeUs < -queueTargetUs(baseUs) / 2;
      if (changeUs > queueTargetUs(baseUs)) {
        peer.credit.reopen(nowUs);
        this.credit.reopen(nowUs);
      }
      rankByNearness(this.peers.values(), lengthBytes);
      if (request.lane === 'bulk') {
        const queueUs = nowUs - sentAtUs - baseUs;
        const excessUs = alone ? queueUs : usualUs - baseUs;
        const sample = { bytes: lengthBytes, sentAtUs, baseUs, queueUs, excessUs };
        peer.credit.learn({ ...sample, outstandingBytes: peer.outstandingBytes }, nowUs);
        const outstandingBytes = this.backgroundBytes + this.faultBytes;
        this.credit.learn({ ...sample, outstandingBytes, from: peer }, nowUs);
      }
    }
    this.remove(request, nowUs);
    return quicker;
  }

  get #nothingUnderWay(): boolean {
    if (this.backgroundBytes + this.faultBytes === 0) return true;
    for (const { outstandingBytes, late } of this.peers.values()) if (outstandingBytes > 0 && !late) return false;
    return true;
  }

  #count(request: Request, bytes: number): void {
    if (request.lane === 'fault') this.faultBytes += bytes;
    else this.backgroundBytes += bytes;
  }
}
