/**
 * A modelled network around one scheduler, in virtual time: peers with an uplink and a distance, one downlink that they
 * share, 16 KiB frames. A peer serves faults before bulk, frame by frame; what has left it cannot be overtaken: the
 * downlink is one queue, first in first out. It checks the scheduler's promises at every effect.
 */
import type { HostId } from '@diskswarm/core';
import {
  type Effect,
  type Holder,
  SCHEDULER_LIMITS,
  Scheduler,
  type SchedulerEvent,
  type Want,
} from '../../src/index.ts';
import { CHUNK } from './names.ts';
import { seededRandom } from './seeded-random.ts';

const FRAME = 16_384;

export interface PeerModel {
  readonly oneWayUs: number;
  readonly upBytesPerUs: number;
  has(want: Want): boolean;
  /** How long a request waits there until it is looked at, or its answer here: a busy machine. */
  delayUs?(nowUs: number): number;
  certainty?: 'has' | 'unknown';
  behaviour?: 'serve' | 'reject' | 'corrupt' | 'silent';
}

interface Job {
  readonly want: Want;
  readonly lane: 'fault' | 'bulk';
  leftBytes: number;
  cancelled: boolean;
}

interface ModelledPeer {
  readonly model: PeerModel;
  up: boolean;
  life: number;
  readonly jobs: Job[];
  sending: boolean;
  readonly asked: Map<string, Job>;
}

export interface Delivery {
  readonly peer: HostId;
  readonly key: string;
  readonly atUs: number;
}

export class Network {
  readonly scheduler: Scheduler;
  readonly peers = new Map<HostId, ModelledPeer>();
  readonly deliveries: Delivery[] = [];
  readonly log: Effect[] = [];
  readonly broken: string[] = [];
  nowUs = 0;
  downlinkBusyUs = 0;
  onArrived: (key: string) => void = () => {};
  readonly #downBytesPerUs: number;
  #freeAtUs = 0;
  #timer = 0;
  #sequence = 0;
  #events: { atUs: number; sequence: number; run: () => void }[] = [];

  constructor({ downBytesPerUs, seed = 1 }: { downBytesPerUs: number; seed?: number }) {
    this.#downBytesPerUs = downBytesPerUs;
    this.scheduler = new Scheduler({ whoHas: (want) => this.#whoHas(want), random: seededRandom(seed) });
  }

  addPeer(peer: HostId, model: PeerModel): void {
    this.peers.set(peer, { model, up: false, life: 0, jobs: [], sending: false, asked: new Map() });
    this.connect(peer);
  }

  connect(peer: HostId): void {
    this.peers.get(peer)!.up = true;
    this.apply({ type: 'peerUp', peer });
  }

  disconnect(id: HostId): void {
    const peer = this.peers.get(id)!;
    peer.up = false;
    peer.life++;
    peer.jobs.length = 0;
    peer.asked.clear();
    this.apply({ type: 'peerDown', peer: id });
  }

  apply(event: SchedulerEvent): void {
    for (const effect of this.scheduler.apply(event, this.nowUs)) {
      this.log.push(effect);
      this.#perform(effect);
      if (effect.type === 'request' && effect.lane === 'bulk') this.#checkCredit(effect.peer);
    }
  }

  /** Somebody else's bytes enter the downlink, until so much waits in it. */
  fillDownlink(queueUs: number): void {
    this.#freeAtUs = Math.max(this.#freeAtUs, this.nowUs + queueUs);
  }

  /** Bytes under way now, as the network sees it. */
  outstandingBytes(peers: Iterable<ModelledPeer> = this.peers.values()): number {
    let bytes = 0;
    for (const { asked } of peers) for (const { want } of asked.values()) bytes += want.lengthBytes;
    return bytes;
  }

  #checkCredit(id: HostId): void {
    const { creditBytes, peers } = this.scheduler.snapshot();
    const peer = this.peers.get(id)!;
    const host = this.outstandingBytes();
    if (host > Math.max(creditBytes, CHUNK)) this.broken.push(`${host} bytes under way, ${creditBytes} allowed`);
    const mine = this.outstandingBytes([peer]);
    const allowed = peers.find((snapshot) => snapshot.peer === id)!.creditBytes;
    if (mine > Math.max(allowed, CHUNK)) this.broken.push(`${mine} bytes under way at a peer, ${allowed} allowed`);
  }

  after(delayUs: number, run: () => void): void {
    this.#events.push({ atUs: this.nowUs + delayUs, sequence: this.#sequence++, run });
  }

  /** Runs until `untilUs`, or until nothing happens any more; true when something was left to happen. */
  run(untilUs: number, done: () => boolean = () => false): boolean {
    for (;;) {
      if (done()) return true;
      let first = 0;
      for (let index = 1; index < this.#events.length; index++) {
        const [a, b] = [this.#events[index]!, this.#events[first]!];
        if (a.atUs < b.atUs || (a.atUs === b.atUs && a.sequence < b.sequence)) first = index;
      }
      const event = this.#events[first];
      if (event === undefined) return false;
      if (event.atUs > untilUs) {
        this.nowUs = untilUs;
        return true;
      }
      this.#events[first] = this.#events.at(-1)!;
      this.#events.pop();
      this.nowUs = event.atUs;
      event.run();
    }
  }

  *#whoHas(want: Want): Iterable<Holder> {
    for (const [peer, { model, up }] of this.peers) {
      if (up && model.has(want)) yield { peer, certainty: model.certainty ?? 'has' };
    }
  }

  #perform(effect: Effect): void {
    if (effect.type === 'timer') {
      const mine = ++this.#timer;
      if (effect.atUs <= this.nowUs) this.broken.push('a timer in the past');
      this.after(effect.atUs - this.nowUs, () => {
        if (mine === this.#timer) this.apply({ type: 'timer' });
      });
    } else if (effect.type === 'request') {
      this.#request(effect.peer, effect.want, effect.lane);
    } else if (effect.type === 'cancel') {
      const job = this.peers.get(effect.peer)?.asked.get(effect.key);
      if (job === undefined) this.broken.push(`cancel of ${effect.key}, which is not under way`);
      this.peers.get(effect.peer)?.asked.delete(effect.key);
      if (job !== undefined) this.after(this.peers.get(effect.peer)!.model.oneWayUs, () => (job.cancelled = true));
    }
  }

  #request(id: HostId, want: Want, lane: 'fault' | 'bulk'): void {
    const peer = this.peers.get(id);
    if (peer === undefined || !peer.up) {
      this.broken.push('a request to nobody');
      return;
    }
    if (peer.asked.has(want.key)) this.broken.push(`${want.key} twice at one peer`);
    const job: Job = { want, lane, leftBytes: want.lengthBytes, cancelled: false };
    peer.asked.set(want.key, job);
    if (peer.asked.size > SCHEDULER_LIMITS.requestsPerPeer) this.broken.push('too many requests at one peer');
    const life = peer.life;
    this.after(peer.model.oneWayUs + (peer.model.delayUs?.(this.nowUs) ?? 0), () => {
      if (peer.life !== life) return;
      peer.jobs.push(job);
      this.#serve(id, peer);
    });
  }

