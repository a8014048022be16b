/**
 * A call on the LAN: one datagram that says "hosts of these disks accept connections here" to whoever knows the disks.
 *
 *   "dsl1"   u32 hour   u16 port   16 random bytes   tags of 16 bytes, 1 to 64
 *
 * A tag is a keyed hash, under a key that the disk's secret gives for that hour, of the random bytes, the sender's address
 * and the port. So no two calls have a tag in common, a call copied by another host matches nothing, and the rest are
 * random bytes that hide how many disks there are. What calls lead to is lan-discovery.ts.
 */
import { blake3Keyed, DiskswarmError, type Random } from '@diskswarm/core';

/** Tags of one call; more disks take more calls. */
export const MAX_LAN_TAGS = 64;
export const LAN_NONCE_BYTES = 16;
export const LAN_TAG_BYTES = 16;

const MAGIC = Buffer.from('dsl1', 'latin1');
const MAGIC_BYTES = 4;
const HEADER_BYTES = MAGIC_BYTES + 4 + 2 + LAN_NONCE_BYTES;
/** A longer datagram is no call; one of ours fits any Ethernet frame. */
const MAX_LAN_BYTES = HEADER_BYTES + MAX_LAN_TAGS * LAN_TAG_BYTES;

/** What a call says; the tags mean something to members alone. */
export interface LanCall {
  /** Hours of the wall clock since 1970 at the sender. */
  readonly hour: number;
  /** Where the sender accepts connections. */
  readonly port: number;
  readonly nonce: Uint8Array;
  readonly tags: readonly Uint8Array[];
}

/** The tag of one disk in a call: `key` is the disk's for the call's hour, `host` the sender's address in text. */
export function lanTag(key: Uint8Array, host: string, { port, nonce }: Pick<LanCall, 'port' | 'nonce'>): Uint8Array {
  const address = Buffer.from(`${host} ${port}\n`, 'latin1');
  return blake3Keyed(key, Buffer.concat([address, nonce])).subarray(0, LAN_TAG_BYTES);
}

/** The datagram of a call, filled up with random tags to a power of two. */
export function encodeLanCall({ hour, port, nonce, tags }: LanCall, random: Random): Uint8Array {
  let room = 4;
  while (room < tags.length) room *= 2;
  if (tags.length === 0 || room > MAX_LAN_TAGS) throw new RangeError(`a call has 1 to ${MAX_LAN_TAGS} tags`);
  const numbers = Buffer.alloc(6);
  numbers.writeUInt32BE(hour, 0);
  numbers.writeUInt16BE(port, 4);
  return Buffer.concat([MAGIC, numbers, nonce, ...tags, random.bytes((room - tags.length) * LAN_TAG_BYTES)]);
}

/** Reads a datagram; the arrays are views into it. FORMAT_INVALID when it is no call. */
export function decodeLanCall(bytes: Uint8Array): LanCall {
  const whole = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const tagBytes = whole.length - HEADER_BYTES;
  if (tagBytes < LAN_TAG_BYTES || whole.length > MAX_LAN_BYTES || tagBytes % LAN_TAG_BYTES !== 0) invalid();
  const port = whole.readUInt16BE(8);
  if (!whole.subarray(0, MAGIC_BYTES).equals(MAGIC) || port === 0) invalid();
  const tags: Uint8Array[] = [];
  for (let at = HEADER_BYTES; at < whole.length; at += LAN_TAG_BYTES) tags.push(whole.subarray(at, at + LAN_TAG_BYTES));
  return { hour: whole.readUInt32BE(4), port, nonce: whole.subarray(10, HEADER_BYTES), tags };
}

function invalid(): never {
  throw new DiskswarmError('FORMAT_INVALID', 'a datagram on the LAN that is no call of ours');
}
