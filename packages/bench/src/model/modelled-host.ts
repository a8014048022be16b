/**
 * A modelled host that boots: the shipped scheduler decides what is asked of whom, everything around it is this model's.
 *
 * As in the agent, with its figures: a guest's reads are faults; beside them the background wants all of the disk in the order of its
 * pieces (background-fetch.ts), or, for a clone, what guests of other clones touched (template-prefetch.ts); what came is told to peers
 * 200 ms later, after its sync (piece-intake.ts); a clone's host fetches for others what it lacks (pass-on.ts). Left out: verifying and
 * storing, the manifest's pages, compression, losses.
 */
import { type ChunkId, type DiskId, type HostId, type PieceIndex, PRIORITY, type Random } from '@diskswarm/core';
import { type Effect, type Holder, Scheduler, type SchedulerEvent, type Want } from '@diskswarm/scheduler';
import type { BootTrace } from './boot-trace.ts';
import { CloneSources } from './clone-sources.ts';
import type { Cores } from './cores.ts';
import type { Job, Sender } from './sender.ts';
import type { Timeline } from './timeline.ts';
import type { Units } from './units.ts';

/** Pieces that the background has open at once: of a whole disk, and of what others touched. */
const WINDOW = { disk: 512, clone: 32 };
/** From a chunk's arrival until peers are told. */
const CLAIM_US = 200_000;
/** Pieces that are fetched for others at a time, and how long. */
const MAX_PASSED_ON = 256;
const PASS_ON_US = 10_000_000;
/** So many touches are told to others, and every doubling of them. */
const FIRST_SHARED_TOUCHES = 16;
const DISK = 'd'.repeat(64) as DiskId;
const ROOT = 'f'.repeat(64) as ChunkId;

/** `disk`: each host fetches a disk that all of them share, whole; `clone`: each has a clone of one template and fetches what it touches. */
export type Way = 'disk' | 'clone';

/** A host as those who are connected see it. */
export interface ModelledPeer {
  readonly id: HostId;
  /** One way. */
  readonly delayUs: number;
  /** By unit: 1 for what it told that it has. */
  readonly claimed: Uint8Array;
  /** A request came. */
  serve(request: ChunkRequest): void;
}

export interface ChunkRequest extends Job {
  readonly unit: number;
  readonly asker: HostId;
  /** It will not be served. */
  readonly reject: () => void;
}

/** The same for all hosts of a model. */
export interface ModelledWorld {
  readonly way: Way;
  readonly timeline: Timeline;
  readonly units: Units;
  /** By unit; shared, because there are many. */
  readonly wants: {
    readonly fault: readonly Want[];
    readonly workingSet: readonly Want[];
    readonly bulk: readonly Want[];
  };
  readonly trace: BootTrace;
  readonly cores: Cores;
  readonly downBytesPerUs: number;
  /** What peers tell is taken up together after so long; 0: at once. */
  readonly hearUs: number;
}

/** The first eight digits are spread over all values, as those of real hosts are. */
export function hostIdOf(number: number): HostId {
  return (Math.imul(number + 1, 0x9e3779b1) >>> 0).toString(16).padStart(8, '0') as HostId;
}

/** All kinds of wants for every unit. */
export function wantsOf(units: Units): ModelledWorld['wants'] {
  const of = (priority: Want['priority']): readonly Want[] =>
    units.all.map(({ piece, lengthBytes }, unit) => {
      const place = { disk: DISK, root: ROOT, piece: piece as PieceIndex };
      return { key: String(unit), ...place, lengthBytes, priority, order: 0 };
    });
  return { fault: of(PRIORITY.fault), workingSet: of(PRIORITY.workingSet), bulk: of(PRIORITY.bulk) };
}

