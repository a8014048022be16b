/**
 * The host's durable metadata: one small table of keys and bytes over the journal.
 *
 * A change is one journal record, so that several keys change together or not at all. `commit` resolves when the change is
 * durable; readers see it at once. When most of the journal is history, it is rewritten. Keys are paths like `disk/<id>/name`.
 */
import { DiskswarmError, decodeCanonical, encodeCanonical, hasCode, RecordReader, type Storage } from '@diskswarm/core';
import { Journal } from '@diskswarm/journal';

/** Largest record: a roster of 1,024 members with wrapped secrets, or an epoch chain, stays below it. */
const MAX_RECORD_BYTES = 4 * 1024 * 1024;
const MAX_KEY_BYTES = 512;
/** Appends that fit here succeed on a full disk, so that a hand-over or a seal can still be recorded. */
const RESERVE_BYTES = 1024 * 1024;
const REWRITE_ABOVE_BYTES = 8 * 1024 * 1024;

/** Values to set, or null to delete. */
export type MetaChange = Readonly<Record<string, Uint8Array | null>>;

export class MetaTable {
  readonly #journal: Journal;
  readonly #values: Map<string, Uint8Array>;
  #liveBytes = 0;
  #rewriting = false;
  /** A rewrite that found the disk full is tried again when the journal is larger than this. */
  #rewriteAboveBytes = REWRITE_ABOVE_BYTES;

  private constructor(journal: Journal, values: Map<string, Uint8Array>) {
    this.#journal = journal;
    this.#values = values;
    for (const [key, value] of values) this.#liveBytes += key.length + value.length;
  }

  /** Replays the journal at `path`. */
  static async open(storage: Storage, path: string): Promise<MetaTable> {
    const values = new Map<string, Uint8Array>();
    const journal = await Journal.open(storage, path, {
      kind: 'metatabl',
      maxRecordBytes: MAX_RECORD_BYTES,
      reserveBytes: RESERVE_BYTES,
      onRecord: (bytes) => {
        for (const [key, value] of decodeChange(bytes)) {
          if (value === null) values.delete(key);
          else values.set(key, value);
        }
      },
    });
    return new MetaTable(journal, values);
  }

  /** How large the journal is: bytes without the reserve, records that a start replays, bytes of the reserve. */
  get journal(): { readonly sizeBytes: number; readonly records: number; readonly reservedBytes: number } {
    const { sizeBytes, recordCount: records, reservedBytes } = this.#journal;
    return { sizeBytes, records, reservedBytes };
  }

  get(key: string): Uint8Array | null {
    return this.#values.get(key) ?? null;
  }

  /** Keys that begin with `prefix`, sorted. */
  keys(prefix: string): string[] {
    return [...this.#values.keys()].filter((key) => key.startsWith(prefix)).sort();
  }

  /** Applies all of `change` or nothing; resolves when it is durable. */
  async commit(change: MetaChange): Promise<void> {
    const entries = Object.entries(change);
    if (entries.length === 0) return;
    this.#journal.append(encodeChange(entries));
    for (const [key, value] of entries) this.#set(key, value);
    await this.#journal.sync();
    await this.#tidy();
  }

  /** As `commit`, for what can be done without: DISK_FULL once the reserve of a full disk is in use, which is for hand-overs and seals. */
  async commitHint(change: MetaChange): Promise<void> {
    await this.#journal.reserve();
    await this.commit(change);
  }

  async close(): Promise<void> {
    await this.#journal.close();
  }

  /**
   * Shortens the journal and fills its reserve. The change is durable by now: a full disk fails only this, or whoever committed would believe that
   * nothing was recorded, and record something else in its place.
   */
  async #tidy(): Promise<void> {
    try {
      if (!this.#rewriting && this.#journal.sizeBytes > this.#rewriteAboveBytes + 4 * this.#liveBytes)
        await this.#rewrite();
      await this.#journal.reserve();
    } catch (error) {
      if (!hasCode(error, 'DISK_FULL')) throw error;
    }
  }

  async #rewrite(): Promise<void> {
    this.#rewriting = true;
    this.#rewriteAboveBytes = this.#journal.sizeBytes;
    try {
      await this.#journal.rewrite([...this.#values].map((entry) => encodeChange([entry])));
      this.#rewriteAboveBytes = REWRITE_ABOVE_BYTES;
    } finally {
      this.#rewriting = false;
    }
  }

  #set(key: string, value: Uint8Array | null): void {
    const before = this.#values.get(key);
    if (before !== undefined) this.#liveBytes -= key.length + before.length;
    if (value === null) {
      this.#values.delete(key);
      return;
    }
    this.#values.set(key, value);
    this.#liveBytes += key.length + value.length;
  }
}

function encodeChange(entries: readonly (readonly [string, Uint8Array | null])[]): Uint8Array {
  const puts = entries.filter((entry): entry is [string, Uint8Array] => entry[1] !== null);
  const drops = entries.filter((entry) => entry[1] === null).map(([key]) => key);
  return encodeCanonical({ put: puts.map(([key, value]) => [key, value]), drop: drops });
}

function decodeChange(bytes: Uint8Array): [string, Uint8Array | null][] {
  const record = new RecordReader(
    decodeCanonical(bytes, { maxBytes: MAX_RECORD_BYTES, what: 'metadata record' }),
    'metadata record',
    ['put', 'drop'],
  );
  const text = (key: unknown): string => {
    if (!(key instanceof Uint8Array) || key.length > MAX_KEY_BYTES)
      throw new DiskswarmError('FORMAT_INVALID', 'metadata record: a malformed key');
    return Buffer.from(key).toString('utf8');
  };
  const puts = record.list('put', 65_536).map((pair): [string, Uint8Array] => {
    if (!Array.isArray(pair) || !(pair[1] instanceof Uint8Array))
      throw new DiskswarmError('FORMAT_INVALID', 'metadata record: a malformed entry');
    return [text(pair[0]), pair[1]];
  });
  return [...puts, ...record.list('drop', 65_536).map((key): [string, null] => [text(key), null])];
}
