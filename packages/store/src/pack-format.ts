/**
 * The bytes of a pack: a header of 32 bytes, then records back to back, little-endian throughout.
 *
 * pack:   "dskpack\n", version u32, pack number u32, nonce u32, 8 zeros, crc32 of the 28 bytes before.
 * record: "dskr", kind u8, encoding u8 (0: plain), zero u16, payload length u32, pack number u32, id (32: BLAKE3 of the payload),
 *         disk (32), crc32 of the 80 bytes before seeded with the nonce; then the payload.
 * Kinds: chunk (admitted to the disk); admit and withdraw (payload: 16-byte keys of chunks, for the disk); drop (payload: pack u32,
 * position u32, 8 zeros for each record found damaged); mark (payload: pack u32, position u32: all before was durable);
 * void (payload: anything, its id is zero: a place that never held a durable record).
 * All packs in the order of their numbers are one log; replaying it from the start gives the index.
 * Payloads are not aligned: 84 bytes a record cost a cached read nothing that can be measured, and padding would cost a sixteenth.
 * The nonce is random and the same in all packs of a store: what a guest writes cannot pass for a record when a damaged place is searched.
 */
import { crc32 } from 'node:zlib';
import { DiskswarmError, MAX_CHUNK_BYTES } from '@diskswarm/core';

export const PACK_VERSION = 1;
export const PACK_HEADER_BYTES = 32;
export const RECORD_HEADER_BYTES = 84;
/** Packs end near this size unless told otherwise. */
export const DEFAULT_PACK_BYTES = 256 * 1024 * 1024;
/** Largest payload of admit, withdraw and drop records: 4,096 entries. */
export const MAX_EVENT_BYTES = 65536;

/** What a record is. */
export const KIND = { chunk: 1, admit: 2, withdraw: 3, drop: 4, mark: 5, void: 6 } as const;
export type Kind = (typeof KIND)[keyof typeof KIND];

const PACK_MAGIC = Buffer.from('dskpack\n', 'latin1');
/** Every record begins with these bytes. */
export const RECORD_MAGIC = Buffer.from('dskr', 'latin1');
const RECORD_MAGIC_WORD = RECORD_MAGIC.readUInt32LE(0);

/** A place in the log. */
export interface LogPosition {
  readonly pack: number;
  readonly positionBytes: number;
}

/** Negative when `a` comes first. */
export function compareLogPositions(a: LogPosition, b: LogPosition): number {
  return a.pack - b.pack || a.positionBytes - b.positionBytes;
}

/** A decoded record header. */
export interface RecordHeader {
  readonly kind: Kind;
  readonly lengthBytes: number;
  /** 32 bytes, a view. */
  readonly id: Buffer;
  /** 32 bytes, a view. */
  readonly disk: Buffer;
}

export function packName(number: number): string {
  return `${String(number).padStart(8, '0')}.pack`;
}

/** The number in a pack's file name, or 0 when it is none. */
export function packNumberOf(name: string): number {
  return /^\d{8}\.pack$/.test(name) ? Number(name.slice(0, 8)) : 0;
}

export function encodePackHeader(number: number, nonce: number): Buffer {
  const bytes = Buffer.alloc(PACK_HEADER_BYTES);
  PACK_MAGIC.copy(bytes, 0);
  bytes.writeUInt32LE(PACK_VERSION, 8);
  bytes.writeUInt32LE(number, 12);
  bytes.writeUInt32LE(nonce, 16);
  bytes.writeUInt32LE(crc32(bytes.subarray(0, 28)), 28);
  return bytes;
}

/** The nonce in a pack's header, or null when the header is damaged. STATE_VERSION when it is of another version. */
export function decodePackHeader(bytes: Buffer, number: number, path: string): number | null {
  if (bytes.length < PACK_HEADER_BYTES || PACK_MAGIC.compare(bytes, 0, 8) !== 0) return null;
  if (crc32(bytes.subarray(0, 28)) !== bytes.readUInt32LE(28) || bytes.readUInt32LE(12) !== number) return null;
  const version = bytes.readUInt32LE(8);
  if (version !== PACK_VERSION) {
    throw new DiskswarmError('STATE_VERSION', `${path}: pack version ${version}, this program knows ${PACK_VERSION}`, {
      data: { path, version },
    });
  }
  return bytes.readUInt32LE(16);
}

/** Writes a record header at `offset`; `id` is 64 hex digits, `disk` 32 bytes. */
export function encodeRecordHeader(
  target: Buffer,
  offset: number,
  fields: { kind: Kind; lengthBytes: number; pack: number; id: string; disk: Uint8Array; nonce: number },
): void {
  target.writeUInt32LE(RECORD_MAGIC_WORD, offset);
  target.writeUInt32LE(fields.kind, offset + 4);
  target.writeUInt32LE(fields.lengthBytes, offset + 8);
  target.writeUInt32LE(fields.pack, offset + 12);
  target.write(fields.id, offset + 16, 32, 'hex');
  target.set(fields.disk, offset + 48);
  target.writeUInt32LE(crc32(target.subarray(offset, offset + 80), fields.nonce), offset + 80);
}

/** The record header at `offset`, or null when there is no valid one of this pack. */
export function decodeRecordHeader(bytes: Buffer, offset: number, pack: number, nonce: number): RecordHeader | null {
  if (bytes.length < offset + RECORD_HEADER_BYTES || bytes.readUInt32LE(offset) !== RECORD_MAGIC_WORD) return null;
  if (crc32(bytes.subarray(offset, offset + 80), nonce) !== bytes.readUInt32LE(offset + 80)) return null;
  // Kind, encoding and the zeros are one word: an encoding that is not plain is not understood.
  const kind = bytes.readUInt32LE(offset + 4) as Kind;
  const lengthBytes = bytes.readUInt32LE(offset + 8);
  if (bytes.readUInt32LE(offset + 12) !== pack || lengthBytes > maxLength(kind)) return null;
  return {
    kind,
    lengthBytes,
    id: bytes.subarray(offset + 16, offset + 48),
    disk: bytes.subarray(offset + 48, offset + 80),
  };
}

/** True when `hash` is the id in `header`. */
export function isIdOf(header: RecordHeader, hash: Uint8Array): boolean {
  return header.id.equals(hash);
}

function maxLength(kind: Kind): number {
  if (kind === KIND.chunk) return MAX_CHUNK_BYTES;
  if (kind === KIND.void) return 2 ** 32 - 1;
  return kind >= KIND.admit && kind <= KIND.mark ? MAX_EVENT_BYTES : -1;
}
