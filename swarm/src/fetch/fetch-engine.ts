/**
 * Brings chunks here from whoever has them: the scheduler's decisions carried out on the channels of all disks of a host.
 *
 * `get` joins a fetch or begins one; effects become requests on lanes, arrivals are hashed here and judged against the
 * id, and events go back one at a time. A chunk comes whole from one peer, so a wrong one is that peer's fault: its
 * session ends. A get ends with verified bytes, or when its caller gives up, never because it takes long.
 * Leaves to others: order and credit (scheduler), ids (manifest), storing (caller), claims (the disk's channels).
 */
import { chunkIdOf } from '@diskswarm/chunk';
import {
  type ChunkId,
  type ChunkSource,
  type Clock,
  type DiskId,
  DiskswarmError,
  type HostId,
  type PiecePosition,
  type Priority,
  type Random,
  type Timer,
  ZERO_ID,
} from '@diskswarm/core';
import {
  type Effect,
  type Holder,
  Scheduler,
  type SchedulerEvent,
  type SchedulerSnapshot,
  type Want,
} from '@diskswarm/scheduler';
import { MAX_FETCHES } from '../limits.ts';
import type { RequestToken } from '../ports.ts';
import { type Arrival, ChunkFetch, type Waiter } from './chunk-fetch.ts';
import { CompressionWishes } from './compression-wishes.ts';
import type { FetchChannel, FetchDisk, FetchHolder, FetchStatistics } from './ports.ts';
import { SharedAborts } from './shared-aborts.ts';

export interface FetchEngineOptions {
  readonly clock: Clock;
  readonly random: Random;
}

interface Membership {
  readonly source: FetchDisk;
  readonly statistics: FetchStatistics;
}

interface ReadyChannel {
  readonly disk: DiskId;
  readonly asked: Map<RequestToken, ChunkFetch>;
}

export class FetchEngine implements ChunkSource {
  readonly #clock: Clock;
  readonly #scheduler: Scheduler;
  readonly #disks = new Map<DiskId, Membership>();
  readonly #fetches = new Map<string, ChunkFetch>();
  /** Ready channels, their disk, and what was asked there. */
  readonly #channels = new Map<FetchChannel, ReadyChannel>();
  readonly #hosts = new Map<HostId, Map<DiskId, FetchChannel>>();
  /** For each disk a channel that takes arrays back; it does also after it closed. */
  readonly #arrays = new Map<DiskId, FetchChannel>();
  readonly #aborts = new SharedAborts();
  readonly #wishes = new CompressionWishes();
  readonly #events: SchedulerEvent[] = [];
  #telling = false;
  #timer: Timer | null = null;

