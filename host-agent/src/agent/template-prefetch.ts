/**
 * Fetches what guests of other clones touched ahead of the guests here: the trace of a template's first boot, while that still runs.
 *
 * Only where a clone of the template is attached on this host, and only what the trace names. A hint: whatever fails is left to the
 * fault that will come. One run at a time; what arrives meanwhile is taken up at its end.
 */
import { type DiskId, type PieceIndex, PRIORITY } from '@diskswarm/core';
import type { GenerationView } from './generation-view.ts';
import type { ManagedDisk } from './managed-disk.ts';

/** Pieces asked for at once: what a holder behind a slow line sends within a second, so that nobody asks it twice. */
const WINDOW = 32;

/** The template's disk. */
type OfDisk = Pick<ManagedDisk, 'disk' | 'templates' | 'chunks'>;

export class TemplatePrefetch {
  readonly #of: OfDisk;
  readonly #disks: ReadonlyMap<DiskId, ManagedDisk>;
  #next: readonly PieceIndex[] | null = null;
  #running = false;

  constructor(disk: OfDisk, disks: ReadonlyMap<DiskId, ManagedDisk>) {
    this.#of = disk;
    this.#disks = disks;
  }

  /** Fetches these pieces in their order, as far as clones that are attached here lack them. */
  fetch(pieces: readonly PieceIndex[]): void {
    this.#next = pieces;
    if (this.#running) return;
    this.#running = true;
    this.#run()
      .catch(() => {}) // The disk is closed, or has no room.
      .finally(() => {
        this.#running = false;
      });
  }

  async #run(): Promise<void> {
    for (let pieces = this.#take(); pieces !== null; pieces = this.#take()) {
      const generation = this.#attachedClone()?.base.named?.generation;
      if (generation === undefined) return;
      const view = await this.#of.templates.view(generation);
      const missing = pieces.filter((piece) => piece < view.piecesTotal && !view.has(piece));
      const worker = async (): Promise<void> => {
        for (let piece = missing.shift(); piece !== undefined; piece = missing.shift()) await this.#bring(view, piece);
      };
      await Promise.all(Array.from({ length: WINDOW }, worker));
    }
  }

  #bring(view: GenerationView, piece: PieceIndex): Promise<void> {
    return this.#of.chunks.ensure(view, piece, PRIORITY.workingSet, { signal: new AbortController().signal });
  }

  #take(): readonly PieceIndex[] | null {
    const pieces = this.#next;
    this.#next = null;
    return pieces;
  }

  #attachedClone(): ManagedDisk | undefined {
    return [...this.#disks.values()].find(
      ({ base, attachment }) => base.disk?.disk === this.#of.disk && attachment.attachment !== null,
    );
  }
}
