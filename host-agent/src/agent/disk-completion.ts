/**
 * Brings all of the newest generation here, and says so: the background fetch of one disk, and the receipt at its end.
 *
 * A disk that is attached for writing is always fetched whole, so that nothing depends on other hosts in the end, and so is every disk of a keeper; others
 * when somebody waits for it.
 * A newer generation takes the place of the one under way.
 */
import { hasCode, type PieceIndex } from '@diskswarm/core';
import type { OwnershipMessage } from '@diskswarm/ownership';
import { BackgroundFetch } from './background-fetch.ts';
import type { ChangeSignal } from './change-signal.ts';
import type { DiskContent } from './disk-content.ts';
import type { DiskRecords } from './disk-records.ts';
import type { Environment } from './environment.ts';
import type { PieceChunks } from './piece-chunks.ts';
import type { PieceIntake } from './piece-intake.ts';
import type { Receipts } from './receipts.ts';

export interface DiskCompletionOptions {
  readonly env: Environment;
  readonly name: string;
  readonly records: DiskRecords;
  readonly content: DiskContent;
  readonly chunks: PieceChunks;
  readonly intake: PieceIntake;
  readonly receipts: Receipts;
  readonly changed: ChangeSignal;
  /** The last trace, for disks of that many pieces. */
  readonly trace: (pieces: number) => PieceIndex[];
  readonly sendAll: (message: OwnershipMessage) => void;
  /** All of the disk is wanted here whoever waits: it is attached for writing, or this host is a keeper. */
  readonly isWanted: () => boolean;
}

export class DiskCompletion {
  readonly #options: DiskCompletionOptions;
  #running: BackgroundFetch | null = null;
  #stopped = false;

  constructor(options: DiskCompletionOptions) {
    this.#options = options;
  }

  isComplete(): boolean {
    return this.#options.content.head?.complete === true;
  }

  /** Resolves when the newest generation is complete and durable here. */
  async complete({ signal }: { signal: AbortSignal }): Promise<void> {
    const { changed, intake } = this.#options;
    await changed.until(
      () => {
        if (this.isComplete()) return true;
        this.#begin();
        return false;
      },
      { signal },
    );
    await intake.flush();
  }

  /** The newest generation or its use changed. */
  update(): void {
    const wanted = this.#running !== null || this.#options.isWanted();
    if (this.#running !== null && this.#running.view !== this.#options.content.head) this.#cancel();
    if (wanted) this.#begin();
  }

  /** Gives a receipt once the newest generation is complete and durable here. */
  async check(): Promise<void> {
    const { env, name, records, receipts, intake, changed } = this.#options;
    changed.fire();
    const head = records.head;
    if (head === null || !this.isComplete() || this.#stopped || receipts.own?.generation === head.id) return;
    try {
      await intake.flush();
      await env.store.sync();
      this.#options.sendAll(await receipts.give(head));
    } catch (error) {
      env.log.warn({ disk: records.disk }, `no receipt for disk "${name}": ${String(error)}`);
    }
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel();
  }

  #begin(): void {
    const { env, name, records, content, chunks, intake, changed } = this.#options;
    const view = content.head;
    if (view === null || view.complete || this.#stopped || this.#running !== null) return;
    const fetch = new BackgroundFetch(chunks, view);
    this.#running = fetch;
    const ended = (error: unknown): void => {
      if (this.#running === fetch) this.#running = null;
      if (error !== null && !hasCode(error, 'ABORTED')) env.log.warn({ disk: records.disk }, `the background fetch of disk "${name}" stopped: ${String(error)}`);
      changed.fire();
    };
    fetch
      .run(this.#options.trace(view.piecesTotal), () => content.wholeManifest())
      .then(() => intake.flush())
      .then(() => ended(null), ended);
  }

  #cancel(): void {
    this.#running?.stop();
    this.#running = null;
  }
}
