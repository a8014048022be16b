/**
 * Who is where, kept over a restart: every change of the table goes to a journal, and the journal makes the table again.
 *
 * Changes are collected for a moment and handed over together; the death of the process loses that moment, a power cut what was not
 * synced, and both mend within one announce interval. A peer that comes back this way counts as seen at the restart.
 */
import type { Clock, Storage, Timer } from '@diskswarm/core';
import { decodeChanges, encodeChange, LARGEST_CHANGE_BYTES } from './change-record.ts';
import { KeptLog } from './kept-log.ts';
import { MAX_PENDING_CHANGES_BYTES } from './limits.ts';
import type { Change, SwarmTable } from './swarm-table.ts';

const COLLECT_MS = 250;

export class PeerJournal {
  readonly #table: SwarmTable;
  readonly #clock: Clock;
  readonly #log: KeptLog;
  readonly #pending = Buffer.allocUnsafe(MAX_PENDING_CHANGES_BYTES);
  #pendingBytes = 0;
  #timer: Timer | null = null;

  private constructor(table: SwarmTable, clock: Clock, log: KeptLog) {
    this.#table = table;
    this.#clock = clock;
    this.#log = log;
  }

  /** Fills the empty `table` from the journal in `storage` and follows it from then on. STATE_VERSION for a newer one. */
  static async open(storage: Storage, table: SwarmTable, clock: Clock): Promise<PeerJournal> {
    const log = await KeptLog.open({
      storage,
      path: 'tracker.journal',
      kind: 'TRACKER1',
      maxRecordBytes: MAX_PENDING_CHANGES_BYTES,
      clock,
      onRecord: (record) => {
        for (const change of decodeChanges(record)) table.restore(change);
      },
      snapshot: () => snapshot(table),
    });
    const kept = new PeerJournal(table, clock, log);
    table.onChange = (change) => kept.#note(change);
    return kept;
  }

  /** Whether what happens is being kept. */
  get ok(): boolean {
    return this.#log.ok;
  }

  /** Hands over what was collected, makes it durable and closes. Idempotent. */
  async close(): Promise<void> {
    this.#table.onChange = null;
    this.#flush();
    await this.#log.close();
  }

  #note(change: Change): void {
    if (this.#pendingBytes + LARGEST_CHANGE_BYTES > this.#pending.length) this.#flush();
    this.#pendingBytes += encodeChange(change, this.#pending, this.#pendingBytes);
    this.#timer ??= this.#clock.setTimer(COLLECT_MS, () => this.#flush(), { background: true });
  }

  #flush(): void {
    this.#timer?.cancel();
    this.#timer = null;
    const record = this.#pending.subarray(0, this.#pendingBytes);
    this.#pendingBytes = 0;
    if (record.length > 0) this.#log.append(record);
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
