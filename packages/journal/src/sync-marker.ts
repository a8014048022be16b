/**
 * Sync markers: the journal's own memory of what it once knew to be durable.
 *
 * After each sync that succeeded, a marker says "everything before position S was durable when I was written". A marker must
 * therefore be recognised even where the frames before it are broken: it carries a magic, the header's identity, its own
 * position and a checksum of its own, none of which depend on the chain. It is found by searching, not by walking.
 * Written after the sync, never before: had it been written before, it could reach the disk while the bytes it speaks of did not.
 */
import { crc32 } from 'node:zlib';
import { encodeFrame, FRAME_OVERHEAD_BYTES } from './format.ts';

const MARKER_MAGIC = Buffer.from('dsksync\n', 'latin1');
const MARKER_PAYLOAD_BYTES = 32;
/** Length field of a marker's frame. */
export const MARKER_LENGTH_FIELD = 0x80000000 + MARKER_PAYLOAD_BYTES;
/** Whole size of a marker in the file. */
export const MARKER_BYTES = FRAME_OVERHEAD_BYTES + MARKER_PAYLOAD_BYTES;

/** The marker frame for `positionBytes`, saying that everything before `syncedBytes` is durable. */
export function encodeMarker(
  identity: number,
  positionBytes: number,
  syncedBytes: number,
  previousCrc: number,
): { bytes: Uint8Array; crc: number } {
  const payload = Buffer.alloc(MARKER_PAYLOAD_BYTES);
  MARKER_MAGIC.copy(payload, 0);
  payload.writeUInt32LE(identity, 8);
  writePosition(payload, positionBytes, 12);
  writePosition(payload, syncedBytes, 20);
  payload.writeUInt32LE(crc32(payload.subarray(0, 28)), 28);
  const bytes = Buffer.alloc(MARKER_BYTES);
  const crc = encodeFrame(bytes, 0, payload, MARKER_LENGTH_FIELD, previousCrc);
  return { bytes, crc };
}

/**
 * The position that the marker whose payload starts at `offset` of `bytes` proves durable, or null when there is no such marker.
 * `payloadPositionBytes` is where that payload lies in the file.
 */
export function readMarker(
  bytes: Buffer,
  offset: number,
  identity: number,
  payloadPositionBytes: number,
): number | null {
  if (bytes.length < offset + MARKER_PAYLOAD_BYTES) return null;
  const payload = bytes.subarray(offset, offset + MARKER_PAYLOAD_BYTES);
  if (MARKER_MAGIC.compare(payload, 0, 8) !== 0 || payload.readUInt32LE(8) !== identity) return null;
  if (payload.readUInt32LE(28) !== crc32(payload.subarray(0, 28))) return null;
  const positionBytes = readPosition(payload, 12);
  const syncedBytes = readPosition(payload, 20);
  return positionBytes + FRAME_OVERHEAD_BYTES === payloadPositionBytes && syncedBytes <= positionBytes
    ? syncedBytes
    : null;
}

/** The highest position that any marker in `bytes` proves durable, 0 when there is none. `positionBytes` is where `bytes` starts in the file. */
export function searchMarkers(bytes: Buffer, identity: number, positionBytes: number): number {
  let highest = 0;
  for (let at = bytes.indexOf(MARKER_MAGIC); at >= 0; at = bytes.indexOf(MARKER_MAGIC, at + 1)) {
    highest = Math.max(highest, readMarker(bytes, at, identity, positionBytes + at) ?? 0);
  }
  return highest;
}

function writePosition(target: Buffer, value: number, offset: number): void {
  target.writeBigUInt64LE(BigInt(value), offset);
}

function readPosition(source: Buffer, offset: number): number {
  return Number(source.readBigUInt64LE(offset));
}