  #serve(id: HostId, peer: ModelledPeer): void {
    if (peer.sending) return;
    const { behaviour = 'serve', oneWayUs, upBytesPerUs } = peer.model;
    while (peer.jobs[0]?.cancelled) peer.jobs.shift();
    const index = Math.max(
      0,
      peer.jobs.findIndex(({ lane }) => lane === 'fault'),
    );
    const job = peer.jobs[index];
    if (job === undefined || behaviour === 'silent') return;
    const life = peer.life;
    if (behaviour === 'reject' || job.cancelled) {
      peer.jobs.splice(index, 1);
      if (!job.cancelled) this.after(oneWayUs, () => peer.life === life && this.#end(id, peer, job, 'rejected'));
      this.#serve(id, peer);
      return;
    }
    const bytes = Math.min(FRAME, job.leftBytes);
    job.leftBytes -= bytes;
    const last = job.leftBytes === 0;
    if (last) peer.jobs.splice(index, 1);
    peer.sending = true;
    this.after(bytes / upBytesPerUs, () => {
      peer.sending = false;
      if (peer.life === life) this.after(oneWayUs, () => this.#downlink(id, peer, life, job, bytes, last));
      this.#serve(id, peer);
    });
  }

  #downlink(id: HostId, peer: ModelledPeer, life: number, job: Job, bytes: number, last: boolean): void {
    const startUs = Math.max(this.nowUs, this.#freeAtUs);
    this.#freeAtUs = startUs + bytes / this.#downBytesPerUs;
    this.downlinkBusyUs += bytes / this.#downBytesPerUs;
    if (!last) return;
    this.after(this.#freeAtUs - this.nowUs, () => {
      if (peer.life === life) this.#end(id, peer, job, peer.model.behaviour === 'corrupt' ? 'corrupt' : 'arrived');
    });
  }

  #end(id: HostId, peer: ModelledPeer, job: Job, type: 'arrived' | 'corrupt' | 'rejected'): void {
    const { key } = job.want;
    if (peer.asked.get(key) !== job) return;
    peer.asked.delete(key);
    if (type === 'arrived') this.deliveries.push({ peer: id, key, atUs: this.nowUs });
    this.apply({ type, peer: id, key });
    if (type === 'arrived') this.onArrived(key);
  }
}

/** Megabits per second in bytes per microsecond. */
export const mbit = (rate: number): number => rate / 8;

/** Chunks per second that a link of this rate carries. */
export const chunksPerSecond = (bytesPerUs: number): number => (bytesPerUs * 1e6) / CHUNK;

/** The value below which `fraction` of the values lie. */
export function percentile(values: readonly number[], fraction: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * fraction))] ?? Number.NaN;
}
