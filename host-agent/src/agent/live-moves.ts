/**
 * What a migration may do with the hand-overs of one disk: make one wait for its guest, and examine those that come.
 *
 * The ownership driver asks here at each step; without a migration the steps are the ordinary ones.
 */
import type { DiskswarmError, HostId } from '@diskswarm/core';
import type { Generation } from '@diskswarm/identity';
import { LiveHandOver } from './live-hand-over.ts';

export interface LiveMovesOptions {
  /** `live`: a connected client does not matter, its guest is stopped. */
  readonly hold: (options: { live: boolean }) => Promise<void>;
  readonly seal: (group: string | null) => Promise<Generation>;
  /** Runs the hand-over, in turn with other structural work. */
  readonly handOver: (to: HostId, around: (run: () => Promise<void>) => Promise<void>) => Promise<void>;
  /** Why the hand-over ended without a relinquish; null when it did not. */
  readonly failure: () => DiskswarmError | null;
}

export class LiveMoves {
  readonly #options: LiveMovesOptions;
  #leaving: LiveHandOver | null = null;
  #examine: ((final: Generation) => Promise<void>) | null = null;

  constructor(options: LiveMovesOptions) {
    this.#options = options;
  }

  /** Hands the disk over while its guest moves too: the steps happen when the migration says so. Other structural work waits meanwhile. `group`: of the final seals of the machine's disks. */
  handOver(to: HostId, group: string | null = null): LiveHandOver {
    const { hold, seal, handOver, failure } = this.#options;
    const leaving = new LiveHandOver({ hold: () => hold({ live: true }), seal: () => seal(group) });
    leaving.begin(
      () =>
        handOver(to, async (run) => {
          this.#leaving = leaving;
          try {
            await run();
          } finally {
            this.#leaving = null;
          }
        }),
      failure,
    );
    return leaving;
  }

  /** Has offers of this disk examined by a migration, which may make them wait, and refuses them by rejecting. Null ends it. */
  examineOffers(examine: ((final: Generation) => Promise<void>) | null): void {
    this.#examine = examine;
  }

  /** The hold step of whatever hand-over is under way. */
  hold(): Promise<void> {
    return this.#leaving?.hold() ?? this.#options.hold({ live: false });
  }

  /** Its seal step. */
  finalSeal(): Promise<Generation> {
    return this.#leaving?.finalSeal() ?? this.#options.seal(null);
  }

  /** Resolves when an offer may be accepted. */
  async examine(final: Generation): Promise<void> {
    await this.#examine?.(final);
  }
}
