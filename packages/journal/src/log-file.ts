/**
 * One journal file that is being written: where its tail is, how far it is durable, how much zeroed space lies ahead.
 *
 * Writing is synchronous, so that no two writes of one file are ever in flight. A failed write leaves the tail where it was and
 * blanks what it may have put there: otherwise the rest of a batch that was reported as failed could become valid again
 * behind a retry of its first record. Which files make up the journal, and poisoning, are the journal's business.
 */
import { hasCode, type Storage, type StorageFile } from '@diskswarm/core';
import { encodeFrame, encodeHeader, FRAME_OVERHEAD_BYTES, HEADER_BYTES, type Header } from './format.ts';
import type { ReplayResult } from './replay.ts';
import { encodeMarker, MARKER_BYTES } from './sync-marker.ts';

const SCRATCH_BYTES = 64 * 1024;
const ZEROS = Buffer.alloc(256 * 1024);

export class LogFile {
  readonly file: StorageFile;
  readonly header: Header;
  readonly #scratch = Buffer.allocUnsafe(SCRATCH_BYTES);
  #tailBytes: number;
  #recordsEndBytes: number;
  #writtenBytes: number;
  #syncedBytes: number;
  #chainCrc: number;
  #recordCount: number;

  /** Goes on where a replay ended. */
  constructor(file: StorageFile, found: ReplayResult) {
    this.file = file;
    this.header = found.header;
    this.#tailBytes = found.tailBytes;
    this.#recordsEndBytes = found.recordsEndBytes;
    this.#writtenBytes = Math.max(found.fileBytes, found.tailBytes);
    this.#syncedBytes = found.provenBytes;
    this.#chainCrc = found.chainCrc;
    this.#recordCount = found.recordCount;
  }

  /** A new file with nothing but a header, not yet synced. */
  static async create(storage: Storage, path: string, kind: string, epoch: number): Promise<LogFile> {
    await storage.remove(path);
    const file = await storage.open(path, 'create-new');
    const { bytes, header } = encodeHeader(kind, epoch);
    file.writeSync(bytes, 0);
    return new LogFile(file, {
      header,
      recordCount: 0,
      tailBytes: HEADER_BYTES,
      recordsEndBytes: 0,
      provenBytes: 0,
      chainCrc: header.identity,
      fileBytes: HEADER_BYTES,
      cleanTail: true,
    });
  }

  get tailBytes(): number {
    return this.#tailBytes;
  }

  get recordCount(): number {
    return this.#recordCount;
  }

  /** Zeroed bytes ahead of the tail. */
  get reservedBytes(): number {
    return this.#writtenBytes - this.#tailBytes;
  }

  /** True when a record was handed over that no sync has covered. */
  get dirty(): boolean {
    return this.#recordsEndBytes > this.#syncedBytes;
  }

  /** Hands the records to the kernel in one write; all of them or none. */
  append(records: readonly Uint8Array[]): void {
    const { frames, crc } = this.#encode(records);
    this.#write(frames);
    this.#advance(frames.length, crc);
    this.#count(records);
  }

