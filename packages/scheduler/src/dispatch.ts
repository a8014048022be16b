/**
 * Asking: which waiting chunk goes to which peer now, within credit, and what follows from each request made or ended.
 *
 * Faults are asked for at once, as they came. Background one chunk at a time: by priority, disks in fair turns by bytes,
 * within a disk in queue order among the first 64 that some peer with credit has, runs kept with their peer where that
 * leaves nobody idle. What only busy peers have is passed over: the others would stand idle behind it.
 * Leaves lateness to lateness.ts and events to scheduler.ts. Collects the effects of the event at hand.
 */
import { PRIORITY, type Priority } from '@diskswarm/core';
import { Calibration } from './calibration.ts';
import { type Choice, chooseForBackground, chooseForFault } from './choose.ts';
import { Deadlines } from './deadlines.ts';
import { BACKGROUND, type DiskState } from './disk-state.ts';
import type { Ledger } from './ledger.ts';
import { PATIENCE, SCHEDULER_LIMITS } from './limits.ts';
import type { Effect, Lane } from './messages.ts';
import type { Entry, Peer, Request } from './peer.ts';
import type { Wants } from './wants.ts';

/** Something to look at again at a set time. */
export type Alarm =
  | { readonly kind: 'late'; readonly request: Request }
  | { readonly kind: 'stalled'; readonly peer: Peer }
  | { readonly kind: 'retry'; readonly entry: Entry }
  | { readonly kind: 'unpark'; readonly disk: DiskState }
  | { readonly kind: 'banEnds'; readonly peer: Peer }
  /** Nothing but time is new: credit may be free, or the measuring over. */
  | { readonly kind: 'goOn' };

const anyPeer = (): boolean => true;

interface Picked {
  readonly entry: Entry;
  readonly choice: Choice;
}

export class Dispatch {
  readonly ledger: Ledger;
  readonly wants: Wants;
  readonly calibration = new Calibration();
  readonly alarms = new Deadlines<Alarm>();
  nowUs = Number.NEGATIVE_INFINITY;
  /** When the alarm for the first kept place is set for. */
  #goOnUs = Number.POSITIVE_INFINITY;
  /** Effects of the event at hand. */
  effects: Effect[] = [];

  constructor(ledger: Ledger, wants: Wants) {
    this.ledger = ledger;
    this.wants = wants;
  }

  /** Asks for every waiting fault that somebody can take. */
  askFaults(): void {
    for (const entry of this.wants.faults) {
      const verdict = chooseForFault(entry, this.wants.holdersOf(entry), this.nowUs);
      if (verdict === 'nobody') this.#park(entry);
      else if (verdict !== 'blocked') this.ask(entry, verdict, 'fault');
    }
  }

  /** Asks for background as far as credit goes, or for one chunk alone while peers are measured. */
  askBackground(): void {
    const { calibration, ledger, nowUs } = this;
    const placeFreeUs = ledger.freePlaces(nowUs);
    if (this.wants.disks.size === 0) return;
    if (placeFreeUs < this.#goOnUs || this.#goOnUs <= nowUs) {
      this.#goOnUs = placeFreeUs;
      if (Number.isFinite(placeFreeUs)) this.alarms.set(placeFreeUs, { kind: 'goOn' });
    }
    if (!calibration.running(nowUs) && calibration.begin(nowUs, { atFloor: ledger.credit.starved })) {
      this.alarms.set(calibration.endsUs, { kind: 'goOn' });
    }
    if (calibration.running(nowUs)) {
      if (!ledger.quiet || (ledger.faultsGoOn && calibration.leavesToFaults(nowUs))) return;
      const again = this.#askOne((peer) => calibration.doubts(peer));
      const peer = again ?? this.#askOne((peer) => calibration.wants(peer));
      if (peer !== null) {
        calibration.asked(peer, nowUs);
        return;
      }
      calibration.end(nowUs, false);
    }
    while (ledger.takesBackground(1) && this.#askOne(anyPeer) !== null);
  }

  /** Asks for the most urgent chunk that one of these peers takes; null when there is none. */
  #askOne(among: (peer: Peer) => boolean): Peer | null {
    for (const priority of BACKGROUND) {
      const disks = [...this.wants.disks.values()].sort((a, b) => a.servedBytes - b.servedBytes);
      for (const disk of disks) {
        this.wants.refill(disk, priority);
        if (disk.queue(priority).length === 0) continue;
        const picked = this.#pick(disk, priority, among);
        if (picked === 'noCredit') return null;
        if (picked === null) continue;
        disk.queue(priority).own(picked.entry, picked.choice.peer);
        disk.servedBytes += picked.entry.want.lengthBytes;
        this.ask(picked.entry, picked.choice, 'bulk');
        return picked.choice.peer;
      }
    }
    return null;
  }

