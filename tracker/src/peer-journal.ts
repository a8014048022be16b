/**
 * What a tracker knows, kept over a restart: every change of its table goes to a journal, and a journal makes the table again.
 *
 * Changes are collected for a moment and handed over together; the death of the process loses that moment, a power cut what was not
 * synced, and both mend within one announce interval: so nothing waits for the disk. The journal is rewritten as it
 * outgrows what it describes. A full disk only makes it fall behind until a rewrite succeeds; after any other failure the
 * tracker goes on without it. A peer that comes back this way counts as seen at the restart.
 */
import { type Clock, hasCode, type Storage, type Timer } from '@diskswarm/core';
import { Journal } from '@diskswarm/journal';
import { decodeChanges, encodeChange, LARGEST_CHANGE_BYTES } from './change-record.ts';
import { MAX_PENDING_CHANGES_BYTES } from './limits.ts';
import type { Change, SwarmTable } from './swarm-table.ts';

const PATH = 'tracker.journal';
const KIND = 'TRACKER1';
const COLLECT_MS = 250;
/** A rewrite pays when the file is this many times what a new one would be, and not small anyhow. */
const REWRITE_FACTOR = 4;
const REWRITE_MIN_BYTES = 4 * 1024 * 1024;
/** After a rewrite for which there was no room. */
const RETRY_MS = 10_000;

export class PeerJournal {
  readonly #table: SwarmTable;
  readonly #clock: Clock;
  readonly #journal: Journal;
  readonly #pending = Buffer.allocUnsafe(MAX_PENDING_CHANGES_BYTES);
  #pendingBytes = 0;
  #timer: Timer | null = null;
  #rewriting: Promise<void> | null = null;
  /** True when the file lacks changes, so that only a rewrite helps. */
  #behind = false;
  #failed = false;
  #rewriteAtBytes = REWRITE_MIN_BYTES;

  private constructor(table: SwarmTable, clock: Clock, journal: Journal) {
    this.#table = table;
    this.#clock = clock;
    this.#journal = journal;
  }

  /**
   * Fills the empty `table` from the journal in `storage` (the folder is the tracker's alone) and follows it from then on. A damaged
   * journal is put aside as `tracker.journal.damaged`, since the hosts will announce themselves again. STATE_VERSION for a newer one.
   */
  static async open(storage: Storage, table: SwarmTable, clock: Clock): Promise<PeerJournal> {
    const open = (): Promise<Journal> =>
      Journal.open(storage, PATH, {
        kind: KIND,
        maxRecordBytes: MAX_PENDING_CHANGES_BYTES,
        onRecord: (record) => {
          for (const change of decodeChanges(record)) table.restore(change);
        },
      });
    let damaged = false;
    const journal = await open().catch(async (error: unknown) => {
      if (!hasCode(error, 'JOURNAL_CORRUPT') && !hasCode(error, 'FORMAT_INVALID')) throw error;
      damaged = true;
      await storage.rename(PATH, `${PATH}.damaged`);
      return open();
    });
    const kept = new PeerJournal(table, clock, journal);
    table.onChange = (change) => kept.#note(change);
    // What was read before the damage is known now, and the new file has none of it.
    if (damaged) kept.#rewrite();
    return kept;
  }

  /** Whether what happens is being kept. */
  get ok(): boolean {
    return !this.#failed && !this.#behind;
  }

  /** Hands over what was collected, makes it durable and closes. Idempotent. */
  async close(): Promise<void> {
    this.#table.onChange = null;
    this.#timer?.cancel();
    this.#flush();
    await this.#rewriting;
    // A journal that failed has nothing to be made durable.
    await this.#journal.close().catch(() => {});
  }

  #note(change: Change): void {
    if (this.#failed) return;
    if (this.#pendingBytes + LARGEST_CHANGE_BYTES > this.#pending.length) this.#flush();
    this.#pendingBytes += encodeChange(change, this.#pending, this.#pendingBytes);
    this.#timer ??= this.#clock.setTimer(COLLECT_MS, () => this.#flush(), { background: true });
  }

  #flush(): void {
    this.#timer?.cancel();
    this.#timer = null;
    const record = this.#pending.subarray(0, this.#pendingBytes);
    this.#pendingBytes = 0;
    if (record.length === 0 || this.#failed) return;
    try {
      if (!this.#behind) this.#journal.append(record);
    } catch (error) {
      if (hasCode(error, 'DISK_FULL')) this.#fallBehind();
      else this.#failed = true;
    }
    if (this.#journal.sizeBytes > this.#rewriteAtBytes) this.#rewrite();
  }

  /** The file lacks changes: it is made anew, now or when there may be room. */
  #fallBehind(): void {
    this.#behind = true;
    const retry = (): void => (this.#behind ? this.#rewrite() : undefined);
    this.#clock.setTimer(RETRY_MS, retry, { background: true });
  }

  #rewrite(): void {
    if (this.#rewriting !== null || this.#failed || this.#table.onChange === null) return;
    // What is still collected is in the snapshot already; played again behind it, it changes nothing.
    const wasBehind = this.#behind;
    this.#behind = false;
    this.#rewriting = this.#journal.rewrite(snapshot(this.#table)).then(
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

/** The table as records. */
function* snapshot(table: SwarmTable): Generator<Uint8Array> {
  const block = Buffer.allocUnsafe(MAX_PENDING_CHANGES_BYTES);
  let length = 0;
  for (const change of table.changes()) {
    if (length + LARGEST_CHANGE_BYTES > block.length) {
      yield block.subarray(0, length);
      length = 0;
    }
    length += encodeChange(change, block, length);
  }
  if (length > 0) yield block.subarray(0, length);
}
