/**
 * The bytes of a journal file: a header of 32 bytes, then frames, little-endian throughout.
 *
 * header: "dskjrnl\n", kind (8), version u32, epoch u32 (counts rewrites), zero u32, crc32 of the 28 bytes before.
 * frame:  crc32 u32, length u32, payload. The crc runs over length and payload and is seeded with the crc of the frame
 *         before (the first with the header's): a frame is valid only behind the frames it was written behind.
 * sync marker: a frame of 32 bytes with the top bit of its length set; see sync-marker.ts.
 * The header keeps this form in every version, so that a newer file is told from a damaged one. Length 0 never occurs in
 * a frame: zeros are free space.
 */
import { crc32 } from 'node:zlib';
import { DiskswarmError } from '@diskswarm/core';

/** Version of the journal format this code reads and writes. */
export const JOURNAL_VERSION = 1;
export const HEADER_BYTES = 32;
/** What a record costs beyond its payload. */
export const FRAME_OVERHEAD_BYTES = 8;
/** Largest payload any journal may ask for. */
export const MAX_RECORD_BYTES = 16 * 1024 * 1024;

const MAGIC = Buffer.from('dskjrnl\n', 'latin1');

export interface Header {
  /** How often the journal was rewritten: no two files under one path share it. */
  readonly epoch: number;
  /** crc of the header; seeds the chain of frame checksums. */
  readonly identity: number;
}

/** A fresh header and what identifies it. `kind` is 8 ASCII characters. */
export function encodeHeader(kind: string, epoch: number): { bytes: Uint8Array; header: Header } {
  if (!/^[\x20-\x7e]{8}$/.test(kind)) throw new RangeError(`a journal's kind is 8 ASCII characters, not "${kind}"`);
  const bytes = Buffer.alloc(HEADER_BYTES);
  MAGIC.copy(bytes, 0);
  bytes.write(kind, 8, 'latin1');
  bytes.writeUInt32LE(JOURNAL_VERSION, 16);
  bytes.writeUInt32LE(epoch, 20);
  const identity = crc32(bytes.subarray(0, 28));
  bytes.writeUInt32LE(identity, 28);
  return { bytes, header: { epoch, identity } };
}

/** Reads a header; JOURNAL_CORRUPT when it is damaged or of another kind, STATE_VERSION when it is newer. */
export function decodeHeader(bytes: Uint8Array, kind: string, path: string): Header {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (
    view.length < HEADER_BYTES ||
    !view.subarray(0, 8).equals(MAGIC) ||
    crc32(view.subarray(0, 28)) !== view.readUInt32LE(28)
  ) {
    throw new DiskswarmError('JOURNAL_CORRUPT', `${path}: the header is damaged`, { data: { path, positionBytes: 0 } });
  }
  const found = view.toString('latin1', 8, 16);
  if (found !== kind) {
    throw new DiskswarmError('JOURNAL_CORRUPT', `${path}: holds "${found}" where "${kind}" belongs`, {
      data: { path, positionBytes: 8 },
    });
  }
  const version = view.readUInt32LE(16);
  if (version !== JOURNAL_VERSION) {
    throw new DiskswarmError(
      'STATE_VERSION',
      `${path}: journal version ${version}, this program knows ${JOURNAL_VERSION}`,
      { data: { path, version } },
    );
  }
  return { epoch: view.readUInt32LE(20), identity: view.readUInt32LE(28) };
}

/** Writes one frame at `offset` of `target`, chained to `previousCrc`; returns the frame's crc. `lengthField` may carry the marker bit. */
export function encodeFrame(
  target: Buffer,
  offset: number,
  payload: Uint8Array,
  lengthField: number,
  previousCrc: number,
): number {
  target.writeUInt32LE(lengthField, offset + 4);
  target.set(payload, offset + FRAME_OVERHEAD_BYTES);
  const crc = frameCrc(target, offset, payload.length, previousCrc);
  target.writeUInt32LE(crc, offset);
  return crc;
}

/** The crc a frame at `offset` with `payloadBytes` must carry behind a frame with `previousCrc`. */
export function frameCrc(bytes: Buffer, offset: number, payloadBytes: number, previousCrc: number): number {
  return crc32(bytes.subarray(offset + 4, offset + FRAME_OVERHEAD_BYTES + payloadBytes), previousCrc);
}
