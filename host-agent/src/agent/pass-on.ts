/**
 * Fetches pieces of a template that other hosts ask for and that are not here, where this host runs clones of it itself.
 *
 * So that a piece leaves its only holder once, however many hosts start from the template (shared-sources.ts). A piece
 * that a guest waits for there is fetched as if one waited here. Bounded in number and time; what is not to be had in time is refused.
 */
import { type GenerationId, type HostId, type PieceIndex, PRIORITY, type Priority } from '@diskswarm/core';
import type { Environment } from './environment.ts';
import type { ManagedDisk } from './managed-disk.ts';
import { within } from './time-limit.ts';

/** Pieces of one disk that are fetched for others at a time; beyond, the askers go to the holder. */
const MAX_PASSED_ON = 256;
/** A piece that was not fetched by then is refused. */
const LIMIT_MS = 10_000;

/** The disk whose pieces are fetched. */
type OfDisk = Pick<ManagedDisk, 'disk' | 'peers' | 'templates' | 'chunks'>;

export class PassOn {
  readonly #of: OfDisk;
  readonly #env: Pick<Environment, 'clock' | 'disks'>;
  readonly #signal: AbortSignal;
  #running = 0;

  /** `signal` ends it with the disk. */
  constructor(disk: OfDisk, env: Pick<Environment, 'clock' | 'disks'>, signal: AbortSignal) {
    this.#of = disk;
    this.#env = env;
    this.#signal = signal;
  }

  /** Resolves once the piece is here or is not to be had; null where it is not fetched for others. Never rejects. */
  bring(generation: GenerationId, piece: PieceIndex, asker: HostId, urgent: boolean): Promise<void> | null {
    if (this.#running >= MAX_PASSED_ON || !this.#of.templates.lists(generation) || !this.#hasClones()) return null;
    if (!this.#isHeldElsewhere(generation, piece, asker)) return null;
    return this.#fetch(generation, piece, urgent ? PRIORITY.fault : PRIORITY.workingSet);
  }

  async #fetch(generation: GenerationId, piece: PieceIndex, priority: Priority): Promise<void> {
    const { templates, chunks } = this.#of;
    const limit = { clock: this.#env.clock, limitMs: LIMIT_MS, signal: this.#signal, what: `piece ${piece}` };
    this.#running++;
    try {
      const view = await templates.view(generation);
      if (view.has(piece)) return;
      await within(limit, (limited) => chunks.ensure(view, piece, priority, { signal: limited }));
    } catch {
      // It is refused; whoever asked goes elsewhere.
    } finally {
      this.#running--;
    }
  }

  #hasClones(): boolean {
    for (const { base } of this.#env.disks.values()) if (base.disk?.disk === this.#of.disk) return true;
    return false;
  }

  #isHeldElsewhere(generation: GenerationId, piece: PieceIndex, asker: HostId): boolean {
    for (const { channel, certainty } of this.#of.peers.holders(generation, piece)) {
      if (certainty === 'has' && channel.host !== asker) return true;
    }
    return false;
  }
}