  /** The first chunk of a queue that somebody takes; one of another peer's run only when there is nothing else. */
  #pick(disk: DiskState, priority: Priority, among: (peer: Peer) => boolean): Picked | 'noCredit' | null {
    const queue = disk.queue(priority);
    let second: Picked | null = null;
    let seen = 0;
    for (let index = 0; seen < SCHEDULER_LIMITS.scan && index < SCHEDULER_LIMITS.skim; ) {
      const entry = queue.at(index);
      if (entry === undefined) break;
      const { lengthBytes } = entry.want;
      if (!this.ledger.takesBackground(lengthBytes)) return second ?? 'noCredit';
      // Chunks of a disk are of one size: when no peer takes one, none takes the next.
      if (index === 0 && !this.ledger.someoneTakes(lengthBytes)) break;
      if (second !== null && second.entry.rarity < entry.rarity) break;
      if (this.#isBlocked(entry, among)) {
        index++;
        continue;
      }
      seen++;
      const owner = priority === PRIORITY.bulk ? queue.ownerOf(entry) : undefined;
      const verdict = chooseForBackground(entry, this.wants.holdersOf(entry), this.nowUs, among);
      if (verdict === 'nobody') {
        this.#park(entry);
        continue;
      }
      index++;
      if (verdict === 'blocked') continue;
      if (owner === undefined || owner === verdict.peer || owner.late) return { entry, choice: verdict };
      second ??= { entry, choice: verdict };
    }
    return second;
  }

  /** Peers have it, and none of them has credit: known without looking at what each says of it. */
  #isBlocked(entry: Entry, among: (peer: Peer) => boolean): boolean {
    const holders = this.wants.holdersOf(entry);
    for (const { peer } of holders) if (peer.takesBackground(entry.want.lengthBytes) && among(peer)) return false;
    return holders.length > 0;
  }

  #park(entry: Entry): void {
    this.wants.park(entry);
    if (!entry.toldUnavailable) this.effects.push({ type: 'unavailable', key: entry.want.key });
    entry.toldUnavailable = true;
  }

  /** Asks a peer for a chunk. The caller has checked that it may be asked, and that there is credit. */
  ask(entry: Entry, { peer }: Choice, lane: Lane): void {
    const expectedUs = peer.expectedUs(entry.want.lengthBytes);
    const measured = !entry.asked.has(peer.id);
    const times = { sentAtUs: this.nowUs, expectedUs, lookedAtUs: this.nowUs };
    const request: Request = { entry, peer, lane, ...times, measured, late: false };
    entry.asked.add(peer.id);
    // Who rejects or stalls is tried again and again: that is the same outage, told once.
    if (entry.excluded.size === 0) entry.toldUnavailable = false;
    this.wants.asked(entry);
    this.ledger.add(request);
    this.effects.push({ type: 'request', peer: peer.id, want: entry.want, lane });
    if (lane === 'bulk') this.watch(peer);
    else this.alarms.set(this.nowUs + peer.model.lateAfterUs(expectedUs), { kind: 'late', request });
  }

  /** Takes a request back; what it waited in vain still says something about the peer. */
  cancel(request: Request): void {
    const waitedUs = this.nowUs - request.sentAtUs;
    if (waitedUs > request.expectedUs) request.peer.model.learnError(waitedUs, request.expectedUs);
    this.ledger.remove(request, this.nowUs);
    this.effects.push({ type: 'cancel', peer: request.peer.id, key: request.entry.want.key });
  }

  /** Leaves a peer out for this chunk: 250 ms, then twice as long each time. */
  exclude(entry: Entry, peer: Peer): void {
    const certainty = this.wants.holdersOf(entry).find((holder) => holder.peer === peer)?.certainty ?? 'unknown';
    const before = entry.excluded.get(peer.id);
    const backoffUs = before === undefined ? PATIENCE.retryUs : Math.min(PATIENCE.retryMaxUs, 2 * before.backoffUs);
    entry.excluded.set(peer.id, { untilUs: this.nowUs + backoffUs, backoffUs, certainty });
    this.#setRetry(entry);
  }

  /** A peer may be asked for this chunk again. */
  retry(entry: Entry): void {
    entry.retrying = false;
    if (this.wants.entries.get(entry.want.key) !== entry) return;
    if (entry.place === 'parked') this.wants.wait(entry);
    this.#setRetry(entry);
  }

  #setRetry(entry: Entry): void {
    if (entry.retrying) return;
    let nextUs = Number.POSITIVE_INFINITY;
    for (const { untilUs } of entry.excluded.values()) if (untilUs > this.nowUs) nextUs = Math.min(nextUs, untilUs);
    if (nextUs === Number.POSITIVE_INFINITY) return;
    entry.retrying = true;
    this.alarms.set(nextUs, { kind: 'retry', entry });
  }

  /** A request ended without its chunk: wait, unless it is still under way elsewhere. */
  waitAgain(entry: Entry): void {
    if (entry.requests.size === 0) this.wants.wait(entry);
  }

  /** The chunk came, or nobody wants it: ends what is under way for it. */
  finish(entry: Entry): void {
    for (const request of [...entry.requests.values()]) this.cancel(request);
    this.wants.remove(entry);
  }

  /** Sets the alarm for the first background request of a peer that could stall. */
  watch(peer: Peer): void {
    if (peer.watched || this.ledger.peers.get(peer.id) !== peer) return;
    let firstUs = Number.POSITIVE_INFINITY;
    for (const request of peer.requests.values()) {
      if (request.lane === 'bulk') firstUs = Math.min(firstUs, this.stallsAtUs(request));
    }
    if (firstUs === Number.POSITIVE_INFINITY) return;
    peer.watched = true;
    this.alarms.set(firstUs, { kind: 'stalled', peer });
  }

  /** When a background request counts as stalled. */
  stallsAtUs({ lookedAtUs, expectedUs }: Request): number {
    return lookedAtUs + Math.max(PATIENCE.stallFloorUs, PATIENCE.stallFactor * expectedUs);
  }
}
