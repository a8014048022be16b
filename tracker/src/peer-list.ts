/**
 * The peers of one swarm and one address family, in flat arrays: 10 bytes for an IPv4 peer, 22 for an IPv6 one, plus the index.
 *
 * Packed addresses lie one behind the other without gaps, as answers carry them: a draw is a window at a random place,
 * copied out whole. The second of the last announce and the seeder's flag stand beside them in one word. Beyond a few peers
 * an open-addressed table finds them, keyed with a secret so that chosen addresses do not collide. Slots move when a peer
 * leaves (the last one takes its place), so a slot is good only until the next change.
 */
import type { CompactPeer } from '@diskswarm/announce';
import type { SipHash } from './siphash.ts';

/** Up to this many are found by looking at each. */
const UNINDEXED_PEERS = 16;
const MIN_CAPACITY = 2;

export class PeerList {
  readonly #width: number;
  readonly #hash: SipHash;
  #bytes: Uint8Array;
  /** Second × 2 + (seeder ? 1 : 0), per slot. */
  #seen = new Uint32Array(MIN_CAPACITY);
  /** Slot + 1, or 0; null while there are few. */
  #index: Uint32Array | null = null;
  #count = 0;
  #seeders = 0;
  /** Where the peer was that was asked for last: one announce asks several times. */
  #lastSlot = 0;
  /** No peer was seen before this second. */
  #oldestSecond = 0;

  /** `width` is 6 or 18 bytes. */
  constructor(width: number, hash: SipHash) {
    this.#width = width;
    this.#hash = hash;
    this.#bytes = new Uint8Array(MIN_CAPACITY * width);
  }

  /** Of one packed peer. */
  get widthBytes(): number {
    return this.#width;
  }

  get count(): number {
    return this.#count;
  }

  get seeders(): number {
    return this.#seeders;
  }

