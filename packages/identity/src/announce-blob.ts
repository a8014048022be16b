/**
 * News of a generation in at most 1 KiB, left at a tracker: it finds the members also when whoever sealed it is gone.
 *
 * version 1 (1) ‖ topic (32) ‖ epoch u32 ‖ sequence u64 ‖ nonce (12) ‖ the generation's record, sealed under the swarm secret ‖ signature (64)
 *
 * The topic is a public key that the info hash commits to, so that a tracker can check who speaks and what is newer, and learns no
 * more than epoch and sequence. What the record is worth (its signer, its place) is judged by members, who open it.
 */
import { blake3DeriveKey, type DiskId, DiskswarmError, idToBytes, type Random } from '@diskswarm/core';
import { decodeGeneration, type Generation } from './generation.ts';
import { MAX_EPOCH, MAX_SEQUENCE } from './limits.ts';
import { decrypt, encrypt, equalBytes, KEY_BYTES, SIGNATURE_BYTES, sign, TAG_BYTES, verify } from './primitives.ts';
import type { Position } from './roster.ts';
import { infoHashOf, type SwarmSecret, topicKeysOf } from './swarm-secret.ts';

/** Bytes of a blob. */
export const MAX_BLOB_BYTES = 1024;

const VERSION = 1;
const NONCE_BYTES = 12;
const HEAD_BYTES = 1 + KEY_BYTES + 4 + 8;
const LEAST_BYTES = HEAD_BYTES + NONCE_BYTES + TAG_BYTES + SIGNATURE_BYTES;
const SEAL_CONTEXT = 'diskswarm announce blob key v1';
const DOMAIN = Buffer.from('diskswarm announce blob 1\n', 'latin1');

/** The blob of a generation, or null where its record does not fit. */
export function createAnnounceBlob(generation: Generation, secret: SwarmSecret, random: Random): Uint8Array | null {
  const { disk, epoch, sequence, bytes } = generation;
  const { seed, topic } = topicKeysOf(secret, disk);
  const head = Buffer.alloc(HEAD_BYTES);
  head[0] = VERSION;
  head.set(topic, 1);
  head.writeUInt32BE(epoch, 1 + KEY_BYTES);
  head.writeBigUInt64BE(BigInt(sequence), 5 + KEY_BYTES);
  const nonce = random.bytes(NONCE_BYTES);
  const unsigned = Buffer.concat([head, nonce, encrypt(sealKey(secret, disk), nonce, bytes, head)]);
  const blob = Buffer.concat([unsigned, sign(seed, Buffer.concat([DOMAIN, unsigned]))]);
  return blob.length > MAX_BLOB_BYTES ? null : new Uint8Array(blob);
}

/** What anybody can check of a blob under this info hash (20 bytes); FORMAT_INVALID or SIGNATURE_INVALID. */
export function checkAnnounceBlob(blob: Uint8Array, infoHash: Uint8Array): Position {
  const place = announceBlobPlace(blob, infoHash);
  const { topic, unsigned, signature } = parts(blob);
  if (!verify(topic, Buffer.concat([DOMAIN, unsigned]), signature))
    throw new DiskswarmError('SIGNATURE_INVALID', 'announce blob: the signature does not verify', {
      data: { what: 'announce blob' },
    });
  return place;
}

/** The place that a blob claims, its signature unread: for one that was checked before it was kept. FORMAT_INVALID. */
export function announceBlobPlace(blob: Uint8Array, infoHash: Uint8Array): Position {
  const { topic, epoch, sequence } = parts(blob);
  if (!equalBytes(infoHashOf(topic), infoHash)) refuse('of another swarm');
  return { epoch, sequence };
}

/** The generation that a blob tells of, with its own signature checked; FORMAT_INVALID, SIGNATURE_INVALID, GENERATION_UNTRUSTED. */
export function openAnnounceBlob(blob: Uint8Array, secret: SwarmSecret, disk: DiskId): Generation {
  checkAnnounceBlob(blob, infoHashOf(topicKeysOf(secret, disk).topic));
  const { head, nonce, sealed, epoch, sequence } = parts(blob);
  const record = decrypt(sealKey(secret, disk), nonce, sealed, head);
  if (record === null) return refuse('sealed under another secret');
  const generation = decodeGeneration(record);
  if (generation.disk !== disk || generation.epoch !== epoch || generation.sequence !== sequence)
    refuse('a generation that is not the one it says');
  return generation;
}

function parts(blob: Uint8Array) {
  const bytes = Buffer.from(blob.buffer, blob.byteOffset, blob.byteLength);
  if (bytes.length < LEAST_BYTES || bytes.length > MAX_BLOB_BYTES || bytes[0] !== VERSION)
    refuse('none of this version');
  const epoch = bytes.readUInt32BE(1 + KEY_BYTES);
  const sequence = Number(bytes.readBigUInt64BE(5 + KEY_BYTES));
  if (epoch > MAX_EPOCH || sequence > MAX_SEQUENCE) refuse('a place that no generation has');
  const end = bytes.length - SIGNATURE_BYTES;
  return {
    head: bytes.subarray(0, HEAD_BYTES),
    topic: bytes.subarray(1, 1 + KEY_BYTES),
    epoch,
    sequence,
    nonce: bytes.subarray(HEAD_BYTES, HEAD_BYTES + NONCE_BYTES),
    sealed: bytes.subarray(HEAD_BYTES + NONCE_BYTES, end),
    unsigned: bytes.subarray(0, end),
    signature: bytes.subarray(end),
  };
}

function sealKey(secret: SwarmSecret, disk: DiskId): Uint8Array {
  return blake3DeriveKey(SEAL_CONTEXT, Buffer.concat([secret, idToBytes(disk)]));
}

function refuse(why: string): never {
  throw new DiskswarmError('FORMAT_INVALID', `announce blob: ${why}`, { data: { what: 'announce blob' } });
}
