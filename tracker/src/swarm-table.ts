/**
 * Every swarm the tracker knows, and what an announce or a scrape does to it. Pure but for the injected clock and randomness.
 *
 * A swarm exists while a peer of it does. Memory is bounded by swarms and peers; a full table refuses newcomers and keeps serving
 * those it knows, so a flood cannot displace anybody. Silent peers go when their swarm is asked for, and otherwise with a look at
 * some of the swarms in each second in which anybody asks anything. Sockets are left to server/, keeping to the journal.
 */
import type { AnnounceRequest, CompactPeer, InfoHash, SwarmCounts } from '@diskswarm/announce';
import { type Clock, DiskswarmError, type Random } from '@diskswarm/core';
import {
  DEFAULT_INTERVAL_SECONDS,
  DEFAULT_PEERS_PER_ANSWER,
  INTERVALS_UNTIL_EXPIRY,
  MAX_PEERS,
  MAX_PEERS_PER_ANSWER,
  MAX_PEERS_PER_SWARM,
  MAX_SWARMS,
  MIN_INTERVAL_SECONDS,
} from './limits.ts';
import { SipHash } from './siphash.ts';
import { type DrawnPeers, SwarmPeers } from './swarm-peers.ts';

export interface SwarmTableOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** @default 120 */
  readonly intervalSeconds?: number;
  readonly maxSwarms?: number;
  readonly maxPeersPerSwarm?: number;
  readonly maxPeers?: number;
}

/** What an announce is answered with. */
export type AnnounceAnswer = AnnounceCounts & DrawnPeers;

/** The part of it that is not peers. */
export interface AnnounceCounts {
  readonly intervalSeconds: number;
  readonly minIntervalSeconds: number;
  readonly seeders: number;
  readonly leechers: number;
}

/** One fact about who is where; a list of them makes the same table again. */
export type Change =
  | { readonly kind: 'joined'; readonly infoHash: InfoHash; readonly peer: CompactPeer; readonly seeder: boolean }
  | { readonly kind: 'left'; readonly infoHash: InfoHash; readonly peer: CompactPeer }
  | { readonly kind: 'completed'; readonly infoHash: InfoHash; readonly count: number };

const NOBODY = { peers4: new Uint8Array(0), peers6: new Uint8Array(0) };
/** In each second one of this many parts of the swarms is looked through, and at least a few. */
const SWEEP_PARTS = 16;
const MIN_SWEPT = 64;

export class SwarmTable {
  readonly #options: SwarmTableOptions;
  readonly #intervalSeconds: number;
  readonly #hash: SipHash;
  readonly #swarms = new Map<InfoHash, SwarmPeers>();
  #sweep: MapIterator<[InfoHash, SwarmPeers]>;
  #second = 0;
  #peers = 0;
  /** Told of every change, before the call that made it returns; peers are views, good for the call. */
  onChange: ((change: Change) => void) | null = null;
  /** Told what was announced here, repetitions too, but not who fell silent; peers are views, good for the call. */
  onNews: ((news: Change) => void) | null = null;

  constructor(options: SwarmTableOptions) {
    this.#options = options;
    this.#intervalSeconds = options.intervalSeconds ?? DEFAULT_INTERVAL_SECONDS;
    this.#hash = new SipHash(options.random.bytes(16));
    this.#sweep = this.#swarms.entries();
  }

  get swarmCount(): number {
    return this.#swarms.size;
  }

  get peerCount(): number {
    return this.#peers;
  }

