/**
 * The hand-over of a disk whose guest moves with it: the steps of an ordinary one, each waiting until the migration says go.
 *
 * Sits between the ownership driver, which asks for `hold` and `seal` in the order of its machine, and the migration, which decides when each may
 * happen. Nothing is given away before `relinquish`; `abort` until then makes the export writable again.
 */
import { DiskswarmError } from '@diskswarm/core';
import type { Generation } from '@diskswarm/identity';

/** What the disk does at each step. */
export interface LiveSteps {
  hold(): Promise<void>;
  seal(): Promise<Generation>;
}

export class LiveHandOver {
  readonly #steps: LiveSteps;
  readonly #held = Promise.withResolvers<void>();
  readonly #maySeal = Promise.withResolvers<void>();
  readonly #sealed = Promise.withResolvers<Generation>();
  readonly #mayRelinquish = Promise.withResolvers<void>();
  /** The hand-over's own run: resolves when the relinquish is sent, or everything is taken back. */
  #run: Promise<void> = Promise.resolve();
  #aborted: DiskswarmError | null = null;

  constructor(steps: LiveSteps) {
    this.#steps = steps;
    // Whoever waits is told; that nobody may be waiting is no defect.
    for (const each of [this.#held, this.#maySeal, this.#sealed, this.#mayRelinquish]) each.promise.catch(() => {});
  }

  /** Starts `run`, the hand-over that will call `hold` and `seal`; `failure` names why it ended without a relinquish, if it did. */
  begin(run: () => Promise<void>, failure: () => DiskswarmError | null): void {
    this.#run = run().then(
      () => {
        const error = failure();
        if (error !== null) this.#fail(error);
      },
      (error: unknown) => {
        this.#fail(error);
        throw error;
      },
    );
    this.#run.catch(() => {});
  }

  /** For the hand-over: its hold step. */
  async hold(): Promise<void> {
    this.#assertGoing();
    await this.#steps.hold();
    this.#held.resolve();
  }

  /** For the hand-over: its seal step, which ends when the disk may be given away. */
  async finalSeal(): Promise<Generation> {
    await this.#maySeal.promise;
    const final = await this.#steps.seal();
    this.#sealed.resolve(final);
    await this.#mayRelinquish.promise;
    this.#assertGoing();
    return final;
  }

  /** Resolves when the export is drained and refuses writes. */
  held(): Promise<void> {
    return this.#held.promise;
  }

  /** Seals what was written; the generation is durable. */
  seal(): Promise<Generation> {
    this.#maySeal.resolve();
    return this.#sealed.promise;
  }

  /** Gives the disk away: resolves when the record is durable and sent. */
  async relinquish(): Promise<void> {
    this.#mayRelinquish.resolve();
    await this.#run;
    if (this.#aborted !== null) throw this.#aborted;
  }

  /** Takes everything back; resolves when the export is writable again. Without effect once the relinquish is made. */
  async abort(why: DiskswarmError): Promise<void> {
    this.#fail(why);
    await this.#run.catch(() => {});
  }

  #fail(error: unknown): void {
    this.#aborted ??=
      error instanceof DiskswarmError
        ? error
        : new DiskswarmError('INTERNAL', 'the hand-over ended unexpectedly', { cause: error });
    for (const each of [this.#held, this.#maySeal, this.#sealed, this.#mayRelinquish]) each.reject(this.#aborted);
  }

  #assertGoing(): void {
    if (this.#aborted !== null) throw this.#aborted;
  }
}
