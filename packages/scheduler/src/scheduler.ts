/**
 * The state machine: events in, effects out (design D10). Decides order, credit, lateness and blame; sends nothing.
 *
 * Order: faults as they come; then seal remainders, working set and bulk, disks in fair turns by bytes, as long as both
 * the host's and the peer's credit take one more. A fault that is late (see response-model) is asked elsewhere too, of
 * three peers at most, the first answer wins; background that stalls (10 × expected, 2 s at least) goes to another peer.
 * Whoever nobody can replace is waited for: no error comes from here, ever.
 * Invariants: one request per chunk and peer; background is asked for within credit only; every entry is in one place.
 */
import type { DiskId, HostId, Priority, Random } from '@diskswarm/core';
import { Bans } from './bans.ts';
import type { DiskState } from './disk-state.ts';
import { type Alarm, Dispatch } from './dispatch.ts';
import { Lateness } from './lateness.ts';
import { Ledger } from './ledger.ts';
import { PATIENCE, SCHEDULER_LIMITS } from './limits.ts';
import type { Effect, Holder, SchedulerEvent, SchedulerSnapshot, Want, WantFeed } from './messages.ts';
import { Peer } from './peer.ts';
import { Wants } from './wants.ts';

export interface SchedulerOptions {
  /** Who may be asked for a chunk; answers at once, and its changes are announced by `claims`. */
  readonly whoHas: (want: Want) => Iterable<Holder>;
  /** A round trip to a peer, for guessing what one takes that was asked for nothing yet; null when unknown. @default unknown */
  readonly roundTripUs?: (peer: HostId) => number | null;
  /** Breaks ties between peers that look the same. */
  readonly random: Random;
  /** @default SCHEDULER_LIMITS.wants */
  readonly maxWants?: number;
}

export class Scheduler {
  readonly #random: Random;
  readonly #roundTripUs: (peer: HostId) => number | null;
  readonly #ledger = new Ledger();
  readonly #wants: Wants;
  readonly #dispatch: Dispatch;
  readonly #lateness: Lateness;
  readonly #bans = new Bans();
  #timerUs = Number.POSITIVE_INFINITY;

  constructor({ whoHas, roundTripUs = () => null, random, maxWants = SCHEDULER_LIMITS.wants }: SchedulerOptions) {
    this.#random = random;
    this.#roundTripUs = roundTripUs;
    this.#wants = new Wants({ whoHas, peers: this.#ledger.peers, maxWants });
    this.#dispatch = new Dispatch(this.#ledger, this.#wants);
    this.#lateness = new Lateness(this.#dispatch);
  }

  /** Takes one event and says what to do. Time never runs back: an earlier `nowUs` counts as the latest seen. */
  apply(event: SchedulerEvent, nowUs: number): Effect[] {
    const dispatch = this.#dispatch;
    const effects: Effect[] = [];
    dispatch.nowUs = Math.max(dispatch.nowUs, nowUs);
    dispatch.effects = effects;
    if (event.type === 'timer') this.#timerUs = Number.POSITIVE_INFINITY;
    else this.#take(event);
    for (;;) {
      const alarm = dispatch.alarms.takeDue(dispatch.nowUs);
      if (alarm === undefined) break;
      this.#ring(alarm);
    }
    dispatch.askFaults();
    dispatch.askBackground();
    if (dispatch.alarms.nextUs < this.#timerUs) {
      this.#timerUs = dispatch.alarms.nextUs;
      effects.push({ type: 'timer', atUs: this.#timerUs });
    }
    return effects;
  }

  /** What is wanted, under way and measured now. */
  snapshot(): SchedulerSnapshot {
    return {
      wants: this.#wants.entries.size,
      ...this.#wants.counts(),
      backgroundBytes: this.#ledger.backgroundBytes,
      faultBytes: this.#ledger.faultBytes,
      creditBytes: this.#ledger.credit.bytes,
      peers: Array.from(this.#ledger.peers.values(), (peer) => ({
        peer: peer.id,
        requests: peer.requests.size,
        backgroundBytes: peer.backgroundBytes,
        faultBytes: peer.faultBytes,
        creditBytes: peer.credit.bytes,
        bytesPerSecond: peer.model.bytesPerSecond,
        baseUs: peer.model.shortestUs,
        late: peer.late,
        far: peer.far,
      })),
    };
  }

