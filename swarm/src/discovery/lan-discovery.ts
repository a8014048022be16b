/**
 * Finds hosts of our disks on the same network segment: calls to everybody there, and knows the calls of members.
 *
 * Nothing is ever answered: who hears a member's call dials it, and there it proves itself as everywhere else. A call is heard
 * once, from the address it was made at, within an hour of its time; the wall clock serves to blind, never to trust. Work
 * for strangers' datagrams is bounded. The datagrams themselves are the segment's (transport/multicast-segment.ts).
 */
import {
  type Address,
  type Clock,
  type DiskId,
  DiskswarmError,
  formatAddress,
  type Random,
  type Timer,
  toHex,
} from '@diskswarm/core';
import { lanKeyOf } from '@diskswarm/identity';
import type { DiskMembership } from '../ports.ts';
import { decodeLanCall, encodeLanCall, LAN_NONCE_BYTES, type LanCall, lanTag, MAX_LAN_TAGS } from './lan-message.ts';

/** The network segments this host is on. */
export interface Segment {
  /** Begins to hear datagrams; `from` is the sender's address on the segment. ADDRESS_UNAVAILABLE. */
  open(onDatagram: (bytes: Uint8Array, from: string) => void): Promise<void>;
  /** Own addresses, one for each segment, as they are now: they change as the host moves. */
  hosts(): readonly string[];
  /** To everybody on the segment of an own address; what is lost is lost. */
  send(host: string, bytes: Uint8Array): void;
  /** Idempotent. */
  close(): Promise<void>;
}

export interface LanDiscoveryOptions {
  readonly segment: Segment;
  readonly clock: Clock;
  readonly random: Random;
  /** Where this host accepts connections. */
  readonly listenPort: number;
  onPeer(disk: DiskId, address: Address): void;
}

type Member = Pick<DiskMembership, 'disk' | 'secrets'>;

const HOUR_MS = 3_600_000;
/** Hours that the clocks of two hosts may be apart, and replays are possible. */
const HOURS_APART = 1;
/** Secrets of a disk that are called with and known: the current one and the one before. */
const MAX_LAN_SECRETS = 2;
/** Between two looks at our own addresses. */
const LOOK_INTERVAL_MS = 5_000;
/** Between two calls when nothing changes. */
const CALL_INTERVAL_MS = 30_000;
/** Calls after a change, because datagrams get lost. */
const FIRST_CALLS_MS = [0, 1_000, 4_000];
/** Tags computed for the datagrams of one second; what comes beyond is not looked at. */
const MAX_TAGS_PER_SECOND = 20_000;
/** Of these, for the datagrams of one sender. */
const MAX_TAGS_PER_SENDER = 4_000;
/** Calls that are remembered, ours and members', so that none counts twice; the oldest goes. */
const MAX_HEARD = 4_096;

export class LanDiscovery {
  readonly #options: LanDiscoveryOptions;
  readonly #members = new Map<DiskId, Member>();
  readonly #heard = new Set<string>();
  #looking: Timer | null = null;
  #calling: Timer[] = [];
  #hosts: readonly string[] = [];
  #calledUs = Number.NEGATIVE_INFINITY;
  /** Tags computed in this second, by sender. */
  #spent = new Map<string, number>();
  #spentTags = 0;
  #spentUs = Number.NEGATIVE_INFINITY;
  #running = false;

  constructor(options: LanDiscoveryOptions) {
    this.#options = options;
  }

  /** Begins to listen and to call; ADDRESS_UNAVAILABLE. */
  async start(): Promise<void> {
    await this.#options.segment.open((bytes, from) => this.#receive(bytes, from));
    this.#running = true;
    this.#look();
  }

