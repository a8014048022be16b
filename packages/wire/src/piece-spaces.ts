/**
 * Which index on the wire is which piece of which generation.
 *
 * A channel has 2^31 indexes. Each side opens the generations it speaks of in its own half, one after the other: a space
 * is a run of indexes, named by its first. A run is never used twice on a channel, so an answer that comes late cannot be
 * taken for one of another generation; when a half is used up, the channel is opened anew.
 */
import { DiskswarmError, type GenerationId, type PieceIndex } from '@diskswarm/core';
import { INDEX_SPACE, MAX_SPACES } from './limits.ts';

/** A generation's run of indexes: `space` to `space + pieces - 1`. */
export interface PieceSpace {
  readonly space: number;
  readonly pieces: number;
  readonly generation: GenerationId;
}

const HALF = INDEX_SPACE / 2;

export class PieceSpaces {
  readonly #ownBase: number;
  readonly #own: PieceSpace[] = [];
  readonly #theirs: PieceSpace[] = [];
  readonly #byGeneration = new Map<GenerationId, PieceSpace>();

  /** The side that dialled has the lower half. */
  constructor({ initiator }: { initiator: boolean }) {
    this.#ownBase = initiator ? 0 : HALF;
  }

  /** Opens a generation on our side; null when our half has no room left. A known one keeps its space. */
  open(generation: GenerationId, pieces: number): PieceSpace | null {
    const known = this.#byGeneration.get(generation);
    if (known !== undefined) return known;
    const last = this.#own.at(-1);
    const space = last === undefined ? this.#ownBase : last.space + last.pieces;
    if (this.#own.length >= MAX_SPACES || space + pieces > this.#ownBase + HALF) return null;
    return this.#add(this.#own, { space, pieces, generation });
  }

  /** Takes over what the peer opened; throws PROTOCOL_ERROR when it is not the next run of its half. */
  adopt(space: number, generation: GenerationId, pieces: number): PieceSpace {
    const base = HALF - this.#ownBase;
    const last = this.#theirs.at(-1);
    const expected = last === undefined ? base : last.space + last.pieces;
    if (space !== expected || pieces < 1 || space + pieces > base + HALF || this.#theirs.length >= MAX_SPACES) {
      throw new DiskswarmError('PROTOCOL_ERROR', 'a generation opened out of turn', {
        data: { space, expected, pieces },
      });
    }
    return this.#add(this.#theirs, { space, pieces, generation });
  }

  /** The space of a generation that either side opened. */
  of(generation: GenerationId): PieceSpace | undefined {
    return this.#byGeneration.get(generation);
  }

  /** The space that starts at `space`. */
  at(space: number): PieceSpace | undefined {
    const found = this.find(space);
    return found?.piece === 0 ? found.space : undefined;
  }

  /** The piece behind an index; undefined when nobody opened it. */
  find(index: number): { readonly space: PieceSpace; readonly piece: PieceIndex } | undefined {
    const ownHalf = index >= this.#ownBase && index < this.#ownBase + HALF;
    const spaces = ownHalf ? this.#own : this.#theirs;
    let low = 0;
    let high = spaces.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (spaces[middle]!.space <= index) low = middle + 1;
      else high = middle;
    }
    const space = spaces[low - 1];
    if (space === undefined || index >= space.space + space.pieces) return undefined;
    return { space, piece: (index - space.space) as PieceIndex };
  }

  #add(spaces: PieceSpace[], space: PieceSpace): PieceSpace {
    spaces.push(space);
    if (!this.#byGeneration.has(space.generation)) this.#byGeneration.set(space.generation, space);
    return space;
  }
}
