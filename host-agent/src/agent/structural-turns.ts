/**
 * The structural work of one disk, one piece at a time: attach, detach, seal, the steps of a hand-over, removal.
 *
 * Once the disk is being removed nothing begins any more (DISK_NOT_FOUND), except what ends or repairs what is there.
 */
import { DiskswarmError } from '@diskswarm/core';
import { Turns } from './turns.ts';

export class StructuralTurns {
  readonly #name: string;
  readonly #turns = new Turns();
  #closed = false;

  /** `name` of the disk, for messages. */
  constructor(name: string) {
    this.#name = name;
  }

  /** Runs `work` after all that was asked for before; DISK_NOT_FOUND once closed. */
  run<Result>(work: () => Promise<Result>): Promise<Result> {
    return this.#turns.run(() => {
      this.assertOpen();
      return work();
    });
  }

  /** The same, closed or not. */
  runAlways<Result>(work: () => Promise<Result>): Promise<Result> {
    return this.#turns.run(work);
  }

  /** Closes in turn, unless `check` rejects; nothing else begins while it looks. */
  close(check: () => Promise<void>): Promise<void> {
    return this.run(async () => {
      this.#closed = true;
      try {
        await check();
      } catch (error) {
        this.#closed = false;
        throw error;
      }
    });
  }

  /** Takes a `close` back. */
  open(): void {
    this.#closed = false;
  }

  /** DISK_NOT_FOUND once closed: for steps of work that began before. */
  assertOpen(): void {
    if (!this.#closed) return;
    throw new DiskswarmError('DISK_NOT_FOUND', `disk "${this.#name}" is being removed from this host`, {
      data: { name: this.#name },
    });
  }
}
