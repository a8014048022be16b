/**
 * Identifiers: branded lower-case hex strings, parsed at the boundary and compared with `===`.
 *
 * Strings rather than byte arrays, because ids are map keys, JSON fields and log words far more often
 * than they are bytes; pages and wire messages keep the raw 32 bytes and convert at their edge.
 */
import { DiskswarmError } from './errors.ts';

declare const brand: unique symbol;
type Branded<Base, Name extends string> = Base & { readonly [brand]: Name };

/** BLAKE3 of a chunk's bytes (or of a manifest page's 8 KiB), 64 hex digits. */
export type ChunkId = Branded<string, 'ChunkId'>;
/** A manifest page is stored and named like a chunk. */
export type PageId = ChunkId;
/** BLAKE3 of a disk's genesis record, 64 hex digits. */
export type DiskId = Branded<string, 'DiskId'>;
/** BLAKE3 of a generation record without its signature, 64 hex digits. */
export type GenerationId = Branded<string, 'GenerationId'>;
/** BLAKE3 of an epoch record, 64 hex digits; the genesis counts as epoch record 0. */
export type EpochRecordId = Branded<string, 'EpochRecordId'>;
/** ed25519 key, X25519 key and a 4-byte checksum, 136 hex digits. */
export type HostId = Branded<string, 'HostId'>;
/** Names a join token without telling its secret, 16 hex digits. */
export type TokenId = Branded<string, 'TokenId'>;
/** A position in one generation's manifest: chunk number from the start of the disk. */
export type PieceIndex = Branded<number, 'PieceIndex'>;

/** Bytes in an id that is a hash. */
export const ID_BYTES = 32;
/** The id of the all-zero chunk and of the all-zero page; neither is ever stored or sent. */
export const ZERO_ID = '0'.repeat(64) as ChunkId;

const HASH_PATTERN = /^[0-9a-f]{64}$/;

/** Parses 64 lower-case hex digits; throws INVALID_ID naming `what` otherwise. */
export function parseHashId<Id extends ChunkId | DiskId | GenerationId | EpochRecordId>(
  text: string,
  what: string,
): Id {
  if (!HASH_PATTERN.test(text))
    throw new DiskswarmError('INVALID_ID', `${what} is not 64 lower-case hex digits`, { data: { what } });
  return text as string as Id;
}

/** Parses 16 lower-case hex digits; INVALID_ID. */
export function parseTokenId(text: string): TokenId {
  if (!/^[0-9a-f]{16}$/.test(text))
    throw new DiskswarmError('INVALID_ID', 'the id of a token is not 16 lower-case hex digits');
  return text as string as TokenId;
}

/** The id whose 32 bytes start at `offset` of `bytes` (copied). */
export function idFromBytes<Id extends ChunkId | DiskId | GenerationId | EpochRecordId = ChunkId>(
  bytes: Uint8Array,
  offset = 0,
): Id {
  if (bytes.length < offset + ID_BYTES)
    throw new DiskswarmError('INVALID_ID', 'an id needs 32 bytes', { data: { available: bytes.length - offset } });
  return toHex(bytes.subarray(offset, offset + ID_BYTES)) as string as Id;
}

/** The 32 bytes of a hash id (a fresh copy). */
export function idToBytes(id: ChunkId | DiskId | GenerationId | EpochRecordId): Uint8Array {
  return fromHex(id);
}

/** A checked piece index: a safe integer from 0. Programmer errors assert. */
export function pieceIndex(value: number): PieceIndex {
  if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`piece index ${value}`);
  return value as PieceIndex;
}

/** Lower-case hex of `bytes`. */
export function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');
}

/** Bytes of an even-length hex text; throws INVALID_ID on anything else. */
export function fromHex(text: string): Uint8Array {
  const bytes = Buffer.from(text, 'hex');
  if (bytes.length * 2 !== text.length)
    throw new DiskswarmError('INVALID_ID', 'not a hex text', { data: { length: text.length } });
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