  constructor({ clock, random }: FetchEngineOptions) {
    this.#clock = clock;
    this.#scheduler = new Scheduler({
      random,
      maxWants: MAX_FETCHES,
      whoHas: (want) => this.#whoHas(want),
      roundTripUs: (peer) => this.#hosts.get(peer)?.values().next().value?.rttUs ?? null,
    });
  }

  /** Chunks of this disk may be asked for from now on. */
  addDisk(source: FetchDisk, statistics: FetchStatistics): void {
    this.#disks.set(source.disk, { source, statistics });
  }

  /** Gives up what is fetched for the disk (ABORTED). Its channels are closed by whoever owns them. */
  removeDisk(disk: DiskId): void {
    this.#disks.delete(disk);
    this.#arrays.delete(disk);
    for (const fetch of [...this.#fetches.values()]) {
      if (fetch.position.disk !== disk) continue;
      fetch.reject(new DiskswarmError('ABORTED', 'the disk is no longer here', { data: { disk } }));
      this.#drop(fetch);
    }
  }

  /** Gives everything up. Idempotent. */
  stop(): void {
    for (const disk of [...this.#disks.keys()]) this.removeDisk(disk);
    this.#timer?.cancel();
    this.#timer = null;
  }

  /** The channel takes requests. */
  channelReady(channel: FetchChannel, disk: DiskId): void {
    const { host: peer } = channel;
    const others = this.#hosts.get(peer);
    this.#channels.set(channel, { disk, asked: new Map() });
    this.#arrays.set(disk, channel);
    if (others === undefined) {
      this.#hosts.set(peer, new Map([[disk, channel]]));
      this.#tell({ type: 'peerUp', peer });
    } else {
      others.set(disk, channel);
      this.#tell({ type: 'claims', peer, disk });
    }
  }

  /** The channel is gone, and with it what was asked there. */
  channelClosed(channel: FetchChannel): void {
    const known = this.#channels.get(channel);
    if (known === undefined) return;
    const { host: peer } = channel;
    const ofHost = this.#hosts.get(peer);
    this.#channels.delete(channel);
    if (ofHost?.get(known.disk) === channel) ofHost.delete(known.disk);
    for (const fetch of known.asked.values()) fetch.requests.delete(peer);
    if (ofHost?.size === 0) {
      this.#hosts.delete(peer);
      this.#wishes.forget(peer);
      this.#tell({ type: 'peerDown', peer });
    } else {
      for (const { key } of known.asked.values()) this.#tell({ type: 'rejected', peer, key });
      this.#tell({ type: 'claims', peer, disk: known.disk });
    }
  }

  /** What `holders` says of this channel's peer has changed. */
  claimsChanged(channel: FetchChannel): void {
    const known = this.#channels.get(channel);
    if (known !== undefined) this.#tell({ type: 'claims', peer: channel.host, disk: known.disk });
  }

  /** A chunk came, in `wireBytes`; the bytes pass to the engine. */
  piece(channel: FetchChannel, token: RequestToken, bytes: Uint8Array, wireBytes: number = bytes.length): void {
    const fetch = this.#answered(channel, token);
    const request = fetch?.requests.get(channel.host);
    if (fetch === undefined || request === undefined) return;
    fetch.requests.delete(channel.host);
    const { host } = channel;
    const arrival = { host, bytes, wireBytes, sentAtUs: request.sentAtUs, arrivedAtUs: this.#clock.nowUs() };
    if (fetch.id === null) fetch.held.set(host, arrival);
    else this.#judge(fetch, fetch.id, arrival);
  }

  /** The peer does not serve what was asked. */
  rejected(channel: FetchChannel, token: RequestToken): void {
    const fetch = this.#answered(channel, token);
    if (fetch === undefined) return;
    fetch.requests.delete(channel.host);
    const { host: peer } = channel;
    const { disk, piece } = fetch.position;
    if (this.#disks.get(disk)?.source.rejected?.(piece, peer) === true) this.#tell({ type: 'claims', peer, disk });
    this.#tell({ type: 'rejected', peer, key: fetch.key });
  }

  /** The host is forgiven and may be asked again. */
  unban(host: HostId): void {
    this.#tell({ type: 'unban', peer: host });
  }

  /** The host parts its link between chunks and something else by itself: chunks do not give in to that, until it is told otherwise or goes. */
  linkShared(host: HostId, on: boolean): void {
    this.#tell({ type: 'shared', peer: host, on });
  }

  /** True when nobody who is connected has, or might have, the piece. */
  unavailable(position: PiecePosition): boolean {
    return this.#holders(position)[Symbol.iterator]().next().done === true;
  }

  /** What is wanted, under way and measured. */
  snapshot(): SchedulerSnapshot {
    return this.#scheduler.snapshot();
  }

  /** @inheritdoc */
  get(
    id: ChunkId | Promise<ChunkId>,
    position: PiecePosition,
    priority: Priority,
    { signal }: { signal: AbortSignal },
  ): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      if (typeof id !== 'string') id.catch(() => undefined);
      if (signal.aborted) {
        reject(givenUp());
        return;
      }
      const fetch = this.#fetchOf(position);
      const done = this.#aborts.on(signal, () => this.#leave(fetch, waiter, givenUp()));
      const waiter: Waiter = {
        resolve: (bytes) => {
          done();
          resolve(bytes);
        },
        reject: (error) => {
          done();
          reject(error);
        },
      };
      fetch.join(waiter, priority, this.#clock.nowUs());
      const { disk, root, piece } = position;
      const { chunkSizeBytes: lengthBytes } = fetch.context;
      this.#tell({ type: 'want', want: { key: fetch.key, disk, root, piece, lengthBytes, priority, order: 0 } });
      if (typeof id === 'string') {
        this.#identify(fetch, id);
      } else {
        const known = (found: ChunkId): void => this.#identify(fetch, found);
        id.then(known, (error: unknown) => this.#leave(fetch, waiter, error));
      }
    });
  }

  /** @inheritdoc */
  release({ disk }: PiecePosition, bytes: Uint8Array): void {
    this.#arrays.get(disk)?.release(bytes);
  }

  #fetchOf(position: PiecePosition): ChunkFetch {
    const { disk, root, piece } = position;
    const key = `${disk}/${root}/${piece}`;
    const known = this.#fetches.get(key);
    if (known !== undefined) return known;
    const membership = this.#disks.get(disk);
    const generation = membership?.source.generationOf(root) ?? null;
    if (membership === undefined || generation === null) {
      throw new DiskswarmError('GENERATION_NOT_FOUND', 'chunks of this generation cannot be asked for', {
        data: { disk, root },
      });
    }
    if (this.#fetches.size >= MAX_FETCHES) {
      throw new DiskswarmError('LIMIT_EXCEEDED', `more than ${MAX_FETCHES} chunks are asked for at once`);
    }
    const { source, statistics } = membership;
    const context = { chunkSizeBytes: source.chunkSizeBytes, statistics };
    const fetch = new ChunkFetch({ key, position, generation, context });
    this.#fetches.set(key, fetch);
    return fetch;
  }

  #leave(fetch: ChunkFetch, waiter: Waiter, error: unknown): void {
    if (!fetch.leave(waiter)) return;
    waiter.reject(error);
    if (fetch.abandoned) this.#drop(fetch);
  }

  /** Somebody knows the chunk's id: what has come can be judged. */
  #identify(fetch: ChunkFetch, id: ChunkId): void {
    if (fetch.id !== null || this.#fetches.get(fetch.key) !== fetch) return;
    fetch.id = id;
    if (id === ZERO_ID) {
      fetch.resolve(new Uint8Array(fetch.context.chunkSizeBytes));
      this.#drop(fetch);
      return;
    }
    for (const arrival of [...fetch.held.values()]) {
      if (!fetch.held.delete(arrival.host)) continue;
      if (this.#judge(fetch, id, arrival)) return;
    }
  }

  #judge(fetch: ChunkFetch, id: ChunkId, arrival: Arrival): boolean {
    const { host, bytes, wireBytes } = arrival;
    const { key } = fetch;
    if (bytes.length !== fetch.context.chunkSizeBytes || chunkIdOf(bytes) !== id) {
      this.#tell({ type: 'corrupt', peer: host, key });
      return false;
    }
    fetch.count(arrival, this.#clock.nowUs());
    this.#fetches.delete(key);
    this.#tell({ type: 'arrived', peer: host, key, lengthBytes: wireBytes });
    this.#wishes.measured(host, this.#scheduler.linkBytesPerSecondOf(host), this.#hosts.get(host)?.values() ?? []);
    this.#takeBack(fetch);
    fetch.resolve(bytes);
    return true;
  }

  #drop(fetch: ChunkFetch): void {
    this.#fetches.delete(fetch.key);
    this.#tell({ type: 'giveUp', key: fetch.key });
    this.#takeBack(fetch);
  }

  /** Ends the requests of a fetch that is over; the scheduler's own cancels find nothing left to do. */
  #takeBack(fetch: ChunkFetch): void {
    for (const peer of [...fetch.requests.keys()]) this.#cancel(fetch, peer);
    fetch.held.clear();
  }

  #answered(channel: FetchChannel, token: RequestToken): ChunkFetch | undefined {
    const asked = this.#channels.get(channel)?.asked;
    const fetch = asked?.get(token);
    asked?.delete(token);
    return fetch;
  }

  /** Events one at a time: what an effect causes waits until the effects before it are done. */
  #tell(event: SchedulerEvent): void {
    this.#events.push(event);
    if (this.#telling) return;
    this.#telling = true;
    try {
      for (let next = this.#events.shift(); next !== undefined; next = this.#events.shift()) {
        for (const effect of this.#scheduler.apply(next, this.#clock.nowUs())) this.#perform(effect);
      }
    } finally {
      this.#telling = false;
    }
  }

  #perform(effect: Effect): void {
    switch (effect.type) {
      case 'request':
        this.#request(effect.peer, effect.want, effect.lane === 'fault' ? 'control' : 'bulk');
        break;
      case 'cancel': {
        const fetch = this.#fetches.get(effect.key);
        if (fetch !== undefined) this.#cancel(fetch, effect.peer);
        break;
      }
      case 'timer':
        this.#timer?.cancel();
        this.#timer = this.#clock.setTimer(
          Math.max(0, (effect.atUs - this.#clock.nowUs()) / 1000),
          () => this.#tell({ type: 'timer' }),
          { background: true },
        );
        break;
      case 'ban':
        this.#hosts.get(effect.peer)?.values().next().value?.misbehaved('a chunk that does not match its id');
        break;
      case 'unavailable':
      case 'late':
        break;
    }
  }

  #request(peer: HostId, want: Want, lane: 'control' | 'bulk'): void {
    const fetch = this.#fetches.get(want.key);
    const channel = this.#hosts.get(peer)?.get(want.disk);
    const base = this.#disks.get(want.disk)?.source.baseOf(want.piece) ?? null;
    const token = fetch && channel?.request({ generation: fetch.generation, piece: want.piece, lane, base });
    if (fetch === undefined || channel === undefined || token === null || token === undefined) {
      this.#events.push({ type: 'rejected', peer, key: want.key });
      return;
    }
    fetch.requests.set(peer, { channel, token, sentAtUs: this.#clock.nowUs() });
    this.#channels.get(channel)?.asked.set(token, fetch);
  }

  #cancel(fetch: ChunkFetch, peer: HostId): void {
    fetch.held.delete(peer);
    const request = fetch.requests.get(peer);
    if (request === undefined) return;
    fetch.requests.delete(peer);
    this.#channels.get(request.channel)?.asked.delete(request.token);
    request.channel.cancel(request.token);
  }

  *#holders({ disk, root, piece }: PiecePosition): Iterable<FetchHolder> {
    const source = this.#disks.get(disk)?.source;
    const generation = source?.generationOf(root) ?? null;
    if (source === undefined || generation === null) return;
    yield* source.holders(generation, piece);
  }

  *#whoHas(want: Want): Iterable<Holder> {
    for (const { channel, certainty } of this.#holders(want)) yield { peer: channel.host, certainty };
  }
}

function givenUp(): DiskswarmError {
  return new DiskswarmError('ABORTED', 'the chunk was given up');
}
