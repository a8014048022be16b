/**
 * A chunk in fewer bytes: as a delta to one that the asker holds, compressed, or both; and the message with which it says what it holds.
 *
 * `ds_base` goes right before a request; `ds_packed` is an answer in the place of a piece (bittorrent-channel.ts books both).
 * A delta names its base itself, so that it cannot be taken for one to another. Layouts are binary, big-endian:
 * `ds_base` is index (4), id (32); `ds_packed` is index (4), form (1: bit 0 delta, bit 1 zstd), with a delta the base's id (32), then the body.
 */
import { type ChunkId, DiskswarmError, ID_BYTES, idFromBytes, idToBytes } from '@diskswarm/core';
import { applyDelta } from './delta.ts';
import { INDEX_SPACE, MAX_EXTENSION_BYTES } from './limits.ts';
import { decompress } from './zstd.ts';

/** Names of the two messages in the extended handshake; who names neither gets and gives whole chunks. */
export const BASE_EXTENSION = 'ds_base';
export const PACKED_EXTENSION = 'ds_packed';

const INDEX_BYTES = 4;
const FORM_BYTES = 1;
const DELTA = 1;
const ZSTD = 2;

/** A chunk's bytes on their way. */
export interface PackedChunk {
  /** The chunk that the body is a delta to; null when it is the whole one. */
  readonly base: ChunkId | null;
  /** The body is compressed. */
  readonly zstd: boolean;
  readonly body: Uint8Array;
}

/** What a request says of the chunk the asker holds. */
export interface BaseHint {
  readonly index: number;
  readonly base: ChunkId;
}

/** True when a body of this length may travel in the place of a whole chunk. */
export function fitsPacked(bodyBytes: number, chunkSizeBytes: number): boolean {
  const headBytes = INDEX_BYTES + FORM_BYTES + ID_BYTES;
  return headBytes + bodyBytes <= Math.min(chunkSizeBytes, MAX_EXTENSION_BYTES);
}

export function encodeBase({ index, base }: BaseHint): Uint8Array {
  const payload = new Uint8Array(INDEX_BYTES + ID_BYTES);
  new DataView(payload.buffer).setUint32(0, index);
  payload.set(idToBytes(base), INDEX_BYTES);
  return payload;
}

/** Throws FORMAT_INVALID. */
export function decodeBase(payload: Uint8Array): BaseHint {
  if (payload.length !== INDEX_BYTES + ID_BYTES) invalid('the name of a base');
  return { index: indexOf(payload), base: idFromBytes<ChunkId>(payload, INDEX_BYTES) };
}

/** Everything of the message before the body. */
export function encodePackedHead(index: number, { base, zstd }: PackedChunk): Uint8Array {
  const head = new Uint8Array(INDEX_BYTES + FORM_BYTES + (base === null ? 0 : ID_BYTES));
  new DataView(head.buffer).setUint32(0, index);
  head[INDEX_BYTES] = (base === null ? 0 : DELTA) | (zstd ? ZSTD : 0);
  if (base !== null) head.set(idToBytes(base), INDEX_BYTES + FORM_BYTES);
  return head;
}

/** The body is a view. Throws FORMAT_INVALID. */
export function decodePacked(payload: Uint8Array, chunkSizeBytes: number): { index: number; packed: PackedChunk } {
  const form = payload[INDEX_BYTES] ?? 0;
  const delta = (form & DELTA) !== 0;
  const headBytes = INDEX_BYTES + FORM_BYTES + (delta ? ID_BYTES : 0);
  const body = payload.subarray(headBytes);
  if (form < DELTA || form > (DELTA | ZSTD) || body.length === 0 || body.length >= chunkSizeBytes)
    invalid(`a packed chunk of form ${form} in ${payload.length} bytes`);
  const base = delta ? idFromBytes<ChunkId>(payload, INDEX_BYTES + FORM_BYTES) : null;
  return { index: indexOf(payload), packed: { base, zstd: (form & ZSTD) !== 0, body } };
}

/**
 * The chunk, not verified. `room` is as long as a chunk and holds the base where there is one: the chunk is made in it, or it is left alone
 * and another array returned. Throws FORMAT_INVALID.
 */
export function unpack({ base, zstd, body }: PackedChunk, room: Uint8Array): Uint8Array {
  const plain = zstd ? decompress(body, room.length) : body;
  if (base !== null) applyDelta(plain, room);
  else if (plain.length !== room.length) invalid(`a compressed chunk of ${plain.length} bytes`);
  return base === null ? plain : room;
}

function indexOf(payload: Uint8Array): number {
  const index = new DataView(payload.buffer, payload.byteOffset, payload.length).getUint32(0);
  return index < INDEX_SPACE ? index : invalid('an index beyond the space');
}

function invalid(what: string): never {
  throw new DiskswarmError('FORMAT_INVALID', what);
}
