/** A host that fetches through real sessions and channels, as a host agent does, without its store. */
import { chunkIdOf } from '@diskswarm/chunk';
import type { ChunkId, PieceIndex, Priority } from '@diskswarm/core';
import { PRIORITY } from '@diskswarm/core';
import { type ChannelHandlers, type DiskChannel, FetchEngine, type FetchTimes } from '../../src/index.ts';
import { TestRandom } from './test-clock.ts';
import { chunkOf, generationOne, piece, rootOne, type TestMembership } from './test-host.ts';
import type { World } from './world.ts';

const CHUNK = 65_536;

/** A host that fetches, and what its engine counted. */
export class Fetcher {
  readonly world: World;
  readonly engine: FetchEngine;
  readonly membership: TestMembership;
  readonly bytesBySource = new Map<string, number>();
  readonly times: FetchTimes[] = [];

  /** What stands in a piece. */
  contentOf: (index: number) => Uint8Array = (index) => chunkOf(index, CHUNK);
  /** What stood there before and is here. */
  baseOf: (index: PieceIndex) => ChunkId | null = () => null;

  constructor(world: World, membership: TestMembership) {
    this.world = world;
    this.membership = membership;
    this.engine = new FetchEngine({ clock: world.clock, random: new TestRandom(9) });
    const known = membership.onChannel.bind(membership);
    membership.onChannel = (channel) => this.#listen(channel, known(channel));
    this.engine.addDisk(
      {
        disk: membership.disk,
        chunkSizeBytes: CHUNK,
        generationOf: () => generationOne,
        baseOf: (index) => this.baseOf(index),
        holders: () =>
          membership.ready
            .filter((channel) => channel.knows(generationOne))
            .map((channel) => ({ channel, certainty: 'unknown' as const })),
      },
      {
        received: (host, bytes) => this.bytesBySource.set(host, (this.bytesBySource.get(host) ?? 0) + bytes),
        fetched: (times) => this.times.push(times),
      },
    );
  }

  get(index: number, priority: Priority): Promise<Uint8Array> {
    const { signal } = new AbortController();
    const position = { disk: this.membership.disk, root: rootOne, piece: piece(index) };
    return this.engine.get(chunkIdOf(new Uint8Array(this.contentOf(index))), position, priority, { signal });
  }

  /** Pulls pieces from `from` on, 64 gets at a time; resolves when all are here. */
  async pull(from: number, to: number): Promise<void> {
    let next = from;
    const one = async (): Promise<void> => {
      while (next < to) await this.get(next++, PRIORITY.bulk);
    };
    await Promise.all(Array.from({ length: 64 }, one));
  }

  #listen(channel: DiskChannel, handlers: ChannelHandlers): ChannelHandlers {
    const { engine, membership } = this;
    return {
      ...handlers,
      onReady: () => {
        handlers.onReady();
        engine.channelReady(channel, membership.disk);
      },
      onGeneration: (generation) => {
        handlers.onGeneration(generation);
        engine.claimsChanged(channel);
      },
      onPiece: (token, bytes, wireBytes) => engine.piece(channel, token, bytes, wireBytes),
      onRejected: (token) => engine.rejected(channel, token),
      onClose: (reason) => {
        handlers.onClose(reason);
        engine.channelClosed(channel);
      },
    };
  }
}