  /** Registers `peer` (its address as the connection shows it, with the announced port); LIMIT_EXCEEDED when full. */
  announce(request: AnnounceRequest, peer: CompactPeer): AnnounceAnswer {
    const swarm = this.#register(request, peer);
    const counts = this.#counts(swarm);
    if (swarm === undefined || request.event === 'stopped') return { ...counts, ...NOBODY };
    return { ...counts, ...swarm.draw(peer, wantedOf(request, MAX_PEERS_PER_ANSWER), this.#options.random) };
  }

  /**
   * The same, answered with at most `maxPeers` of the peer's own family. `makeAnswer` is told the counts and how many bytes they take, and
   * gives the array to write them into, which is returned.
   */
  announceInto<Answer extends Uint8Array>(
    request: AnnounceRequest,
    peer: CompactPeer,
    maxPeers: number,
    peersAt: number,
    makeAnswer: (counts: AnnounceCounts, peersBytes: number) => Answer,
  ): Answer {
    const swarm = this.#register(request, peer);
    const told =
      swarm === undefined || request.event === 'stopped' ? 0 : swarm.othersLike(peer, wantedOf(request, maxPeers));
    const answer = makeAnswer(this.#counts(swarm), told * peer.length);
    swarm?.drawLike(peer, told, this.#options.random, answer, peersAt);
    return answer;
  }

  /** The numbers of those of the named swarms that exist: who only asks learns nothing about the others. */
  scrape(infoHashes: readonly InfoHash[]): Map<InfoHash, SwarmCounts> {
    const counts = new Map<InfoHash, SwarmCounts>();
    for (const infoHash of infoHashes) {
      const swarm = this.#fresh(infoHash);
      if (swarm === undefined) continue;
      const { seeders, completed } = swarm;
      counts.set(infoHash, { seeders, leechers: swarm.count - seeders, completed });
    }
    return counts;
  }

  /** Forgets some of those who fell silent, once a second however often it is called. */
  sweep(): void {
    const second = this.#now();
    if (second === this.#second) return;
    this.#second = second;
    const parts = Math.max(MIN_SWEPT, Math.ceil(this.#swarms.size / SWEEP_PARTS));
    for (let count = Math.min(parts, this.#swarms.size); count > 0; count--) {
      let next = this.#sweep.next();
      if (next.done === true) {
        this.#sweep = this.#swarms.entries();
        next = this.#sweep.next();
      }
      if (next.done === true) return;
      this.#expire(...next.value);
    }
  }

  /** Takes over what a table before this one knew, as if it had been announced just now; what does not fit is left out. */
  restore(change: Change): void {
    const { infoHash } = change;
    const swarm = this.#swarms.get(infoHash);
    if (change.kind === 'completed') {
      swarm?.complete(change.count);
    } else if (change.kind === 'left') {
      if (swarm?.remove(change.peer)) this.#left(infoHash, swarm, change.peer);
    } else if (swarm?.has(change.peer) === true || this.#fullOf(swarm) === null) {
      const before = swarm?.count ?? 0;
      this.#peers += this.#put(infoHash, swarm, change.peer, change.seeder).count - before;
    }
  }

  /** All that is known, as changes to an empty table; peers are views, good until the next step. */
  *changes(): Generator<Change> {
    for (const [infoHash, swarm] of this.#swarms) {
      for (const { peer, seeder } of swarm.all()) yield { kind: 'joined', infoHash, peer, seeder };
      if (swarm.completed > 0) yield { kind: 'completed', infoHash, count: swarm.completed };
    }
  }

  /** Does what an announce asks for; the swarm as it is then. */
  #register({ infoHash, event, leftBytes }: AnnounceRequest, peer: CompactPeer): SwarmPeers | undefined {
    const known = this.#fresh(infoHash);
    if (event === 'stopped') {
      if (known?.remove(peer)) this.#left(infoHash, known, peer);
      this.onNews?.({ kind: 'left', infoHash, peer });
      return known;
    }
    const before = known?.count ?? 0;
    const completed = event === 'completed' && known?.isSeeder(peer) !== true;
    const swarm = this.#put(infoHash, known, peer, leftBytes === 0);
    this.onNews?.({ kind: 'joined', infoHash, peer, seeder: leftBytes === 0 });
    if (completed) {
      swarm.complete();
      this.onNews?.({ kind: 'completed', infoHash, count: swarm.completed });
      this.onChange?.({ kind: 'completed', infoHash, count: swarm.completed });
    }
    this.#peers += swarm.count - before;
    return swarm;
  }

  #put(infoHash: InfoHash, known: SwarmPeers | undefined, peer: CompactPeer, seeder: boolean): SwarmPeers {
    const full = this.#fullOf(known);
    if (full !== null && known?.has(peer) !== true) throw full;
    const swarm = known ?? new SwarmPeers(this.#hash);
    if (known === undefined) this.#swarms.set(infoHash, swarm);
    if (swarm.announce(peer, { seeder, second: this.#now() }))
      this.onChange?.({ kind: 'joined', infoHash, peer, seeder });
    return swarm;
  }

  #counts(swarm: SwarmPeers | undefined): AnnounceCounts {
    const seeders = swarm?.seeders ?? 0;
    return {
      intervalSeconds: this.#intervalSeconds,
      minIntervalSeconds: Math.min(MIN_INTERVAL_SECONDS, this.#intervalSeconds),
      seeders,
      leechers: (swarm?.count ?? 0) - seeders,
    };
  }

  /** A swarm without those who fell silent, undefined when nobody is left. */
  #fresh(infoHash: InfoHash): SwarmPeers | undefined {
    this.sweep();
    const swarm = this.#swarms.get(infoHash);
    if (swarm === undefined) return undefined;
    this.#expire(infoHash, swarm);
    return swarm.count === 0 ? undefined : swarm;
  }

  #expire(infoHash: InfoHash, swarm: SwarmPeers): void {
    const silentSince = this.#now() - Math.floor(this.#intervalSeconds * INTERVALS_UNTIL_EXPIRY);
    swarm.expire(silentSince, (peer) => this.#left(infoHash, swarm, peer));
    if (swarm.count === 0) this.#swarms.delete(infoHash);
  }

  #left(infoHash: InfoHash, swarm: SwarmPeers, peer: CompactPeer): void {
    this.#peers--;
    if (swarm.count === 0) this.#swarms.delete(infoHash);
    this.onChange?.({ kind: 'left', infoHash, peer });
  }

  /** Seconds since the clock's start; small enough for 31 bits for 68 years. */
  #now(): number {
    return Math.floor(this.#options.clock.nowUs() / 1e6);
  }

  #fullOf(known: SwarmPeers | undefined): DiskswarmError | null {
    const { maxSwarms = MAX_SWARMS, maxPeersPerSwarm = MAX_PEERS_PER_SWARM, maxPeers = MAX_PEERS } = this.#options;
    if (known === undefined && this.#swarms.size >= maxSwarms) return full('swarms', maxSwarms);
    if (known !== undefined && known.count >= maxPeersPerSwarm) return full('peers in this swarm', maxPeersPerSwarm);
    return this.#peers >= maxPeers ? full('peers', maxPeers) : null;
  }
}

function wantedOf({ peersWanted }: AnnounceRequest, most: number): number {
  return Math.min(peersWanted ?? DEFAULT_PEERS_PER_ANSWER, most);
}

function full(what: string, limit: number): DiskswarmError {
  return new DiskswarmError('LIMIT_EXCEEDED', `the tracker is full: ${limit} ${what}`, { data: { limit } });
}
