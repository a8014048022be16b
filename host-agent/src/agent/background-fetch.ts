/**
 * Fetches all of a generation that is not here: first the pieces of the last trace in its order, then the rest from the start. Pieces that changed in
 * more than one round of a move come last, the hottest at the very end: they will most likely change again before they are needed.
 *
 * Only a window of pieces is asked for at a time; what goes over the link, and when, is the scheduler's business. One run serves everybody who waits
 * for completeness; it ends when all is here, or when a newer generation took its place.
 */
import { DiskswarmError, hasCode, type PieceIndex, PRIORITY, type Priority } from '@diskswarm/core';
import type { GenerationView } from './generation-view.ts';
import type { PieceChunks } from './piece-chunks.ts';

/** Pieces asked for at once: enough for the scheduler to choose and to join neighbours. */
const WINDOW = 512;

/** Pieces after which everything else has its turn: the first are to be on their way before the last are asked for. */
const PIECES_PER_TURN = 16;

/** Pieces that somebody stands still for, asked for at once: what a line of 300 Mbit/s and 100 ms holds. */
const URGENT_WINDOW = 64;

/**
 * Asks for all that is missing as a guest's faults are asked for, because it stands still until all is here. A background fetch of the same generation
 * goes on beside it, and says what fails.
 */
export async function fetchUrgently(
  chunks: PieceChunks,
  view: GenerationView,
  { signal }: { signal: AbortSignal },
): Promise<void> {
  const asked = new Set<Promise<void>>();
  for (let leaf = 0; leaf < view.leaves; leaf++) {
    for (const { piece } of await view.missingIn(leaf)) {
      if (signal.aborted) return;
      const one: Promise<void> = chunks
        .ensure(view, piece, PRIORITY.fault, { signal })
        .catch(() => {})
        .finally(() => asked.delete(one));
      asked.add(one);
      if (asked.size >= URGENT_WINDOW) await Promise.race(asked);
    }
  }
  await Promise.all(asked);
}

export class BackgroundFetch {
  readonly #chunks: PieceChunks;
  readonly #view: GenerationView;
  readonly #changesOf: (piece: PieceIndex) => number;
  readonly #controller = new AbortController();
  #running = 0;
  #begun = 0;
  /** Wakes the one loop that waits for room, or for the end. */
  #onRoom: (() => void) | null = null;
  #failure: unknown = null;

  /** `changesOf`: in how many rounds of a move the piece changed. */
  constructor(chunks: PieceChunks, view: GenerationView, changesOf: (piece: PieceIndex) => number) {
    this.#chunks = chunks;
    this.#view = view;
    this.#changesOf = changesOf;
  }

  get view(): GenerationView {
    return this.#view;
  }

  /** Resolves when every piece is here; `manifest` brings the pages first. Rejects with ABORTED after `stop`. */
  async run(trace: readonly PieceIndex[], manifest: () => Promise<void>): Promise<void> {
    const { signal } = this.#controller;
    await this.#fetchAll(
      trace.filter((piece) => piece < this.#view.piecesTotal && !this.#isHot(piece)),
      PRIORITY.workingSet,
    );
    await manifest();
    const hot: PieceIndex[] = [];
    for (let leaf = 0; leaf < this.#view.leaves; leaf++) {
      this.#check(signal);
      const missing = await this.#view.missingIn(leaf);
      for (const { piece } of missing) {
        if (this.#isHot(piece)) hot.push(piece);
        else await this.#begin(piece, PRIORITY.bulk);
      }
    }
    await this.#fetchAll(
      hot.sort((left, right) => this.#changesOf(left) - this.#changesOf(right)),
      PRIORITY.bulk,
    );
    while (this.#running > 0) await new Promise<void>((resolve) => (this.#onRoom = resolve));
    this.#check(signal);
  }

  stop(): void {
    this.#controller.abort(stopped());
  }

  #isHot(piece: PieceIndex): boolean {
    return this.#changesOf(piece) > 1;
  }

  async #fetchAll(pieces: readonly PieceIndex[], priority: Priority): Promise<void> {
    for (const piece of pieces) if (!this.#view.has(piece)) await this.#begin(piece, priority);
  }

  async #begin(piece: PieceIndex, priority: Priority): Promise<void> {
    this.#check(this.#controller.signal);
    if (this.#running >= WINDOW) await new Promise<void>((resolve) => (this.#onRoom = resolve));
    if (++this.#begun % PIECES_PER_TURN === 0) await new Promise(setImmediate);
    this.#running++;
    this.#chunks
      .ensure(this.#view, piece, priority, { signal: this.#controller.signal })
      .catch((error: unknown) => {
        if (hasCode(error, 'ABORTED')) return;
        this.#failure ??= error;
        this.stop(); // What else is on its way would meet the same.
      })
      .finally(() => {
        this.#running--;
        this.#onRoom?.();
        this.#onRoom = null;
      });
  }

  #check(signal: AbortSignal): void {
    if (this.#failure !== null) throw this.#failure;
    if (signal.aborted) throw stopped();
  }
}

function stopped(): DiskswarmError {
  return new DiskswarmError('ABORTED', 'the background fetch was stopped');
}
