/**
 * Admissions, withdrawals and drops that are decided in memory and not yet written to the log.
 *
 * They keep their order, and whatever is written next goes behind them: only so does a replay of the log end where memory is.
 * Consecutive ones of one kind and disk share a record.
 */
import { blake3, toHex } from '@diskswarm/core';
import { KEY_BYTES, type Key, writeKey } from './key.ts';
import { KIND, type Kind, type LogPosition, MAX_EVENT_BYTES } from './pack-format.ts';

/** Disk number of records that concern none. */
export const NO_DISK = -1;

/** A record on its way to the log. */
export interface EventRecord {
  readonly kind: Kind;
  /** Disk number, or NO_DISK. */
  readonly disk: number;
  bytes: Buffer;
  usedBytes: number;
}

export class EventBuffer {
  #records: EventRecord[] = [];

  get recordCount(): number {
    return this.#records.length;
  }

  /** Notes that the chunk with `key` was admitted to or withdrawn from the disk. */
  push(kind: typeof KIND.admit | typeof KIND.withdraw, disk: number, key: Key): void {
    const record = this.#room(kind, disk);
    writeKey(key, record.bytes, record.usedBytes);
    record.usedBytes += KEY_BYTES;
  }

  /** Notes that the chunk at that place is damaged and must not be found again. */
  pushDrop(place: LogPosition): void {
    const record = this.#room(KIND.drop, NO_DISK);
    record.bytes.writeUInt32LE(place.pack, record.usedBytes);
    record.bytes.writeUInt32LE(place.positionBytes, record.usedBytes + 4);
    record.bytes.fill(0, record.usedBytes + 8, record.usedBytes + KEY_BYTES);
    record.usedBytes += KEY_BYTES;
  }

  /** The oldest records, at most `count`; they belong to the caller now. */
  take(count: number): EventRecord[] {
    return this.#records.splice(0, count);
  }

  /** Returns records that could not be written to their place in front. */
  putBack(records: readonly EventRecord[]): void {
    this.#records = [...records, ...this.#records];
  }

  #room(kind: Kind, disk: number): EventRecord {
    let record = this.#records.at(-1);
    if (record === undefined || record.kind !== kind || record.disk !== disk || record.usedBytes === MAX_EVENT_BYTES) {
      record = { kind, disk, bytes: Buffer.alloc(KEY_BYTES), usedBytes: 0 };
      this.#records.push(record);
    } else if (record.usedBytes === record.bytes.length) {
      const larger = Buffer.alloc(Math.min(MAX_EVENT_BYTES, record.bytes.length * 4));
      record.bytes.copy(larger);
      record.bytes = larger;
    }
    return record;
  }
}

/** The payload of an event record and its id. */
export function eventPayload(record: EventRecord): { bytes: Buffer; id: string } {
  const bytes = record.bytes.subarray(0, record.usedBytes);
  return { bytes, id: toHex(blake3(bytes)) };
}
