/**
 * Reading a journal from its start, and deciding what its end means.
 *
 * Walking stops at the first frame that is not valid, at position P. Whether that is a torn tail or damage cannot be told
 * from the frame itself: of bytes that were never synced a power cut may keep any sectors and lose any others, in the middle
 * too, and a process that died in a write leaves half a frame. What tells them apart is the sync markers:
 *   - a marker anywhere behind P that proves a position beyond P durable: bytes are gone that were durable once.
 *     JOURNAL_CORRUPT, nothing is dropped.
 *   - none: nothing at or behind P was ever promised to survive. The log ends at P; what follows may be cut.
 * Frames behind P that look whole are no argument: they may be survivors of the same unsynced tail.
 * The one damage this cannot see is in the last group before a sync whose marker never reached the disk, that is, a bit that
 * rots between a sync and a power cut right after it. Repairing is left to the journal: this module only reads.
 */
import { DiskswarmError, type Storage, type StorageFile } from '@diskswarm/core';
import { decodeHeader, FRAME_OVERHEAD_BYTES, frameCrc, HEADER_BYTES, type Header, MAX_RECORD_BYTES } from './format.ts';
import { MARKER_BYTES, MARKER_LENGTH_FIELD, readMarker, searchMarkers } from './sync-marker.ts';

const WINDOW_BYTES = 1024 * 1024;

export interface ReplayOptions {
  /** 8 ASCII characters that say what the journal holds; another kind in the file is refused. */
  readonly kind: string;
  /** Called for each record in order. `bytes` is a view that is only valid during the call. What it throws ends the replay. */
  readonly onRecord: (bytes: Uint8Array, index: number) => void;
  /** Largest record in bytes; at most 16 MiB. */
  readonly maxRecordBytes: number;
}

/** What a replay found. */
export interface ReplayResult {
  readonly header: Header;
  readonly recordCount: number;
  /** End of the last valid frame: where the next one goes. */
  readonly tailBytes: number;
  /** End of the last valid record, markers aside; 0 when there is none. */
  readonly recordsEndBytes: number;
  /** Everything before this position was proven durable by a marker. */
  readonly provenBytes: number;
  /** crc of the last valid frame. */
  readonly chainCrc: number;
  readonly fileBytes: number;
  /** False when bytes other than zeros follow the tail. */
  readonly cleanTail: boolean;
}

/**
 * Reads a journal without changing it, for a reader that does not own it. A torn tail is passed over.
 * Rejects with READ_FAILED when there is none, JOURNAL_CORRUPT, STATE_VERSION.
 */
export async function replayJournal(
  storage: Storage,
  path: string,
  options: ReplayOptions,
): Promise<{ recordCount: number; sizeBytes: number }> {
  const file = await storage.open(path, 'read');
  try {
    const { recordCount, tailBytes } = await replayFile(file, options);
    return { recordCount, sizeBytes: tailBytes };
  } finally {
    await file.close();
  }
}

/** Replays an open file; see `replayJournal`. */
export async function replayFile(
  file: StorageFile,
  { kind, onRecord, maxRecordBytes }: ReplayOptions,
): Promise<ReplayResult> {
  if (!(maxRecordBytes >= 1 && maxRecordBytes <= MAX_RECORD_BYTES))
    throw new RangeError(`maxRecordBytes ${maxRecordBytes}`);
  const fileBytes = file.sizeBytes();
  const window = new Window(file, Math.max(WINDOW_BYTES, 2 * (maxRecordBytes + FRAME_OVERHEAD_BYTES)));
  await window.fill(0, HEADER_BYTES);
  const header = decodeHeader(window.bytes, kind, file.path);
  let position = HEADER_BYTES;
  let chainCrc = header.identity;
  let recordCount = 0;
  let recordsEndBytes = 0;
  let provenBytes = 0;
  for (;;) {
    const offset = await window.fill(position, FRAME_OVERHEAD_BYTES);
    if (offset < 0) break;
    const crc = window.bytes.readUInt32LE(offset);
    const lengthField = window.bytes.readUInt32LE(offset + 4);
    const isMarker = lengthField === MARKER_LENGTH_FIELD;
    const length = isMarker ? MARKER_BYTES - FRAME_OVERHEAD_BYTES : lengthField;
    if (length === 0 || (length > maxRecordBytes && !isMarker)) break;
    const start = await window.fill(position, FRAME_OVERHEAD_BYTES + length);
    if (start < 0 || frameCrc(window.bytes, start, length, chainCrc) !== crc) break;
    const payload = start + FRAME_OVERHEAD_BYTES;
    if (isMarker) {
      provenBytes = Math.max(
        provenBytes,
        readMarker(window.bytes, payload, header.identity, position + FRAME_OVERHEAD_BYTES) ?? 0,
      );
    } else {
      onRecord(window.bytes.subarray(payload, payload + length), recordCount);
      recordCount++;
      recordsEndBytes = position + FRAME_OVERHEAD_BYTES + length;
    }
    position += FRAME_OVERHEAD_BYTES + length;
    chainCrc = crc;
  }
  const cleanTail = await inspectRest(file, header, position, fileBytes);
  return { header, recordCount, tailBytes: position, recordsEndBytes, provenBytes, chainCrc, fileBytes, cleanTail };
}

/** True when only zeros follow `tailBytes`; rejects when a marker there proves that more was durable. */
async function inspectRest(file: StorageFile, header: Header, tailBytes: number, fileBytes: number): Promise<boolean> {
  const buffer = Buffer.allocUnsafe(WINDOW_BYTES);
  const zeros = Buffer.alloc(WINDOW_BYTES);
  let clean = true;
  for (let position = tailBytes; position < fileBytes; ) {
    const count = await file.read(buffer, position);
    if (count === 0) break;
    const bytes = buffer.subarray(0, count);
    if (bytes.compare(zeros, 0, count) !== 0) {
      clean = false;
      const provenBytes = searchMarkers(bytes, header.identity, position);
      if (provenBytes > tailBytes) {
        throw new DiskswarmError(
          'JOURNAL_CORRUPT',
          `${file.path}: damaged at byte ${tailBytes}, though it was durable through ${provenBytes}`,
          {
            data: { path: file.path, positionBytes: tailBytes, provenBytes },
          },
        );
      }
    }
    // Windows overlap by a marker, so that none hides on a border.
    position += position + count < fileBytes ? Math.max(1, count - MARKER_BYTES) : count;
  }
  return clean;
}

/** A reused buffer over part of the file. */
class Window {
  readonly #file: StorageFile;
  readonly #buffer: Buffer;
  #startBytes = 0;
  #lengthBytes = 0;

  constructor(file: StorageFile, sizeBytes: number) {
    this.#file = file;
    this.#buffer = Buffer.allocUnsafe(sizeBytes);
  }

  get bytes(): Buffer {
    return this.#buffer.subarray(0, this.#lengthBytes);
  }

  /** Makes `lengthBytes` at `positionBytes` available; returns their offset in `bytes`, or -1 when the file ends before. */
  async fill(positionBytes: number, lengthBytes: number): Promise<number> {
    const offset = positionBytes - this.#startBytes;
    if (offset >= 0 && offset + lengthBytes <= this.#lengthBytes) return offset;
    this.#startBytes = positionBytes;
    this.#lengthBytes = await this.#file.read(this.#buffer, positionBytes);
    return lengthBytes <= this.#lengthBytes ? 0 : -1;
  }
}
