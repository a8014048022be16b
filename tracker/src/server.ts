/**
 * A tracker at work: one table of swarms, asked over HTTP and, where wanted, by datagram.
 *
 * Puts the parts together and takes them apart again; what each does stands in its own file. Without a storage a tracker keeps
 * nothing over a restart: it knows again who is there within one interval, and the news that they repeat. With a Redis it shares
 * what it knows with other trackers.
 */
import type { Address, Clock, Random, Storage } from '@diskswarm/core';
import { AddressLimit } from './address-limit.ts';
import { ConnectionIds } from './connection-ids.ts';
import { Counters, type Gauges } from './counters.ts';
import { DEFAULT_INTERVAL_SECONDS, INTERVALS_UNTIL_EXPIRY } from './limits.ts';
import { NewsBoard } from './news-board.ts';
import { NewsJournal } from './news-journal.ts';
import { PeerJournal } from './peer-journal.ts';
import { serveHttp } from './server/http.ts';
import { serveUdp } from './server/udp.ts';
import { SharedStore } from './shared-store.ts';
import { SwarmTable } from './swarm-table.ts';

export interface TrackerOptions {
  /** HOST:PORT for HTTP; port 0 picks a free one. */
  readonly listen: Address;
  /** HOST:PORT for datagrams. @default none */
  readonly udp?: Address;
  readonly clock: Clock;
  readonly random: Random;
  /** Seconds between announces that clients are asked for. @default 120 */
  readonly intervalSeconds?: number;
  /** Questions a second from one address (one /64 of IPv6), over both. @default no limit */
  readonly limitPerSecond?: number;
  /** Where what is known is kept over a restart; a folder that is this tracker's alone. @default nowhere */
  readonly storage?: Storage;
  /** A Redis that this tracker shares what it knows with others through, instead of a storage. @default none */
  readonly redis?: { readonly url: string; readonly password?: string | undefined };
  /** Told when that Redis cannot be reached, and when it answers again; for a log. */
  readonly onStore?: (ok: boolean) => void;
}

/** A tracker at work. */
export interface Tracker {
  readonly listen: Address;
  /** What clients are given, with a host that is an address of this machine only if `listen` was one. */
  readonly announceUrl: string;
  /** The same for datagrams; null where they are not served. */
  readonly udpAnnounceUrl: string | null;
  readonly counts: { readonly swarms: number; readonly peers: number };
  /** Ends all connections. Idempotent. */
  stop(): Promise<void>;
}

/** Starts a tracker; ADDRESS_UNAVAILABLE when it cannot listen there, STATE_VERSION for the journal of a newer one. */
export async function startTracker(options: TrackerOptions): Promise<Tracker> {
  const { clock, random, limitPerSecond } = options;
  const startedUs = clock.nowUs();
  const table = new SwarmTable(options);
  const counters = new Counters();
  const limit = limitPerSecond === undefined ? null : new AddressLimit({ clock, random, perSecond: limitPerSecond });
  const board = new NewsBoard(clock);
  const journals = options.storage === undefined ? null : await keepIn(options.storage, table, board, clock);
  const shared = await shareThrough(options, table, board);
  const stops: (() => Promise<void>)[] = journals === null ? [] : journals.map((journal) => () => journal.close());
  if (shared !== null) stops.push(() => shared.stop());
  const stop = async (): Promise<void> => {
    while (stops.length > 0) await stops.pop()?.();
  };
  const gauges = (): Gauges => {
    table.sweep();
    const uptimeSeconds = Math.floor((clock.nowUs() - startedUs) / 1e6);
    return {
      swarms: table.swarmCount,
      peers: table.peerCount,
      news: board.count,
      uptimeSeconds,
      journal: journals?.every((journal) => journal.ok) ?? null,
      store: shared?.ok ?? null,
    };
  };
  shared?.start();
  try {
    const http = await serveHttp({
      listen: options.listen,
      table,
      board,
      limit,
      counters,
      gauges,
    });
    stops.push(http.stop);
    const ids = new ConnectionIds(clock, random);
    const udp = options.udp === undefined ? null : await serveUdp({ listen: options.udp, table, ids, limit, counters });
    if (udp !== null) stops.push(udp.stop);
    let stopping: Promise<void> | null = null;
    return {
      listen: http.listen,
      announceUrl: `http://${http.listen}/announce`,
      udpAnnounceUrl: udp === null ? null : `udp://${udp.listen}/announce`,
      get counts() {
        return { swarms: table.swarmCount, peers: table.peerCount };
      },
      stop: () => {
        stopping ??= stop();
        return stopping;
      },
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function keepIn(
  storage: Storage,
  table: SwarmTable,
  board: NewsBoard,
  clock: Clock,
): Promise<readonly [PeerJournal, NewsJournal]> {
  const peers = await PeerJournal.open(storage, table, clock);
  try {
    return [peers, await NewsJournal.open(storage, board, clock)];
  } catch (error) {
    await peers.close();
    throw error;
  }
}

async function shareThrough(
  { redis, clock, random, intervalSeconds, onStore }: TrackerOptions,
  table: SwarmTable,
  board: NewsBoard,
): Promise<SharedStore | null> {
  if (redis === undefined) return null;
  // Its client is hundreds of files, and most commands are no tracker.
  const { RedisStream } = await import('./server/redis-stream.ts');
  const windowSeconds = Math.ceil((intervalSeconds ?? DEFAULT_INTERVAL_SECONDS) * INTERVALS_UNTIL_EXPIRY);
  const stream = new RedisStream({ ...redis, clock, random, windowSeconds, onState: onStore });
  return new SharedStore(table, board, clock, stream);
}
