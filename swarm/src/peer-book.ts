/**
 * Addresses where hosts of our disks may be, and when to dial each: a pure table, asked for what is due.
 *
 * One address is dialled once at a time, for one of its disks in turn. Failures back off with jitter; what a person or an
 * invitation named is never forgotten, what was only found (at a tracker, on the LAN, in the DHT) is
 * after a while. Dialling is the swarm's.
 */
import type { Address, DiskId, HostId, Random } from '@diskswarm/core';
import { dhtKeyOf } from './discovery/dht-address.ts';
import { FIRST_BACKOFF_MS, LAST_BACKOFF_MS, MAX_ADDRESSES, MAX_FAILURES } from './limits.ts';
import { relayedHostOf } from './relay/relay-address.ts';

/** Who named an address: a person (`--peer` or an invitation), a tracker, a call on the LAN, the DHT, a roster (by way of another host), or the host in a session. */
export type AddressSource = 'peer' | 'tracker' | 'lan' | 'dht' | 'relay' | 'session';

interface Entry {
  readonly address: Address;
  readonly disks: Set<DiskId>;
  /** Rises with each dial: picks the next disk and secret to prove. */
  attempts: number;
  failures: number;
  source: AddressSource;
  state: 'waiting' | 'dialling';
  dueUs: number;
  /** Who answered there last. */
  host: HostId | null;
}

/** An address to dial now. */
export interface DueDial {
  readonly address: Address;
  readonly disk: DiskId;
  /** How often this disk was tried here: which of its secrets to prove. */
  readonly attempt: number;
}

/** Of rank 0 is what was only found: it is forgotten when it leads nowhere, and makes room for the rest. */
const RANK: Record<AddressSource, number> = { tracker: 0, lan: 0, dht: 0, relay: 0, session: 1, peer: 2 };

export class PeerBook {
  readonly #random: Random;
  readonly #entries = new Map<Address, Entry>();
  /** Addresses that turned out to be this host. */
  readonly #own = new Set<Address>();

  constructor(random: Random) {
    this.#random = random;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Remembers that hosts of `disk` may be at `address`; one that calls on the LAN is there now. False when there is no room. */
  add(disk: DiskId, address: Address, namedBy: AddressSource): boolean {
    // A key of the DHT ends with the run of its host, whoever named it.
    const through = relayedHostOf(address);
    const source = dhtKeyOf(address) !== null ? 'dht' : through !== null ? 'relay' : namedBy;
    if (this.#own.has(address)) return false;
    const known = this.#entries.get(address);
    if (known !== undefined) {
      known.disks.add(disk);
      if (RANK[source] > RANK[known.source]) known.source = source;
      if (source === 'lan') known.dueUs = 0;
      return true;
    }
    if (this.#entries.size >= MAX_ADDRESSES && !this.#makeRoom(source)) return false;
    this.#entries.set(address, {
      address,
      disks: new Set([disk]),
      attempts: 0,
      failures: 0,
      source,
      state: 'waiting',
      dueUs: 0,
      host: through,
    });
    return true;
  }

  /** Forgets a disk, and addresses that were only about it. */
  removeDisk(disk: DiskId): void {
    for (const entry of this.#entries.values()) {
      entry.disks.delete(disk);
      if (entry.disks.size === 0) this.#entries.delete(entry.address);
    }
  }

  /** Addresses to dial now, at most `count`; they count as being dialled. `connected`: hosts that need no dial at an address. */
  takeDue(nowUs: number, count: number, connected: (host: HostId, address: Address) => boolean): DueDial[] {
    const due: DueDial[] = [];
    for (const entry of this.#entries.values()) {
      if (due.length >= count) break;
      if (entry.state !== 'waiting' || entry.dueUs > nowUs || entry.disks.size === 0) continue;
      if (entry.host !== null && connected(entry.host, entry.address)) continue;
      const disks = [...entry.disks];
      const attempt = Math.floor(entry.attempts / disks.length);
      due.push({ address: entry.address, disk: disks[entry.attempts % disks.length]!, attempt });
      entry.attempts += 1;
      entry.state = 'dialling';
    }
    return due;
  }

  /** Microseconds at which something is due next; null when nothing is. */
  nextDueUs(connected: (host: HostId, address: Address) => boolean): number | null {
    let next: number | null = null;
    for (const { state, dueUs, host, address } of this.#entries.values()) {
      if (state === 'waiting' && (host === null || !connected(host, address))) next = Math.min(next ?? dueUs, dueUs);
    }
    return next;
  }

  /** The dial reached `host`; as long as it is connected, the address is left alone. */
  reached(address: Address, host: HostId, nowUs: number): void {
    const entry = this.#entries.get(address);
    if (entry === undefined) return;
    entry.host = host;
    entry.state = 'waiting';
    entry.failures = 0;
    entry.dueUs = nowUs + this.#jittered(FIRST_BACKOFF_MS);
    // Start with the disk and the secret that worked.
    entry.attempts = Math.max(0, entry.attempts - 1);
  }

  /** A session with the host at `address` ended: dial again soon, later when it never worked. */
  lost(host: HostId, nowUs: number, worked: boolean): void {
    for (const entry of this.#entries.values()) {
      if (entry.host !== host) continue;
      if (worked) entry.failures = 0;
      else entry.failures += 1;
      entry.dueUs = nowUs + this.#backoffUs(entry);
    }
  }

  /** The dial failed. */
  failed(address: Address, nowUs: number): void {
    const entry = this.#entries.get(address);
    if (entry === undefined) return;
    entry.state = 'waiting';
    entry.failures += 1;
    entry.dueUs = nowUs + this.#backoffUs(entry);
    if (RANK[entry.source] === 0 && entry.failures >= MAX_FAILURES) this.#entries.delete(address);
  }

  /** The address is this host's own: never dialled again. */
  isSelf(address: Address): void {
    this.#entries.delete(address);
    if (this.#own.size < MAX_ADDRESSES) this.#own.add(address);
  }

  /** A dial that was under way was given up for no fault of the address. */
  release(address: Address, nowUs: number): void {
    const entry = this.#entries.get(address);
    if (entry === undefined) return;
    entry.state = 'waiting';
    entry.dueUs = nowUs + this.#jittered(FIRST_BACKOFF_MS);
  }

  #backoffUs(entry: Entry): number {
    const doubled = FIRST_BACKOFF_MS * 2 ** Math.min(20, Math.max(0, entry.failures - 1));
    return this.#jittered(Math.min(LAST_BACKOFF_MS, doubled));
  }

  /** Three quarters to five quarters of `delayMs`, in microseconds. */
  #jittered(delayMs: number): number {
    return delayMs * (750 + this.#random.below(501));
  }

  #makeRoom(source: AddressSource): boolean {
    if (RANK[source] === 0) return false;
    for (const entry of this.#entries.values()) {
      if (RANK[entry.source] === 0 && entry.state === 'waiting') return this.#entries.delete(entry.address);
    }
    return false;
  }
}