  /** Idempotent. */
  async stop(): Promise<void> {
    this.#running = false;
    this.#looking?.cancel();
    for (const timer of this.#calling) timer.cancel();
    await this.#options.segment.close();
  }

  /** Calls for a disk from now on, at once. */
  addDisk(member: Member): void {
    this.#members.set(member.disk, member);
    this.callNow();
  }

  removeDisk(disk: DiskId): void {
    this.#members.delete(disk);
  }

  /** Calls at once, and twice more: a disk, a secret or an address is new. */
  callNow(): void {
    if (!this.#running) return;
    const { random } = this.#options;
    for (const timer of this.#calling) timer.cancel();
    // A moment's jitter, so that many hosts that start together do not call together.
    this.#calling = FIRST_CALLS_MS.map((delayMs) => this.#later(delayMs + random.below(200), () => this.#call()));
  }

  #look(): void {
    const before = this.#hosts;
    this.#hosts = this.#options.segment.hosts();
    const { clock, random } = this.#options;
    if (this.#hosts.some((host) => !before.includes(host))) this.callNow();
    else if (clock.nowUs() - this.#calledUs >= CALL_INTERVAL_MS * 1000) this.#call();
    this.#looking = this.#later(LOOK_INTERVAL_MS + random.below(1_000), () => this.#look());
  }

  #later(delayMs: number, run: () => void): Timer {
    return this.#options.clock.setTimer(delayMs, run, { background: true });
  }

  #call(): void {
    const { clock, random, segment, listenPort: port } = this.#options;
    this.#calledUs = clock.nowUs();
    const hour = this.#hour();
    const keys = [...this.#members.values()].flatMap((member) => keysOf(member, hour));
    // Where the calls are many, a busy hearer looks at the first ones only: each time at others.
    keys.unshift(...keys.splice(random.below(Math.max(1, keys.length))));
    for (const host of this.#hosts) {
      for (let first = 0; first < keys.length; first += MAX_LAN_TAGS) {
        const nonce = random.bytes(LAN_NONCE_BYTES);
        this.#remember(nonce);
        const tags = keys.slice(first, first + MAX_LAN_TAGS).map((key) => lanTag(key, host, { port, nonce }));
        segment.send(host, encodeLanCall({ hour, port, nonce, tags }, random));
      }
    }
  }

  #receive(bytes: Uint8Array, from: string): void {
    if (!this.#running) return;
    let call: LanCall;
    try {
      call = decodeLanCall(bytes);
    } catch (error) {
      if (error instanceof DiskswarmError) return;
      throw error;
    }
    if (Math.abs(call.hour - this.#hour()) > HOURS_APART || this.#heard.has(toHex(call.nonce)) || !this.#mayJudge(from))
      return;
    const said = new Set(call.tags.map(toHex));
    for (const member of [...this.#members.values()]) {
      const isMember = keysOf(member, call.hour).some((key) => said.has(toHex(lanTag(key, from, call))));
      if (!isMember) continue;
      this.#remember(call.nonce);
      this.#options.onPeer(member.disk, formatAddress(from, call.port));
    }
  }

  #hour(): number {
    return Math.min(0xffff_ffff, Math.max(0, Math.floor(this.#options.clock.wallMs() / HOUR_MS)));
  }

  /** Whether there is room for one more datagram of this sender in this second. */
  #mayJudge(from: string): boolean {
    const nowUs = this.#options.clock.nowUs();
    if (nowUs - this.#spentUs >= 1_000_000) {
      this.#spent = new Map();
      this.#spentTags = 0;
      this.#spentUs = nowUs;
    }
    const cost = Math.max(1, this.#members.size * MAX_LAN_SECRETS);
    const spent = this.#spent.get(from) ?? 0;
    if (this.#spentTags + cost > MAX_TAGS_PER_SECOND || spent + cost > MAX_TAGS_PER_SENDER) return false;
    this.#spent.set(from, spent + cost);
    this.#spentTags += cost;
    return true;
  }

  #remember(nonce: Uint8Array): void {
    if (this.#heard.size >= MAX_HEARD) this.#heard.delete(this.#heard.values().next().value!);
    this.#heard.add(toHex(nonce));
  }
}

function keysOf(member: Member, hour: number): Uint8Array[] {
  const secrets = member.secrets().slice(0, MAX_LAN_SECRETS);
  return secrets.map((secret) => lanKeyOf(secret, member.disk, hour));
}
