/**
 * What is under way at whom, and what each answer teaches: the peers, the host's credit, and the count of both.
 *
 * Background counts against two windows, the peer's and the host's; faults go past them but take up their room, so that
 * background adds nothing to a pipe that faults fill. The host's queue is the least of its peers' queues: what they all
 * have in common is this host's downlink, the rest is their own.
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

  add(request: Request): void {
    request.entry.requests.set(request.peer.id, request);
    request.peer.add(request);
    this.#count(request, request.entry.want.lengthBytes);
  }

  /** Ends a request without learning from it. */
  remove(request: Request): void {
    request.entry.requests.delete(request.peer.id);
    request.peer.remove(request);
    this.#count(request, -request.entry.want.lengthBytes);
  }

  /** True when the host's credit takes another background request of this size. */
  takesBackground(lengthBytes: number): boolean {
    return this.credit.allows(this.backgroundBytes + this.faultBytes, lengthBytes);
  }

  /** True when some peer's credit takes a background request of this size. */
  someoneTakes(lengthBytes: number): boolean {
    for (const peer of this.peers.values()) if (peer.takesBackground(lengthBytes)) return true;
    return false;
  }

  /** Ends a request with its answer, and learns from it. */
  answered(request: Request, nowUs: number): void {
    const { peer, entry, sentAtUs } = request;
    const { lengthBytes } = entry.want;
    peer.late = false;
    if (request.measured) {
      peer.model.learn(lengthBytes, sentAtUs, request.expectedUs, nowUs);
      if (request.lane === 'bulk') {
        const baseUs = peer.model.baseUs(lengthBytes)!;
        peer.queueUs = nowUs - sentAtUs - baseUs;
        peer.queueAtUs = nowUs;
        const sample = { bytes: lengthBytes, sentAtUs, baseUs };
        peer.credit.learn({ ...sample, queueUs: peer.queueUs, outstandingBytes: peer.outstandingBytes }, nowUs);
        const outstandingBytes = this.backgroundBytes + this.faultBytes;
        this.credit.learn({ ...sample, queueUs: this.#sharedQueueUs(nowUs), outstandingBytes }, nowUs);
      }
    }
    this.remove(request);
  }

  #sharedQueueUs(nowUs: number): number {
    let leastUs = Number.POSITIVE_INFINITY;
    for (const { queueUs, queueAtUs } of this.peers.values()) {
      if (nowUs - queueAtUs <= PATIENCE.recentUs) leastUs = Math.min(leastUs, queueUs);
    }
    return leastUs;
  }

  #count(request: Request, bytes: number): void {
    if (request.lane === 'fault') this.faultBytes += bytes;
    else this.backgroundBytes += bytes;
  }
}