export class ModelledHost implements ModelledPeer {
  readonly id: HostId;
  readonly delayUs: number;
  readonly claimed: Uint8Array;
  readonly sender: Sender;
  readonly #number: number;
  readonly #world: ModelledWorld;
  readonly #peers = new Map<HostId, { readonly peer: ModelledPeer; readonly holder: Holder }>();
  /** Connected hosts that fetch too. */
  readonly #fellows: ModelledHost[] = [];
  /** Null where a whole disk is fetched. */
  readonly #sources: CloneSources | null;
  readonly #scheduler: Scheduler;
  readonly #has: Uint8Array;
  readonly #events: SchedulerEvent[] = [];
  /** Under way, by peer and unit. */
  readonly #asked = new Map<string, ChunkRequest>();
  /** What the background has open. */
  readonly #open = new Set<number>();
  /** What the guest waits for. */
  readonly #awaited = new Set<number>();
  /** What others wait for here. */
  readonly #passedOn = new Map<number, ChunkRequest[]>();
  /** Requests of these. */
  #passing = 0;
  /** What the background is to fetch. */
  #wanted: readonly number[] = [];
  #next = 0;
  /** What takes its place once all of it is open. */
  #wantedLater: readonly number[] | null = null;
  /** What guests touched, own touches first. */
  #known: readonly number[] = [];
  readonly #touched = new Set<number>();
  /** What peers were not told of yet. */
  #fresh: number[] = [];
  #telling = false;
  #timer = 0;
  #step = 0;
  #downFreeUs = 0;
  #hearing = false;
  #missing: number;
  #beganUs = 0;
  /** From its beginning; null until then. */
  loginUs: number | null = null;
  wholeUs: number | null = null;
  /** Chunk bytes that came, wasted ones among them. */
  receivedBytes = 0;
  /** Of these, what came from elsewhere before. */
  wastedBytes = 0;

  constructor(
    number: number,
    world: ModelledWorld,
    { sender, delayUs, random }: { sender: Sender; delayUs: number; random: Random },
  ) {
    const count = world.units.all.length;
    this.#number = number;
    this.id = hostIdOf(number);
    this.sender = sender;
    this.delayUs = delayUs;
    this.#world = world;
    this.claimed = new Uint8Array(count);
    this.#has = new Uint8Array(count);
    this.#missing = count;
    this.#scheduler = new Scheduler({ random, whoHas: (want) => this.#whoHas(want) });
    const changed = (peer: HostId): void => this.#tell({ type: 'claims', peer, disk: DISK });
    const { units, timeline } = world;
    const { chunkBytes, present } = world.trace;
    const shared = { self: this.id, disk: DISK, chunkBytes, pieces: present.length, timeline, changed };
    this.#sources = world.way === 'clone' ? new CloneSources({ ...shared, unitOf: (piece) => units.of(piece) }) : null;
  }

