/**
 * A journal of what a tracker could do without: its loss costs hosts an announce or two, so nothing ever waits for it.
 *
 * It is rewritten as it outgrows what it describes. A full disk only makes it fall behind until a rewrite succeeds; after any other
 * failure the tracker goes on without it. A damaged one is put aside, and begun anew with what could be read. What its records
 * mean is left to PeerJournal and NewsJournal.
 */
import { type Clock, hasCode, type Storage } from '@diskswarm/core';
import { Journal } from '@diskswarm/journal';

/** A rewrite pays when the file is this many times what a new one would be, and not small anyhow. */
const REWRITE_FACTOR = 4;
const REWRITE_MIN_BYTES = 4 * 1024 * 1024;
/** After a rewrite for which there was no room. */
const RETRY_MS = 10_000;

export interface KeptLogOptions {
  /** A folder that is the tracker's alone. */
  readonly storage: Storage;
  readonly path: string;
  /** 8 ASCII characters. */
  readonly kind: string;
  readonly maxRecordBytes: number;
  readonly clock: Clock;
  /** Told each record of before, a view; throws FORMAT_INVALID for what is none. */
  readonly onRecord: (record: Uint8Array) => void;
  /** All that is known now, as records that are good until the next one is asked for. */
  readonly snapshot: () => Iterable<Uint8Array>;
}

export class KeptLog {
  readonly #options: KeptLogOptions;
  readonly #journal: Journal;
  #rewriting: Promise<void> | null = null;
  /** True when the file lacks records, so that only a rewrite helps. */
  #behind = false;
  #failed = false;
  #closed = false;
  #rewriteAtBytes = REWRITE_MIN_BYTES;

  private constructor(options: KeptLogOptions, journal: Journal) {
    this.#options = options;
    this.#journal = journal;
  }

  /** Replays the log and goes on with it. A damaged one is put aside under its name and `.damaged`. STATE_VERSION for a newer one. */
  static async open(options: KeptLogOptions): Promise<KeptLog> {
    const { storage, path } = options;
    let damaged = false;
    const journal = await Journal.open(storage, path, options).catch(async (error: unknown) => {
      if (!hasCode(error, 'JOURNAL_CORRUPT') && !hasCode(error, 'FORMAT_INVALID')) throw error;
      damaged = true;
      await storage.rename(path, `${path}.damaged`);
      return Journal.open(storage, path, options);
    });
    const log = new KeptLog(options, journal);
    // What was read before the damage is known now, and the new file has none of it.
    if (damaged) log.#rewrite();
    return log;
  }

  /** Whether all that happens is being kept. */
  get ok(): boolean {
    return !this.#failed && !this.#behind;
  }

  /** Hands a record to the kernel: from then on the death of the process does not lose it. */
  append(record: Uint8Array): void {
    if (this.#failed || this.#closed) return;
    try {
      if (!this.#behind) this.#journal.append(record);
    } catch (error) {
      if (hasCode(error, 'DISK_FULL')) this.#fallBehind();
      else this.#failed = true;
    }
    if (this.#journal.sizeBytes > this.#rewriteAtBytes) this.#rewrite();
  }

  /** Makes what was appended outlive a power cut, soon; nobody waits for it. */
  sync(): void {
    if (this.#failed || this.#closed) return;
    this.#journal.sync().catch(() => {
      this.#failed = true;
    });
  }

  /** Makes what was appended durable and closes. Idempotent. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#rewriting;
    // A journal that failed has nothing to be made durable.
    await this.#journal.close().catch(() => {});
  }

  /** The file lacks records: it is made anew, now or when there may be room. */
  #fallBehind(): void {
    this.#behind = true;
    const retry = (): void => (this.#behind ? this.#rewrite() : undefined);
    this.#options.clock.setTimer(RETRY_MS, retry, { background: true });
  }

  #rewrite(): void {
    if (this.#rewriting !== null || this.#failed || this.#closed) return;
    // What is still on its way here is in the snapshot already; played again behind it, it changes nothing.
    const wasBehind = this.#behind;
    this.#behind = false;
    this.#rewriting = this.#journal.rewrite(this.#options.snapshot()).then(
      () => {
        this.#rewriting = null;
        this.#rewriteAtBytes = Math.max(REWRITE_MIN_BYTES, this.#journal.sizeBytes * REWRITE_FACTOR);
        // Something met a full disk while the rewrite ran, and is in neither.
        if (this.#behind) this.#fallBehind();
      },
      (error: unknown) => {
        this.#rewriting = null;
        if (!hasCode(error, 'DISK_FULL')) this.#failed = true;
        else if (wasBehind || this.#behind) this.#fallBehind();
        this.#rewriteAtBytes = this.#journal.sizeBytes * 2;
      },
    );
  }
}
