/**
 * Walking the records of one pack in order, past places that are damaged.
 *
 * It reads headers and the small payloads of events, not the chunks. Where a header is not valid it searches for the next one
 * that is: records behind a hole are as good as any. Whether a hole is damage or was never durable is for the recovery to say.
 */
import { blake3, type StorageFile } from '@diskswarm/core';
import {
  decodeRecordHeader,
  isIdOf,
  KIND,
  RECORD_HEADER_BYTES,
  RECORD_MAGIC,
  type RecordHeader,
} from './pack-format.ts';

const WINDOW_BYTES = 1024 * 1024;
/** After so many records other work gets its turn. */
const RECORDS_PER_TURN = 64;

/** Something found in a pack; `positionBytes` is where its header is, or would be. */
export type Found =
  | {
      readonly type: 'record';
      readonly positionBytes: number;
      readonly header: RecordHeader;
      readonly payload: Buffer | null;
    }
  /** No valid record here; another follows. */
  | { readonly type: 'hole'; readonly positionBytes: number; readonly lengthBytes: number }
  /** No valid record from here to the end of the file. */
  | { readonly type: 'rest'; readonly positionBytes: number; readonly lengthBytes: number };

/**
 * Everything in a pack from `fromBytes` on, in order. `payload` comes with all kinds but chunk and void, already checked against its id.
 * `header` and `payload` are copies. Rejects with READ_FAILED.
 */
export async function* walkPack(
  file: StorageFile,
  pack: number,
  nonce: number,
  fromBytes: number,
): AsyncGenerator<Found, void, undefined> {
  const fileBytes = file.sizeBytes();
  let position = fromBytes;
  for (let count = 1; position < fileBytes; count++) {
    const bytes = Buffer.alloc(RECORD_HEADER_BYTES);
    const read = count % RECORDS_PER_TURN === 0 ? await file.read(bytes, position) : file.readSync(bytes, position);
    const header = read === bytes.length ? decodeRecordHeader(bytes, 0, pack, nonce) : null;
    const end = header === null ? 0 : position + RECORD_HEADER_BYTES + header.lengthBytes;
    const payload = header === null || end > fileBytes ? null : readPayload(file, header, position);
    if (header === null || end > fileBytes || payload === undefined) {
      const next = await searchRecord(file, pack, nonce, position + RECORD_HEADER_BYTES, fileBytes);
      yield { type: next === fileBytes ? 'rest' : 'hole', positionBytes: position, lengthBytes: next - position };
      position = next;
      continue;
    }
    yield { type: 'record', positionBytes: position, header, payload };
    position = end;
  }
}

/** Null for records whose payload is not wanted, undefined for one that does not match its id. */
function readPayload(file: StorageFile, header: RecordHeader, positionBytes: number): Buffer | null | undefined {
  if (header.kind === KIND.chunk || header.kind === KIND.void) return null;
  const payload = Buffer.alloc(header.lengthBytes);
  file.readSync(payload, positionBytes + RECORD_HEADER_BYTES);
  return isIdOf(header, blake3(payload)) ? payload : undefined;
}

/** Where the next valid record header is, or the end of the file. */
async function searchRecord(
  file: StorageFile,
  pack: number,
  nonce: number,
  fromBytes: number,
  fileBytes: number,
): Promise<number> {
  const window = Buffer.allocUnsafe(Math.min(WINDOW_BYTES, Math.max(RECORD_HEADER_BYTES, fileBytes - fromBytes)));
  for (let position = fromBytes; position + RECORD_HEADER_BYTES <= fileBytes; ) {
    const bytes = window.subarray(0, await file.read(window, position));
    for (let at = bytes.indexOf(RECORD_MAGIC); at >= 0; at = bytes.indexOf(RECORD_MAGIC, at + 1)) {
      if (decodeRecordHeader(bytes, at, pack, nonce) !== null) return position + at;
    }
    // Windows overlap by a header, so that none hides on a border.
    if (bytes.length < RECORD_HEADER_BYTES || position + bytes.length >= fileBytes) break;
    position += bytes.length - RECORD_HEADER_BYTES + 1;
  }
  return fileBytes;
}
