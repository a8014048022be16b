/**
 * What to do when an answer takes too long, or a chunk under way becomes more urgent.
 *
 * A fault that is late is asked of somebody else as well: of three peers at most, then the oldest request gives way.
 * Background that stalled is taken back and asked elsewhere, where somebody else has it and answers. A chunk that nobody
 * else has is waited for as long as it takes. A peer with something late stands behind the others until it delivers.
 */
import { PRIORITY } from '@diskswarm/core';
import { type Choice, chooseForFault } from './choose.ts';
import type { Dispatch } from './dispatch.ts';
import { PATIENCE, SCHEDULER_LIMITS } from './limits.ts';
import type { Entry, Peer, Request } from './peer.ts';

export class Lateness {
  readonly #dispatch: Dispatch;

  constructor(dispatch: Dispatch) {
    this.#dispatch = dispatch;
  }

  /** The alarm of a fault rang: say so once, and ask somebody else. */
  late(request: Request): void {
    const { entry, peer, sentAtUs } = request;
    if (entry.requests.get(peer.id) !== request || entry.priority !== PRIORITY.fault) return;
    this.#mark(request);
    if (this.#alsoAsk(request)) return;
    // Nobody else now does not mean nobody else later: look again after as long as it has taken so far.
    const againUs = Math.max(this.#dispatch.nowUs - sentAtUs, PATIENCE.lateFloorUs);
    this.#dispatch.alarms.set(this.#dispatch.nowUs + againUs, { kind: 'late', request });
  }

  /** Somebody may have become able to take over: late faults do not wait for their alarm. */
  tryElsewhere(): void {
    for (const peer of this.#dispatch.ledger.peers.values()) {
      if (!peer.late) continue;
      for (const request of [...peer.requests.values()]) {
        if (request.late && request.entry.priority === PRIORITY.fault && isLatest(request)) this.#alsoAsk(request);
      }
    }
  }

  /** The alarm for a peer's oldest background rang: what somebody else has goes there. */
  stalled(peer: Peer): void {
    const { nowUs, ledger, wants } = this.#dispatch;
    peer.watched = false;
    let anyStalled = false;
    for (const request of [...peer.requests.values()]) {
      const { entry, lane } = request;
      if (lane === 'fault' || this.#dispatch.stallsAtUs(request) > nowUs) continue;
      anyStalled = true;
      request.lookedAtUs = nowUs;
      this.#mark(request);
      const elsewhere = chooseForFault(entry, wants.holdersOf(entry), nowUs);
      if (typeof elsewhere === 'string' || elsewhere.peer.late) continue;
      this.#dispatch.cancel(request);
      this.#dispatch.exclude(entry, peer);
      this.#dispatch.waitAgain(entry);
    }
    if (ledger.peers.get(peer.id) !== peer) return;
    if (anyStalled) {
      peer.credit.collapse(nowUs);
      wants.disown(peer);
    }
    this.#dispatch.watch(peer);
  }

  /**
   * A fault for a chunk that background is fetching: most often that is the fastest way already. Where another request
   * should be answered sooner it is made; at the same peer it takes the place of the old one, on the faults' lane.
   */
  raised(entry: Entry): void {
    if (entry.priority !== PRIORITY.fault) return;
    const { nowUs, wants, alarms } = this.#dispatch;
    const [request] = entry.requests.values();
    if (request === undefined || request.lane === 'fault') return;
    const { peer } = request;
    const remainingUs = Math.max(0, request.sentAtUs + request.expectedUs - nowUs);
    const never = Number.POSITIVE_INFINITY;
    const hereUs = peer.choked.has(entry.want.disk) ? never : peer.expectedUs(entry.want.lengthBytes);
    const elsewhere = chooseForFault(entry, wants.holdersOf(entry), nowUs);
    const elsewhereUs = typeof elsewhere === 'string' ? never : elsewhere.expectedUs;
    if (Math.min(hereUs, elsewhereUs) >= remainingUs) {
      alarms.set(nowUs + peer.model.lateAfterUs(remainingUs), { kind: 'late', request });
    } else if (typeof elsewhere !== 'string' && elsewhereUs <= hereUs) {
      this.#dispatch.ask(entry, elsewhere, 'fault');
    } else {
      this.#dispatch.cancel(request);
      this.#dispatch.ask(entry, { peer, expectedUs: hereUs }, 'fault');
    }
  }

  #mark(request: Request): void {
    const { entry, peer, lane, sentAtUs } = request;
    peer.late = true;
    if (request.late) return;
    request.late = true;
    const waitedUs = this.#dispatch.nowUs - sentAtUs;
    this.#dispatch.effects.push({ type: 'late', peer: peer.id, key: entry.want.key, lane, waitedUs });
  }

  /** One more copy of a fault, where somebody can be asked; with three under way the oldest gives way. */
  #alsoAsk({ entry }: Request): boolean {
    const { nowUs, wants } = this.#dispatch;
    const choice: Choice | string = chooseForFault(entry, wants.holdersOf(entry), nowUs);
    if (typeof choice === 'string') return false;
    if (entry.requests.size >= SCHEDULER_LIMITS.requestsPerWant) {
      const [oldest] = entry.requests.values();
      this.#dispatch.cancel(oldest!);
      this.#dispatch.exclude(entry, oldest!.peer);
    }
    this.#dispatch.ask(entry, choice, 'fault');
    return true;
  }
}

/** Only the newest copy of a fault leads to another one. */
function isLatest(request: Request): boolean {
  return [...request.entry.requests.values()].at(-1) === request;
}
