/**
 * What is known of the pieces that changed lately: the chunk that stood in their place before and is here, and how often they changed in the
 * rounds of a move.
 *
 * The first lets a new chunk travel as what differs from the old one; it is a hint, and whoever uses it looks for the chunk again. The second
 * lets those come last that will change once more. In memory alone, and bounded: what does not fit comes as ever.
 */
import { type ChunkId, type GenerationId, PAGE_FANOUT, type PieceIndex, ZERO_ID } from '@diskswarm/core';
import { idAt, type LeafChange, sameIdAt } from '@diskswarm/manifest';
import type { GenerationView } from './generation-view.ts';

/** Pieces of one disk of which an earlier chunk is remembered. */
const MAX_EARLIER_CHUNKS = 65_536;
/** Pieces of one disk whose changes are counted. */
const MAX_COUNTED_PIECES = 65_536;

export class PieceHistory {
  readonly #isRound: (generation: GenerationId) => boolean;
  readonly #bases = new Map<PieceIndex, ChunkId>();
  readonly #changes = new Map<PieceIndex, number>();

  /** `isRound`: the generation is one of a move under way, which another one follows. */
  constructor(isRound: (generation: GenerationId) => boolean) {
    this.#isRound = isRound;
  }

  /** The newest generation is `after`, which differs from the one before it in `differences`. */
  moved(before: GenerationView, after: GenerationView, differences: readonly LeafChange[]): void {
    const round = this.#isRound(after.subject.generation);
    if (!round) this.#changes.clear();
    for (const piece of this.#bases.keys()) if (after.has(piece)) this.#bases.delete(piece);
    for (const change of differences) {
      for (let slot = 0; slot < PAGE_FANOUT; slot++) {
        if (sameIdAt(change.before, change.after, slot)) continue;
        const piece = (change.leaf * PAGE_FANOUT + slot) as PieceIndex;
        if (round) this.#count(piece);
        const base = idAt(change.before, slot);
        if (base !== ZERO_ID && before.has(piece) && !after.has(piece)) this.#keep(piece, base);
      }
    }
  }

  /** The chunk that stood in the piece's place when there last was one here; null when that is not known. */
  baseOf(piece: PieceIndex): ChunkId | null {
    return this.#bases.get(piece) ?? null;
  }

  /** In how many rounds of the move under way the piece changed. */
  changesOf(piece: PieceIndex): number {
    return this.#changes.get(piece) ?? 0;
  }

  #keep(piece: PieceIndex, base: ChunkId): void {
    if (this.#bases.size < MAX_EARLIER_CHUNKS || this.#bases.has(piece)) this.#bases.set(piece, base);
  }

  #count(piece: PieceIndex): void {
    const known = this.#changes.get(piece);
    if (known !== undefined || this.#changes.size < MAX_COUNTED_PIECES) this.#changes.set(piece, (known ?? 0) + 1);
  }
}
