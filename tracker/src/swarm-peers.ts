/**
 * The peers of one swarm: a list per address family, and how many said that they completed.
 *
 * Who joins and leaves is told to a listener (the journal's); when peers are old, and how many there may be, is the table's
 * business.
 */
import { COMPACT_V4_BYTES, COMPACT_V6_BYTES, type CompactPeer } from '@diskswarm/announce';
import type { Random } from '@diskswarm/core';
import { PeerList } from './peer-list.ts';
import type { SipHash } from './siphash.ts';

/** Drawn peers as answers carry them. */
export interface DrawnPeers {
  readonly peers4: Uint8Array;
  readonly peers6: Uint8Array;
}

const NONE = new Uint8Array(0);
/** Answers by datagram carry 32 bits. */
const MAX_COMPLETED = 0xffff_ffff;

export class SwarmPeers {
  readonly #hash: SipHash;
  #v4: PeerList | null = null;
  #v6: PeerList | null = null;
  #completed = 0;

  constructor(hash: SipHash) {
    this.#hash = hash;
  }

  get count(): number {
    return (this.#v4?.count ?? 0) + (this.#v6?.count ?? 0);
  }

  get seeders(): number {
    return (this.#v4?.seeders ?? 0) + (this.#v6?.seeders ?? 0);
  }

  /** How many peers said that they completed. */
  get completed(): number {
    return this.#completed;
  }

  has(peer: CompactPeer): boolean {
    return (this.#listOf(peer)?.find(peer) ?? -1) >= 0;
  }

  /** Adds or refreshes a peer; true when it is new or its being a seeder changed. */
  announce(peer: CompactPeer, state: { seeder: boolean; second: number }): boolean {
    const list = this.#listFor(peer);
    const slot = list.find(peer);
    if (slot >= 0) return list.touch(slot, state.seeder, state.second);
    list.add(peer, state.seeder, state.second);
    return true;
  }

  /** Counts a completion, or with a number sets how many there were. */
  complete(count: number = this.#completed + 1): void {
    this.#completed = Math.min(count, MAX_COMPLETED);
  }

  isSeeder(peer: CompactPeer): boolean {
    const list = this.#listOf(peer);
    const slot = list?.find(peer) ?? -1;
    return list !== null && slot >= 0 && list.isSeeder(slot);
  }

  /** Forgets a peer; false when it is unknown. */
  remove(peer: CompactPeer): boolean {
    const list = this.#listOf(peer);
    const slot = list?.find(peer) ?? -1;
    if (list === null || slot < 0) return false;
    list.remove(slot);
    return true;
  }

  /** Forgets peers that were last seen before `second`; `onGone` is told of each. */
  expire(second: number, onGone: (peer: CompactPeer) => void): void {
    this.#v4?.expire(second, onGone);
    this.#v6?.expire(second, onGone);
  }

  /** How many others of its family an asker can be told of, at most `count`. */
  othersLike(asker: CompactPeer, count: number): number {
    const list = this.#listOf(asker);
    return list === null ? 0 : Math.min(count, list.find(asker) < 0 ? list.count : list.count - 1);
  }

  /** Writes `count` of those into `into` at `at`: every one is as likely as any other, but neighbours come together. */
  drawLike(asker: CompactPeer, count: number, random: Random, into: Uint8Array, at: number): void {
    const list = this.#listOf(asker);
    if (list === null || count === 0) return;
    const except = list.find(asker);
    list.copyOthers(except, count, random.below(except < 0 ? list.count : list.count - 1), into, at);
  }

  /** At most `count` peers other than `asker`, of its family first; copies. */
  draw(asker: CompactPeer, count: number, random: Random): DrawnPeers {
    const own = new Uint8Array(this.othersLike(asker, count) * asker.length);
    this.drawLike(asker, own.length / asker.length, random, own, 0);
    const isV4 = asker.length === COMPACT_V4_BYTES;
    const rest = drawFrom(isV4 ? this.#v6 : this.#v4, count - own.length / asker.length, random);
    return isV4 ? { peers4: own, peers6: rest } : { peers4: rest, peers6: own };
  }

  /** Every peer, as views. */
  *all(): Generator<{ readonly peer: CompactPeer; readonly seeder: boolean }> {
    if (this.#v4 !== null) yield* this.#v4.all();
    if (this.#v6 !== null) yield* this.#v6.all();
  }

  #listOf(peer: CompactPeer): PeerList | null {
    return peer.length === COMPACT_V4_BYTES ? this.#v4 : this.#v6;
  }

  #listFor(peer: CompactPeer): PeerList {
    if (peer.length === COMPACT_V4_BYTES) {
      this.#v4 ??= new PeerList(COMPACT_V4_BYTES, this.#hash);
      return this.#v4;
    }
    this.#v6 ??= new PeerList(COMPACT_V6_BYTES, this.#hash);
    return this.#v6;
  }
}

function drawFrom(list: PeerList | null, count: number, random: Random): Uint8Array {
  const drawn = Math.min(count, list?.count ?? 0);
  if (list === null || drawn === 0) return NONE;
  const into = new Uint8Array(drawn * list.widthBytes);
  list.copyOthers(-1, drawn, random.below(list.count), into, 0);
  return into;
}