  /** Its guest is up and, for a whole disk, everything is here. */
  get done(): boolean {
    return this.loginUs !== null && (this.#world.way === 'clone' || this.wholeUs !== null);
  }

  /** Since when it is done. */
  get doneUs(): number {
    return this.#beganUs + Math.max(this.loginUs!, this.#world.way === 'disk' ? this.wholeUs! : 0);
  }

  /** They are connected; `fellow` is the peer where that fetches too. */
  connect(peer: ModelledPeer, fellow: ModelledHost | null): void {
    this.#peers.set(peer.id, { peer, holder: { peer: peer.id, certainty: 'has' } });
    this.#sources?.connect(peer.id, 2 * peer.delayUs, peer.claimed, fellow === null);
    if (fellow !== null) this.#fellows.push(fellow);
    this.#tell({ type: 'peerUp', peer: peer.id });
  }

  /** Boots, and fetches the rest. */
  begin(): void {
    this.#beganUs = this.#world.timeline.nowUs;
    this.#goOn();
    if (this.#world.way === 'disk') this.#fetch(Array.from(this.#has.keys()));
  }

  /** A peer has these now, and says so. */
  hear(peer: ModelledPeer, units: readonly number[]): void {
    // Who lacks none of them learns nothing that the scheduler would act on.
    if (this.#hearing || units.every((unit) => this.#has[unit] === 1)) return;
    this.#hearing = true;
    this.#world.timeline.after(peer.delayUs + this.#world.hearUs, () => {
      this.#hearing = false;
      this.#tell({ type: 'claims', peer: peer.id, disk: DISK });
    });
  }

  /** The guest of another clone touched these, in this order. */
  takeTrace(units: readonly number[]): void {
    this.#known = units;
    this.#fetch(units.filter((unit) => this.#has[unit] === 0));
  }

  serve(request: ChunkRequest): void {
    const { unit, lane, asker } = request;
    if (this.#has[unit] === 1) {
      this.sender.add(request);
      return;
    }
    if (this.#passing >= MAX_PASSED_ON || !this.#isHeldElsewhere(unit, asker)) {
      request.reject();
      return;
    }
    this.#passing++;
    const waiting = this.#passedOn.get(unit);
    if (waiting === undefined) this.#passedOn.set(unit, [request]);
    else waiting.push(request);
    const { wants, timeline } = this.#world;
    this.#tell({ type: 'want', want: (lane === 'fault' ? wants.fault : wants.workingSet)[unit]! });
    const late = (): void => {
      this.#passing--;
      const left = this.#passedOn.get(unit)!.filter((each) => each !== request);
      if (left.length > 0) this.#passedOn.set(unit, left);
      else this.#passedOn.delete(unit);
      if (left.length === 0 && !this.#awaited.has(unit) && !this.#open.has(unit))
        this.#tell({ type: 'giveUp', key: String(unit) });
      request.reject();
    };
    timeline.at(timeline.nowUs + PASS_ON_US, late, () => this.#passedOn.get(unit)?.includes(request) === true);
  }

  #whoHas({ piece }: Want): readonly Holder[] {
    if (this.#sources !== null) return this.#sources.holders(piece);
    const unit = this.#world.units.of(piece);
    const holders: Holder[] = [];
    for (const { peer, holder } of this.#peers.values()) if (peer.claimed[unit] === 1) holders.push(holder);
    return holders;
  }

  #isHeldElsewhere(unit: number, asker: HostId): boolean {
    for (const { peer } of this.#peers.values()) if (peer.claimed[unit] === 1 && peer.id !== asker) return true;
    return false;
  }

  #goOn(): void {
    const { trace, cores, timeline } = this.#world;
    const step = trace.steps[this.#step];
    cores.busy(step === undefined ? trace.restUs : step.thinkUs, () => {
      if (step === undefined) this.loginUs = timeline.nowUs - this.#beganUs;
      else this.#touch(step.pieces);
    });
  }

  #touch(pieces: readonly number[]): void {
    this.#step++;
    const { units, wants } = this.#world;
    for (const unit of pieces.map((piece) => units.of(piece))) {
      this.#touched.add(unit);
      if (this.#sources !== null) this.#shareTrace();
      if (this.#has[unit] === 1) continue;
      this.#awaited.add(unit);
      this.#tell({ type: 'want', want: wants.fault[unit]! });
    }
    if (this.#awaited.size === 0) this.#goOn();
  }

  #shareTrace(): void {
    const { size } = this.#touched;
    if (size < FIRST_SHARED_TOUCHES || !Number.isInteger(Math.log2(size))) return;
    this.#known = [...new Set([...this.#touched, ...this.#known])];
    const units = this.#known;
    for (const fellow of this.#fellows) this.#world.timeline.after(this.delayUs, () => fellow.takeTrace(units));
  }

  #fetch(units: readonly number[]): void {
    if (this.#next < this.#wanted.length) {
      this.#wantedLater = units;
      return;
    }
    this.#wanted = units;
    this.#next = 0;
    this.#wantMore();
  }

  #wantMore(): void {
    const { way, wants } = this.#world;
    const kind = way === 'disk' ? wants.bulk : wants.workingSet;
    while (this.#open.size < WINDOW[way] && this.#next < this.#wanted.length) {
      const unit = this.#wanted[this.#next++]!;
      if (this.#has[unit] === 1 || this.#open.has(unit)) continue;
      this.#open.add(unit);
      this.#tell({ type: 'want', want: kind[unit]! });
    }
    if (this.#next < this.#wanted.length || this.#wantedLater === null) return;
    const later = this.#wantedLater;
    this.#wantedLater = null;
    this.#fetch(later);
  }

  /** Events one at a time: what an effect causes waits until the effects before it are done. */
  #tell(event: SchedulerEvent): void {
    this.#events.push(event);
    if (this.#telling) return;
    this.#telling = true;
    for (let next = this.#events.shift(); next !== undefined; next = this.#events.shift()) {
      for (const effect of this.#scheduler.apply(next, this.#world.timeline.nowUs)) this.#perform(effect);
    }
    this.#telling = false;
  }

  #perform(effect: Effect): void {
    const { timeline } = this.#world;
    if (effect.type === 'timer') {
      const mine = ++this.#timer;
      const ring = (): void => this.#tell({ type: 'timer' });
      // With everything here it could only look after nothing.
      timeline.at(effect.atUs, ring, () => mine === this.#timer && this.#missing > 0);
    } else if (effect.type === 'request') {
      this.#ask(this.#peers.get(effect.peer)!.peer, effect.want, effect.lane);
    } else if (effect.type === 'cancel') {
      const { peer } = this.#peers.get(effect.peer)!;
      const key = `${peer.id}/${effect.key}`;
      const request = this.#asked.get(key);
      this.#asked.delete(key);
      if (request !== undefined) timeline.after(peer.delayUs, () => (request.cancelled = true));
    }
  }

  #ask(peer: ModelledPeer, { key, lengthBytes }: Want, lane: Job['lane']): void {
    const { timeline, downBytesPerUs } = this.#world;
    const { delayUs } = peer;
    const take = (): void => this.#take(peer, request);
    const request: ChunkRequest = {
      ...{ to: this.#number, asker: this.id, unit: Number(key), lane, lengthBytes, delayUs, cancelled: false },
      arrive: () => {
        // Both lines pass the chunk on as it comes: it is here once the slower of them has carried it.
        this.#downFreeUs = Math.max(timeline.nowUs, this.#downFreeUs + lengthBytes / downBytesPerUs);
        if (this.#downFreeUs === timeline.nowUs) take();
        else timeline.at(this.#downFreeUs, take);
      },
      reject: () => timeline.after(delayUs, () => this.#rejected(peer, request)),
    };
    this.#asked.set(`${peer.id}/${key}`, request);
    timeline.after(delayUs, () => peer.serve(request));
  }

  #rejected(peer: ModelledPeer, request: ChunkRequest): void {
    const key = String(request.unit);
    if (this.#asked.get(`${peer.id}/${key}`) !== request) return;
    this.#asked.delete(`${peer.id}/${key}`);
    const { piece } = this.#world.units.all[request.unit]!;
    if (this.#sources?.rejected(piece as PieceIndex, peer.id) === true)
      this.#tell({ type: 'claims', peer: peer.id, disk: DISK });
    this.#tell({ type: 'rejected', peer: peer.id, key });
  }

  #take(peer: ModelledPeer, request: ChunkRequest): void {
    const { timeline } = this.#world;
    const { unit, lengthBytes } = request;
    const key = String(unit);
    this.receivedBytes += lengthBytes;
    if (this.#asked.get(`${peer.id}/${key}`) !== request) {
      this.wastedBytes += lengthBytes;
      return;
    }
    this.#asked.delete(`${peer.id}/${key}`);
    this.#has[unit] = 1;
    this.#missing--;
    if (this.#missing === 0) this.wholeUs = timeline.nowUs - this.#beganUs;
    this.#tell({ type: 'arrived', peer: peer.id, key });
    this.#fresh.push(unit);
    if (this.#fresh.length === 1) timeline.after(CLAIM_US, () => this.#claim());
    const waiting = this.#passedOn.get(unit) ?? [];
    this.#passedOn.delete(unit);
    this.#passing -= waiting.length;
    for (const each of waiting) this.sender.add(each);
    if (this.#open.delete(unit)) this.#wantMore();
    if (this.#awaited.delete(unit) && this.#awaited.size === 0) this.#goOn();
  }

  #claim(): void {
    const units = this.#fresh;
    this.#fresh = [];
    for (const unit of units) this.claimed[unit] = 1;
    for (const fellow of this.#fellows) fellow.hear(this, units);
  }
}