  /** The slot of a peer, or -1. */
  find(peer: CompactPeer): number {
    if (this.#lastSlot < this.#count && this.#isAt(this.#lastSlot, peer)) return this.#lastSlot;
    const slot = this.#search(peer);
    if (slot >= 0) this.#lastSlot = slot;
    return slot;
  }

  #search(peer: CompactPeer): number {
    if (this.#index === null) {
      for (let slot = 0; slot < this.#count; slot++) if (this.#isAt(slot, peer)) return slot;
      return -1;
    }
    const mask = this.#index.length - 1;
    for (let place = this.#hash.hash(peer) & mask; ; place = (place + 1) & mask) {
      const entry = this.#index[place] as number;
      if (entry === 0) return -1;
      if (this.#isAt(entry - 1, peer)) return entry - 1;
    }
  }

  /** Adds a peer that is not there; its slot. The bytes are copied. */
  add(peer: CompactPeer, seeder: boolean, second: number): number {
    if (this.#count === this.#seen.length) this.#resize(this.#count * 2);
    const slot = this.#count++;
    if (slot === 0) this.#oldestSecond = second;
    this.#bytes.set(peer, slot * this.#width);
    this.#seen[slot] = second * 2 + Number(seeder);
    this.#seeders += Number(seeder);
    if (this.#index !== null) this.#enter(slot);
    this.#lastSlot = slot;
    return slot;
  }

  /** A peer announced again; true when it became a seeder or stopped being one. */
  touch(slot: number, seeder: boolean, second: number): boolean {
    const before = this.isSeeder(slot);
    this.#seen[slot] = second * 2 + Number(seeder);
    this.#seeders += Number(seeder) - Number(before);
    return before !== seeder;
  }

  isSeeder(slot: number): boolean {
    return ((this.#seen[slot] as number) & 1) === 1;
  }

  /** A view, good until the next change. */
  peerAt(slot: number): CompactPeer {
    return this.#bytes.subarray(slot * this.#width, (slot + 1) * this.#width);
  }

  remove(slot: number): void {
    this.#seeders -= Number(this.isSeeder(slot));
    const last = this.#count - 1;
    if (this.#index !== null) {
      this.#leave(slot);
      if (slot !== last) this.#index[this.#placeOf(last)] = slot + 1;
    }
    if (slot !== last) {
      this.#bytes.copyWithin(slot * this.#width, last * this.#width, (last + 1) * this.#width);
      this.#seen[slot] = this.#seen[last] as number;
    }
    this.#count--;
    if (this.#count >= MIN_CAPACITY && this.#count <= this.#seen.length / 4) this.#resize(this.#seen.length / 2);
  }

  /** Removes who was last seen before `second`; `onGone` sees each (a view) first. Costs nothing while nobody can be. */
  expire(second: number, onGone: (peer: CompactPeer) => void): void {
    if (this.#oldestSecond >= second) return;
    let oldest = Number.MAX_SAFE_INTEGER;
    for (let slot = this.#count - 1; slot >= 0; slot--) {
      const seen = (this.#seen[slot] as number) >>> 1;
      if (seen >= second) {
        oldest = Math.min(oldest, seen);
        continue;
      }
      onGone(this.peerAt(slot));
      this.remove(slot);
    }
    this.#oldestSecond = oldest;
  }

  /**
   * Copies `count` peers other than the one in `except` (-1: nobody) into `into` at `at`: a window of the list, as a ring, that begins
   * at the `start`th of the others. Returns how many bytes. `count` and `start` are below the number of others, or `count` is that.
   */
  copyOthers(except: number, count: number, start: number, into: Uint8Array, at: number): number {
    const others = except < 0 ? this.#count : this.#count - 1;
    const first = Math.min(count, others - start);
    const end = this.#copyRun(except, start, first, into, at);
    return this.#copyRun(except, 0, count - first, into, end) - at;
  }

  /** Every peer, as views. */
  *all(): Generator<{ readonly peer: CompactPeer; readonly seeder: boolean }> {
    for (let slot = 0; slot < this.#count; slot++) yield { peer: this.peerAt(slot), seeder: this.isSeeder(slot) };
  }

  /** Copies the others from number `from` on; returns where it ended. */
  #copyRun(except: number, from: number, count: number, into: Uint8Array, at: number): number {
    if (count === 0) return at;
    const width = this.#width;
    const before = except < 0 ? count : Math.max(0, Math.min(count, except - from));
    if (before > 0) into.set(this.#bytes.subarray(from * width, (from + before) * width), at);
    if (before < count) {
      const slots = this.#bytes.subarray((from + before + 1) * width, (from + count + 1) * width);
      into.set(slots, at + before * width);
    }
    return at + count * width;
  }

  #isAt(slot: number, peer: CompactPeer): boolean {
    const start = slot * this.#width;
    // The port differs most, so it is compared first.
    for (let index = this.#width - 1; index >= 0; index--) {
      if (this.#bytes[start + index] !== peer[index]) return false;
    }
    return true;
  }

  #resize(capacity: number): void {
    const bytes = new Uint8Array(capacity * this.#width);
    bytes.set(this.#bytes.subarray(0, this.#count * this.#width));
    const seen = new Uint32Array(capacity);
    seen.set(this.#seen.subarray(0, this.#count));
    this.#bytes = bytes;
    this.#seen = seen;
    this.#index = capacity <= UNINDEXED_PEERS ? null : new Uint32Array(capacity * 2);
    if (this.#index !== null) for (let slot = 0; slot < this.#count; slot++) this.#enter(slot);
  }

  #enter(slot: number): void {
    const index = this.#index as Uint32Array;
    const mask = index.length - 1;
    let place = this.#home(slot);
    while (index[place] !== 0) place = (place + 1) & mask;
    index[place] = slot + 1;
  }

  #home(slot: number): number {
    return this.#hash.hash(this.#bytes, slot * this.#width, this.#width) & ((this.#index as Uint32Array).length - 1);
  }

  /** Where the index names the slot. */
  #placeOf(slot: number): number {
    const index = this.#index as Uint32Array;
    let place = this.#home(slot);
    while (index[place] !== slot + 1) place = (place + 1) & (index.length - 1);
    return place;
  }

  /** Takes a slot out of the index and moves up what had to stand behind it. */
  #leave(slot: number): void {
    const index = this.#index as Uint32Array;
    const mask = index.length - 1;
    let hole = this.#placeOf(slot);
    for (let place = (hole + 1) & mask; index[place] !== 0; place = (place + 1) & mask) {
      const home = this.#home((index[place] as number) - 1);
      if (((place - home) & mask) < ((place - hole) & mask)) continue;
      index[hole] = index[place] as number;
      hole = place;
    }
    index[hole] = 0;
  }
}