  /** What the link to a peer carried lately, by chunks that came right behind each other; null before enough of them did. */
  linkBytesPerSecondOf(peer: HostId): number | null {
    return this.#ledger.peers.get(peer)?.model.linkBytesPerSecond ?? null;
  }

  #take(event: Exclude<SchedulerEvent, { type: 'timer' }>): void {
    switch (event.type) {
      case 'want':
        this.#want(event.want);
        break;
      case 'raisePriority':
        this.#raise(event.key, event.priority);
        break;
      case 'giveUp':
        this.#giveUp(event.key);
        break;
      case 'feed':
        this.#wants.addFeed(event.feed);
        break;
      case 'feedMore':
        this.#wants.moreFrom(event.feed);
        break;
      case 'feedEnd':
        this.#endFeed(event.feed);
        break;
      case 'peerUp':
        this.#peerUp(event.peer);
        break;
      case 'peerDown':
        this.#peerDown(event.peer);
        break;
      case 'claims':
        this.#changed(event.disk);
        break;
      case 'choked':
        this.#ledger.peers.get(event.peer)?.choked.add(event.disk);
        break;
      case 'unchoked':
        this.#ledger.peers.get(event.peer)?.choked.delete(event.disk);
        this.#lateness.tryElsewhere();
        break;
      case 'unban':
        this.#unban(event.peer);
        break;
      case 'shared':
        this.#share(event.peer, event.on);
        break;
      case 'arrived':
        this.#arrived(event.peer, event.key, event.lengthBytes);
        break;
      case 'corrupt':
        this.#corrupt(event.peer, event.key);
        break;
      case 'rejected':
        this.#rejected(event.peer, event.key);
        break;
    }
  }

  #want(want: Want): void {
    const before = this.#wants.entries.get(want.key)?.priority;
    const entry = this.#wants.name(want);
    if (before !== undefined && entry.priority < before) this.#lateness.raised(entry);
  }

  #raise(key: string, priority: Priority): void {
    const entry = this.#wants.entries.get(key);
    if (entry === undefined || priority >= entry.priority) return;
    this.#wants.prioritise(entry, priority);
    this.#lateness.raised(entry);
  }

  #giveUp(key: string): void {
    const entry = this.#wants.entries.get(key);
    if (entry === undefined) return;
    if (entry.feed === null) {
      this.#dispatch.finish(entry);
    } else {
      this.#wants.unname(entry);
      this.#wants.prioritise(entry, entry.feed.feed.priority);
    }
  }

  #endFeed(feed: WantFeed): void {
    const state = this.#wants.feedState(feed);
    if (state === undefined) return;
    for (const entry of [...state.entries]) {
      if (entry.named) this.#wants.detach(entry);
      else this.#dispatch.finish(entry);
    }
    this.#wants.removeFeed(state);
  }

  #peerUp(id: HostId): void {
    if (this.#ledger.peers.has(id)) return;
    const peer = new Peer(id, this.#random.below(2 ** 32), this.#roundTripUs);
    peer.bannedUntilUs = this.#bans.untilUs(id);
    if (peer.bannedUntilUs > this.#dispatch.nowUs)
      this.#dispatch.alarms.set(peer.bannedUntilUs, { kind: 'banEnds', peer });
    this.#ledger.peers.set(id, peer);
    this.#dispatch.calibration.hurry();
    this.#changed();
  }

  #peerDown(id: HostId): void {
    const peer = this.#ledger.peers.get(id);
    if (peer === undefined) return;
    this.#ledger.share(peer, false);
    this.#ledger.peers.delete(id);
    this.#wants.availabilityChanged();
    this.#wants.disown(peer);
    for (const request of [...peer.requests.values()]) {
      this.#ledger.remove(request, this.#dispatch.nowUs);
      this.#dispatch.waitAgain(request.entry);
    }
  }

  #share(id: HostId, on: boolean): void {
    const peer = this.#ledger.peers.get(id);
    if (peer !== undefined) this.#ledger.share(peer, on);
  }

  #unban(id: HostId): void {
    this.#bans.remove(id);
    const peer = this.#ledger.peers.get(id);
    if (peer === undefined || peer.bannedUntilUs === 0) return;
    peer.bannedUntilUs = 0;
    this.#changed();
  }

  #arrived(id: HostId, key: string, lengthBytes = this.#wants.entries.get(key)?.want.lengthBytes ?? 0): void {
    const entry = this.#wants.entries.get(key);
    const request = entry?.requests.get(id);
    const quicker = request !== undefined && this.#ledger.answered(request, lengthBytes, this.#dispatch.nowUs);
    if (quicker) this.#dispatch.calibration.hurry();
    if (entry !== undefined) this.#dispatch.finish(entry);
  }

  #corrupt(id: HostId, key: string): void {
    const untilUs = this.#bans.add(id, this.#dispatch.nowUs);
    const peer = this.#ledger.peers.get(id);
    if (peer !== undefined) {
      peer.bannedUntilUs = untilUs;
      this.#dispatch.alarms.set(untilUs, { kind: 'banEnds', peer });
      this.#wants.disown(peer);
      for (const request of [...peer.requests.values()]) {
        if (request.entry.want.key === key) this.#ledger.remove(request, this.#dispatch.nowUs);
        else this.#dispatch.cancel(request);
        this.#dispatch.waitAgain(request.entry);
      }
    }
    this.#dispatch.effects.push({ type: 'ban', peer: id, untilUs, reason: 'corrupt' });
  }

  #rejected(id: HostId, key: string): void {
    const entry = this.#wants.entries.get(key);
    const request = entry?.requests.get(id);
    if (entry === undefined || request === undefined) return;
    this.#ledger.remove(request, this.#dispatch.nowUs);
    this.#dispatch.exclude(entry, request.peer);
    this.#dispatch.waitAgain(entry);
  }

  #ring(alarm: Alarm): void {
    switch (alarm.kind) {
      case 'late':
        this.#lateness.late(alarm.request);
        break;
      case 'stalled':
        this.#lateness.stalled(alarm.peer);
        break;
      case 'retry':
        this.#dispatch.retry(alarm.entry);
        break;
      case 'unpark':
        alarm.disk.unparking = false;
        this.#unpark(alarm.disk);
        break;
      case 'banEnds':
        if (alarm.peer.bannedUntilUs <= this.#dispatch.nowUs) this.#changed();
        break;
      case 'goOn':
        break; // Background is looked at after every event.
    }
  }

  /** Peers came, or claim something else: what was unavailable may not be. */
  #changed(id?: DiskId): void {
    const disks = id === undefined ? [...this.#wants.disks.values()] : [this.#wants.disks.get(id)];
    if (id === undefined) this.#wants.availabilityChanged();
    for (const disk of disks) {
      if (disk === undefined) continue;
      if (id !== undefined) this.#wants.availabilityChanged(disk);
      disk.toUnpark = disk.parked.size;
      for (const entry of [...disk.parkedFaults]) this.#wants.wait(entry);
      if (!disk.unparking) this.#unpark(disk);
    }
    this.#lateness.tryElsewhere();
  }

  #unpark(disk: DiskState): void {
    let left = Math.min(disk.toUnpark, SCHEDULER_LIMITS.unparkAtOnce);
    disk.toUnpark -= left;
    for (const entry of disk.parked) {
      if (left-- === 0) break;
      this.#wants.wait(entry);
    }
    if (disk.toUnpark === 0 || disk.parked.size === 0) return;
    disk.unparking = true;
    this.#dispatch.alarms.set(this.#dispatch.nowUs + PATIENCE.unparkUs, { kind: 'unpark', disk });
  }
}
