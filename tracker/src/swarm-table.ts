/**
 * Every swarm the tracker knows, and what an announce or a scrape does to it. Pure but for the injected clock and randomness.
 *
 * A swarm exists while a peer of it does. Memory is bounded by swarms and peers; a full table refuses newcomers and keeps serving
 * those it knows, so a flood cannot displace anybody. HTTP is left to server.ts.
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
import { SwarmPeers } from './swarm-peers.ts';

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
export interface AnnounceAnswer {
  readonly intervalSeconds: number;
  readonly minIntervalSeconds: number;
  readonly seeders: number;
  readonly leechers: number;
  readonly peers: readonly CompactPeer[];
}

export class SwarmTable {
  readonly #options: SwarmTableOptions;
  readonly #intervalSeconds: number;
  /** Least recently announced first. */
  readonly #swarms = new Map<InfoHash, SwarmPeers>();
  #peers = 0;

  constructor(options: SwarmTableOptions) {
    this.#options = options;
    this.#intervalSeconds = options.intervalSeconds ?? DEFAULT_INTERVAL_SECONDS;
  }

  get swarmCount(): number {
    return this.#swarms.size;
  }

  get peerCount(): number {
    return this.#peers;
  }

  /** Registers `peer` (its address as the connection shows it, with the announced port); LIMIT_EXCEEDED when full. */
  announce(request: AnnounceRequest, peer: CompactPeer): AnnounceAnswer {
    const { infoHash, event, leftBytes } = request;
    this.#expire(infoHash);
    const known = this.#swarms.get(infoHash);
    if (event === 'stopped') {
      if (known?.has(peer)) {
        known.remove(peer);
        this.#peers--;
        if (known.count === 0) this.#swarms.delete(infoHash);
      }
      return this.#answer(known, []);
    }
    const swarm = known ?? new SwarmPeers();
    if (!swarm.has(peer)) this.#checkRoom(known);
    const before = swarm.count;
    const nowUs = this.#options.clock.nowUs();
    swarm.announce(peer, { seeder: leftBytes === 0, completed: event === 'completed', nowUs });
    this.#peers += swarm.count - before;
    this.#swarms.delete(infoHash);
    this.#swarms.set(infoHash, swarm);
    const wanted = Math.min(request.peersWanted ?? DEFAULT_PEERS_PER_ANSWER, MAX_PEERS_PER_ANSWER);
    return this.#answer(swarm, swarm.draw(peer, wanted, this.#options.random));
  }

  /** The numbers of the named swarms; unknown ones have zeros, so an answer does not tell which exist. */
  scrape(infoHashes: readonly InfoHash[]): Map<InfoHash, SwarmCounts> {
    return new Map(
      infoHashes.map((hash) => {
        this.#expire(hash);
        const swarm = this.#swarms.get(hash);
        const seeders = swarm?.seeders ?? 0;
        return [hash, { seeders, leechers: (swarm?.count ?? 0) - seeders, completed: swarm?.completed ?? 0 }];
      }),
    );
  }

  #answer(swarm: SwarmPeers | undefined, peers: readonly CompactPeer[]): AnnounceAnswer {
    const seeders = swarm?.seeders ?? 0;
    return {
      intervalSeconds: this.#intervalSeconds,
      minIntervalSeconds: Math.min(MIN_INTERVAL_SECONDS, this.#intervalSeconds),
      seeders,
      leechers: (swarm?.count ?? 0) - seeders,
      peers,
    };
  }

  /** Forgets silent peers of one swarm, and swarms at the front that are all silent: the cost of each is paid once. */
  #expire(infoHash: InfoHash): void {
    const lifetimeUs = this.#intervalSeconds * INTERVALS_UNTIL_EXPIRY * 1e6;
    const deadlineUs = this.#options.clock.nowUs() - lifetimeUs;
    const trim = (hash: InfoHash, swarm: SwarmPeers): void => {
      const before = swarm.count;
      swarm.expire(deadlineUs);
      this.#peers -= before - swarm.count;
      if (swarm.count === 0) this.#swarms.delete(hash);
    };
    for (const [hash, swarm] of this.#swarms) {
      trim(hash, swarm);
      if (swarm.count > 0) break;
    }
    const swarm = this.#swarms.get(infoHash);
    if (swarm !== undefined) trim(infoHash, swarm);
  }

  #checkRoom(known: SwarmPeers | undefined): void {
    const { maxSwarms = MAX_SWARMS, maxPeersPerSwarm = MAX_PEERS_PER_SWARM, maxPeers = MAX_PEERS } = this.#options;
    if (known === undefined && this.#swarms.size >= maxSwarms) throw full('swarms', maxSwarms);
    if (known !== undefined && known.count >= maxPeersPerSwarm) throw full('peers in this swarm', maxPeersPerSwarm);
    if (this.#peers >= maxPeers) throw full('peers', maxPeers);
  }
}

function full(what: string, limit: number): DiskswarmError {
  return new DiskswarmError('LIMIT_EXCEEDED', `the tracker is full: ${limit} ${what}`, { data: { limit } });
}
