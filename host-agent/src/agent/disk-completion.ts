/**
 * Brings all of the newest generation here, and says so: the background fetch of one disk, and the receipt at its end.
 *
 * A disk that is attached for writing is always fetched whole, so that nothing depends on other hosts in the end, and so is every disk of a keeper; others
 * when somebody waits for it.
 * A newer generation takes the place of the one under way.
 */
import { DiskswarmError, type GenerationId, hasCode, messageOf, type PieceIndex, type Timer } from '@diskswarm/core';
import type { Generation } from '@diskswarm/identity';
import type { OwnershipMessage } from '@diskswarm/ownership';
import { BackgroundFetch, fetchUrgently } from './background-fetch.ts';
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

/** A fetch that failed, for want of room mostly, is begun again after this; doubled each time up to the last. */
const FIRST_RETRY_MS = 5_000;
const LAST_RETRY_MS = 300_000;

/** One background fetch, and how it ended. */
interface Run {
  readonly fetch: BackgroundFetch;
  ended: boolean;
  /** What went wrong; null for nothing, or when it was stopped. */
  failure: unknown;
}

export class DiskCompletion {
  readonly #options: DiskCompletionOptions;
  #run: Run | null = null;
  #retry: Timer | null = null;
  #retryMs = FIRST_RETRY_MS;
  #stopped = false;

  constructor(options: DiskCompletionOptions) {
    this.#options = options;
  }

  /** Every page and chunk of the newest generation that is known is here. */
  isComplete(): boolean {
    const { content, records } = this.#options;
    const view = content.head;
    return view !== null && !content.doubted && view.complete && view.subject.generation === records.head?.id;
  }

  /** Whether a receipt that was given for a generation still says the truth, as far as that is known. */
  stands(generation: GenerationId): boolean {
    const { content, records } = this.#options;
    return generation === records.head?.id ? this.isComplete() : !content.doubted;
  }

  /** Resolves when the newest generation is complete and durable here; rejects with what stopped its fetch. `urgent`: a guest stands still for it. */
  async complete({ signal, urgent = false }: { signal: AbortSignal; urgent?: boolean }): Promise<void> {
    const { changed, intake, env, content, chunks } = this.#options;
    while (!this.isComplete()) {
      const run = this.#begin();
      const view = content.head;
      if (urgent && view !== null) fetchUrgently(chunks, view, { signal }).catch(() => {}); // The run tells.
      await changed.until(
        () => this.isComplete() || run?.ended === true || (run === null && this.#options.content.head !== view),
        { signal },
      );
      if (run !== null && run.failure !== null) throw this.#explained(run.failure);
      // It ended without a failure: a newer generation took over, or something was lost meanwhile. What follows is a change.
      if (run?.ended === true && !this.isComplete() && this.#options.content.head === run.fetch.view) {
        await changed.until(() => this.isComplete() || this.#options.content.head !== run.fetch.view, { signal });
      }
    }
    await intake.flush();
    await env.store.sync();
  }

  /** Begins to bring it all, unless that is under way; whoever wants to know how it ends calls `complete`. */
  begin(): void {
    this.#begin();
  }

  /** The newest generation or its use changed. */
  update(): void {
    const { content, isWanted } = this.#options;
    const wanted = this.#run !== null || isWanted();
    if (this.#run !== null && this.#run.fetch.view !== content.head) this.#cancel();
    if (wanted) this.#begin();
  }

  /** Gives a receipt once the newest generation is complete and durable here. */
  async check(): Promise<void> {
    const { env, name, records, receipts, changed } = this.#options;
    changed.fire();
    const head = records.head;
    if (head === null || !this.isComplete() || this.#stopped || receipts.own?.generation === head.id) return;
    try {
      const message = await this.#receipt(head);
      if (message !== null) this.#options.sendAll(message);
    } catch (error) {
      env.log.warn({ disk: records.disk }, `no receipt for disk "${name}": ${String(error)}`);
    }
  }

  /** A fresh receipt for a host that asks for one; null when that generation is not the newest, or not all of it is here. */
  async receiptFor(generation: GenerationId, nonce: Uint8Array): Promise<OwnershipMessage | null> {
    const { head } = this.#options.records;
    return head?.id === generation ? this.#receipt(head, nonce) : null;
  }

  stop(): void {
    this.#stopped = true;
    this.#retry?.cancel();
    this.#cancel();
  }

  /** Somebody may drop the last other copy for it: durable first, and complete still when it is signed. */
  async #receipt(head: Generation, nonce?: Uint8Array): Promise<OwnershipMessage | null> {
    const { env, records, receipts, intake } = this.#options;
    if (!this.isComplete()) return null;
    await intake.flush();
    await env.store.sync();
    if (!this.isComplete() || records.head?.id !== head.id) return null;
    return receipts.give(head, nonce);
  }

  /** The run that is under way, begun if there is none; null while there is nothing to fetch. */
  #begin(): Run | null {
    const { env, content, chunks, intake } = this.#options;
    const view = content.head;
    if (this.#run !== null) return this.#run;
    if (view === null || view.complete || this.#stopped) return null;
    this.#retry?.cancel();
    const run: Run = {
      fetch: new BackgroundFetch(chunks, view, (piece) => content.history.changesOf(piece)),
      ended: false,
      failure: null,
    };
    this.#run = run;
    run.fetch
      .run(this.#options.trace(view.piecesTotal), () => content.wholeManifest())
      .then(() => intake.flush())
      .then(() => env.store.sync())
      .then(
        () => this.#ended(run, null),
        (error: unknown) => this.#ended(run, error),
      );
    return run;
  }

  #ended(run: Run, error: unknown): void {
    const { env, name, records, changed } = this.#options;
    run.ended = true;
    run.failure = hasCode(error, 'ABORTED') ? null : error;
    if (this.#run === run) this.#run = null;
    if (run.failure === null) {
      this.#retryMs = FIRST_RETRY_MS;
    } else if (!this.#stopped) {
      env.log.warn({ disk: records.disk }, `the background fetch of disk "${name}" stopped: ${messageOf(error)}`);
      this.#retry = env.clock.setTimer(this.#retryMs, () => this.update(), { background: true });
      this.#retryMs = Math.min(LAST_RETRY_MS, this.#retryMs * 2);
    }
    changed.fire();
  }

  #explained(failure: unknown): unknown {
    const { name, records } = this.#options;
    if (!hasCode(failure, 'DISK_FULL')) return failure;
    return new DiskswarmError(
      'DISK_FULL',
      `the state folder has no room for the rest of disk "${name}"; what came is kept. Free space, then go on`,
      {
        data: { disk: records.disk, name },
        cause: failure,
      },
    );
  }

  #cancel(): void {
    this.#run?.fetch.stop();
    this.#run = null;
  }
}