  /** Like `append`, without blocking, for a file that nobody else writes yet. A failure leaves the file unusable. */
  async appendAlone(records: readonly Uint8Array[]): Promise<void> {
    const { frames, crc } = this.#encode(records);
    await this.file.write([frames], this.#tailBytes);
    this.#advance(frames.length, crc);
    this.#count(records);
  }

  /** Takes back the last `append`, which had the state of `before`. */
  rollBack(before: LogFileState): void {
    const lengthBytes = this.#tailBytes - before.tailBytes;
    this.#blank(before.tailBytes, lengthBytes);
    this.#tailBytes = before.tailBytes;
    this.#recordsEndBytes = before.recordsEndBytes;
    this.#chainCrc = before.chainCrc;
    this.#recordCount = before.recordCount;
  }

  /** What `rollBack` returns to. */
  state(): LogFileState {
    return {
      tailBytes: this.#tailBytes,
      recordsEndBytes: this.#recordsEndBytes,
      chainCrc: this.#chainCrc,
      recordCount: this.#recordCount,
    };
  }

  /** Makes durable what was appended before the call, then leaves a marker that says so. */
  async sync(): Promise<void> {
    const targetBytes = this.#tailBytes;
    await this.file.sync();
    this.#syncedBytes = Math.max(this.#syncedBytes, targetBytes);
    const { bytes, crc } = encodeMarker(this.header.identity, this.#tailBytes, this.#syncedBytes, this.#chainCrc);
    try {
      this.#write(bytes);
    } catch (error) {
      // The sync itself holds; a full disk only costs the proof of it.
      if (hasCode(error, 'DISK_FULL')) return;
      throw error;
    }
    this.#advance(MARKER_BYTES, crc);
  }

  /** Writes again what no marker covers, so that it is dirty in the kernel's eyes whatever became of it before. */
  async writeUnprovenAgain(): Promise<void> {
    const buffer = Buffer.allocUnsafe(ZEROS.length);
    for (let position = Math.max(HEADER_BYTES, this.#syncedBytes); position < this.#tailBytes; ) {
      const part = buffer.subarray(0, Math.min(buffer.length, this.#tailBytes - position));
      await this.file.read(part, position);
      this.file.writeSync(part, position);
      position += part.length;
    }
  }

  /** Cuts everything behind the tail, durably. */
  async cut(): Promise<void> {
    await this.file.truncate(this.#tailBytes);
    await this.file.sync();
    this.#writtenBytes = this.#tailBytes;
  }

  /** Writes zeros until `reserveBytes` lie ahead of the tail. Not in the background: an append that came between would be overwritten. */
  reserve(reserveBytes: number): void {
    while (this.reservedBytes < reserveBytes) {
      const missing = Math.min(ZEROS.length, reserveBytes - this.reservedBytes);
      this.file.writeSync(ZEROS.subarray(0, missing), this.#writtenBytes);
      this.#writtenBytes += missing;
    }
  }

  #encode(records: readonly Uint8Array[]): { frames: Buffer; crc: number } {
    let totalBytes = 0;
    for (const record of records) totalBytes += FRAME_OVERHEAD_BYTES + record.length;
    const frames = totalBytes <= SCRATCH_BYTES ? this.#scratch.subarray(0, totalBytes) : Buffer.allocUnsafe(totalBytes);
    let offset = 0;
    let crc = this.#chainCrc;
    for (const record of records) {
      crc = encodeFrame(frames, offset, record, record.length, crc);
      offset += FRAME_OVERHEAD_BYTES + record.length;
    }
    return { frames, crc };
  }

  #write(bytes: Uint8Array): void {
    try {
      this.file.writeSync(bytes, this.#tailBytes);
    } catch (error) {
      this.#blank(this.#tailBytes, bytes.length);
      throw error;
    }
  }

  #blank(positionBytes: number, lengthBytes: number): void {
    try {
      for (let done = 0; done < lengthBytes; done += ZEROS.length) {
        this.file.writeSync(ZEROS.subarray(0, Math.min(ZEROS.length, lengthBytes - done)), positionBytes + done);
      }
    } catch (error) {
      // Where the disk filled up before, it fills up again: up to there the zeros are written.
      if (!hasCode(error, 'DISK_FULL')) throw error;
    }
  }

  #count(records: readonly Uint8Array[]): void {
    this.#recordsEndBytes = this.#tailBytes;
    this.#recordCount += records.length;
  }

  #advance(lengthBytes: number, crc: number): void {
    this.#tailBytes += lengthBytes;
    this.#writtenBytes = Math.max(this.#writtenBytes, this.#tailBytes);
    this.#chainCrc = crc;
  }
}

/** A tail that can be returned to. */
export interface LogFileState {
  readonly tailBytes: number;
  readonly recordsEndBytes: number;
  readonly chainCrc: number;
  readonly recordCount: number;
}
