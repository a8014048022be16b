/**
 * When checkpoints are written: one at a time, after a share of new log, on request.
 *
 * Failing for want of room costs nothing but a longer start; any other failure poisons the writer, because a disk that refuses
 * one file is not to be trusted with the next.
 */
import { hasCode, MIB } from '@diskswarm/core';
import { writeCheckpoint } from './checkpoint.ts';
import type { StoreContext } from './context.ts';
import type { LogPosition } from './pack-format.ts';

/** A checkpoint is written after so many bytes of log, or 16 times its own size. */
const INTERVAL_BYTES = 256 * MIB;

export class Checkpointer {
  readonly #context: StoreContext;
  readonly #path: string;
  #running: Promise<void> | null = null;
  #coveredBytes = 0;
  #sizeBytes = 0;

  constructor(context: StoreContext, path: string) {
    this.#context = context;
    this.#path = path;
  }

  /** True when the log has grown since the last try. */
  get isBehind(): boolean {
    return this.#context.writer.writtenBytes > this.#coveredBytes;
  }

  /** Writes one now, or joins the one being written. Rejects with DISK_FULL or WRITE_FAILED. */
  write(): Promise<void> {
    this.#context.writer.assertUsable();
    this.#running ??= this.#write().finally(() => {
      this.#running = null;
    });
    return this.#running;
  }

  /** Begins one when enough was written since the last. */
  writeWhenDue(): void {
    const interval = Math.max(INTERVAL_BYTES, 16 * this.#sizeBytes);
    const { writer } = this.#context;
    if (writer.isPoisoned || writer.writtenBytes - this.#coveredBytes < interval) return;
    // Failures other than a full disk have poisoned the writer; whoever uses it next is told.
    void this.write().catch(() => {});
  }

  /** Resolves when none is being written. */
  async idle(): Promise<void> {
    await this.#running?.catch(() => {});
  }

  async #write(): Promise<void> {
    const { writer, storage, catalog, nonce } = this.#context;
    const { writtenBytes } = writer;
    const settle = async (): Promise<LogPosition> => {
      await writer.sync();
      return writer.synced;
    };
    try {
      this.#sizeBytes = await writeCheckpoint(storage, this.#path, catalog, nonce, writer.end, settle);
    } catch (error) {
      throw hasCode(error, 'DISK_FULL') ? error : writer.poison(error);
    } finally {
      // After a failure too: the next try waits for its turn.
      this.#coveredBytes = writtenBytes;
    }
  }
}
