/**
 * The one way a fetched chunk enters this host: stored, marked present, and, once durable, offered to peers.
 *
 * A guest may use a chunk as soon as it is stored; a peer hears of it only after a sync (design D4). Syncs are batched: the first
 * new chunk starts a short timer.
 */
import type { ChunkId, ChunkStore, Clock, DiskId, PieceIndex, Timer } from '@diskswarm/core';
import type { GenerationView } from './generation-view.ts';

/** New chunks wait at most this long for their sync and claim. */
const CLAIM_DELAY_MS = 200;

export interface IntakeListener {
  /** These pieces are durable here now. */
  durable(view: GenerationView, pieces: readonly PieceIndex[]): void;
  /** A sync failed: what it was for is tried again with the next. */
  failed(error: unknown): void;
}

export class PieceIntake {
  readonly #store: ChunkStore;
  readonly #clock: Clock;
  readonly #disk: DiskId;
  readonly #listener: IntakeListener;
  readonly #fresh = new Map<GenerationView, PieceIndex[]>();
  #timer: Timer | null = null;
  #flushing: Promise<void> = Promise.resolve();

  constructor(store: ChunkStore, clock: Clock, disk: DiskId, listener: IntakeListener) {
    this.#store = store;
    this.#clock = clock;
    this.#disk = disk;
    this.#listener = listener;
  }

  /** Stores verified bytes of a piece. Returns the time the store took, in microseconds. */
  async take(view: GenerationView, piece: PieceIndex, id: ChunkId, bytes: Uint8Array): Promise<number> {
    const started = this.#clock.nowUs();
    await this.#store.put(id, bytes, this.#disk);
    this.note(view, piece);
    return this.#clock.nowUs() - started;
  }

  /** A piece's chunk is in the store, admitted to the disk. */
  note(view: GenerationView, piece: PieceIndex): void {
    if (!view.addPiece(piece)) return;
    const pieces = this.#fresh.get(view);
    if (pieces === undefined) this.#fresh.set(view, [piece]);
    else pieces.push(piece);
    this.#timer ??= this.#clock.setTimer(
      CLAIM_DELAY_MS,
      () => {
        this.#timer = null;
        this.flush().catch((error: unknown) => this.#listener.failed(error));
      },
      { background: true },
    );
  }

  /** Makes everything taken so far durable and offers it. */
  flush(): Promise<void> {
    const run = async (): Promise<void> => {
      if (this.#fresh.size === 0) return;
      const batch = [...this.#fresh];
      this.#fresh.clear();
      try {
        await this.#store.sync();
      } catch (error) {
        for (const [view, pieces] of batch) this.#fresh.set(view, [...pieces, ...(this.#fresh.get(view) ?? [])]);
        throw error;
      }
      for (const [view, pieces] of batch) this.#listener.durable(view, pieces);
    };
    this.#flushing = this.#flushing.then(run, run);
    return this.#flushing;
  }

  /** Drops the timer; what was not offered is found again at the next start. */
  stop(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }
}
