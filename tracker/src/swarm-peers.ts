/**
 * The peers of one swarm: known by address, forgotten when they fall silent, drawn at random.
 *
 * A Map in the order of the last announce makes expiry a walk from its front; an array per family makes a fair draw cost
 * only what is drawn (a partial shuffle in place). Time comes in as microseconds; bounds are the table's business.
 */
import { COMPACT_V4_BYTES, type CompactPeer } from '@diskswarm/announce';
import type { Random } from '@diskswarm/core';

interface Peer {
  readonly key: string;
  readonly compact: CompactPeer;
  seeder: boolean;
  seenUs: number;
  /** Where it stands in its family's array. */
  index: number;
}

export class SwarmPeers {
  /** Least recently announced first. */
  readonly #peers = new Map<string, Peer>();
  readonly #v4: Peer[] = [];
  readonly #v6: Peer[] = [];
  #seeders = 0;
  #completed = 0;

  get count(): number {
    return this.#peers.size;
  }

  get seeders(): number {
    return this.#seeders;
  }

  /** How many peers said that they completed. */
  get completed(): number {
    return this.#completed;
  }

  has(peer: CompactPeer): boolean {
    return this.#peers.has(keyOf(peer));
  }

  /** Adds or refreshes a peer. */
  announce(compact: CompactPeer, state: { seeder: boolean; completed: boolean; nowUs: number }): void {
    const key = keyOf(compact);
    const known = this.#peers.get(key);
    const peer = known ?? { key, compact, seeder: false, seenUs: 0, index: -1 };
    if (known === undefined) {
      const family = this.#familyOf(peer);
      peer.index = family.push(peer) - 1;
    } else {
      this.#peers.delete(key);
    }
    this.#seeders += Number(state.seeder) - Number(peer.seeder);
    if (state.completed) this.#completed++;
    peer.seeder = state.seeder;
    peer.seenUs = state.nowUs;
    this.#peers.set(key, peer);
  }

  /** Forgets a peer; an unknown one is fine. */
  remove(compact: CompactPeer): void {
    const peer = this.#peers.get(keyOf(compact));
    if (peer !== undefined) this.#forget(peer);
  }

  /** Forgets peers that were last seen before `deadlineUs`. */
  expire(deadlineUs: number): void {
    for (const peer of this.#peers.values()) {
      if (peer.seenUs >= deadlineUs) return;
      this.#forget(peer);
    }
  }

  /** At most `count` peers other than `asker`, of its family first; fresh every time. The arrays are views: do not change. */
  draw(asker: CompactPeer, count: number, random: Random): CompactPeer[] {
    const [first, second] = asker.length === COMPACT_V4_BYTES ? [this.#v4, this.#v6] : [this.#v6, this.#v4];
    const key = keyOf(asker);
    const drawn = drawFrom(first, key, count, random);
    return [...drawn, ...drawFrom(second, key, count - drawn.length, random)];
  }

  #familyOf(peer: Peer): Peer[] {
    return peer.compact.length === COMPACT_V4_BYTES ? this.#v4 : this.#v6;
  }

  #forget(peer: Peer): void {
    this.#peers.delete(peer.key);
    this.#seeders -= Number(peer.seeder);
    const family = this.#familyOf(peer);
    swap(family, peer.index, family.length - 1);
    family.pop();
  }
}

function keyOf(peer: CompactPeer): string {
  return Buffer.from(peer.buffer, peer.byteOffset, peer.length).toString('latin1');
}

/** Each set of `count` peers without the one of `excluded` is equally likely. */
function drawFrom(family: Peer[], excluded: string, count: number, random: Random): CompactPeer[] {
  const drawn: CompactPeer[] = [];
  for (let front = 0; front < family.length && drawn.length < count; front++) {
    swap(family, front, front + random.below(family.length - front));
    const peer = family[front] as Peer;
    if (peer.key !== excluded) drawn.push(peer.compact);
  }
  return drawn;
}

function swap(family: Peer[], left: number, right: number): void {
  const a = family[left] as Peer;
  const b = family[right] as Peer;
  family[left] = b;
  family[right] = a;
  b.index = left;
  a.index = right;
}
