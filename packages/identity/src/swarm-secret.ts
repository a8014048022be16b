/**
 * The secret that the hosts of one disk share: who does not hold it can neither find the swarm nor prove itself to it.
 *
 * It travels wrapped for one host at a time: an ephemeral X25519 key, a key derived with BLAKE3 over both public keys and
 * the disk, and an AEAD. A box opens for its host and its disk only. Which hosts get one is the roster's business.
 */
import {
  blake3,
  blake3DeriveKey,
  blake3Keyed,
  type DiskId,
  DiskswarmError,
  type HostId,
  idToBytes,
  type Random,
} from '@diskswarm/core';
import { type HostKeys, hostKeysOf } from './host-keys.ts';
import { agree, decrypt, encrypt, KEY_BYTES, publicKeyOf, TAG_BYTES } from './primitives.ts';

/** 32 secret bytes. Never logged. */
export type SwarmSecret = Uint8Array;

/** Bytes of a wrapped secret: ephemeral key ‖ ciphertext ‖ tag. */
export const BOX_BYTES = KEY_BYTES + KEY_BYTES + TAG_BYTES;

const WRAP_CONTEXT = 'diskswarm swarm secret wrapping key v1';
const TOPIC_CONTEXT = 'diskswarm topic key v1';
// The wrapping key is used once (the ephemeral key is fresh), so the nonce may be constant.
const WRAP_NONCE = new Uint8Array(12);

/** A fresh secret. */
export function createSwarmSecret(random: Random): SwarmSecret {
  return random.bytes(KEY_BYTES);
}

/** Names a secret without telling it: BLAKE3 of its bytes under a domain, 32 bytes. */
export function secretIdOf(secret: SwarmSecret): Uint8Array {
  return blake3(Buffer.concat([Buffer.from('diskswarm secret id v1\n', 'latin1'), secret]));
}

/** The secret for `host` alone, bound to `disk` (80 bytes). INVALID_ID where the host's key is unusable. */
export function wrapSecret(secret: SwarmSecret, host: HostId, disk: DiskId, random: Random): Uint8Array {
  const seed = random.bytes(KEY_BYTES);
  const ephemeral = publicKeyOf('x25519', seed);
  const { wrapping } = hostKeysOf(host);
  const shared = agree(seed, wrapping);
  if (shared === null) throw new DiskswarmError('INVALID_ID', 'the host id holds an unusable key', { data: { host } });
  const key = wrappingKey(shared, ephemeral, wrapping, disk);
  return Buffer.concat([ephemeral, encrypt(key, WRAP_NONCE, secret, idToBytes(disk))]);
}

/** Opens a box of `wrapSecret`; FORMAT_INVALID when it is for another host or disk, or altered. */
export function unwrapSecret(box: Uint8Array, keys: HostKeys, disk: DiskId): SwarmSecret {
  const ephemeral = box.subarray(0, KEY_BYTES);
  const shared = box.length === BOX_BYTES ? agree(keys.wrappingSeed, ephemeral) : null;
  const key = shared && wrappingKey(shared, ephemeral, hostKeysOf(keys.hostId).wrapping, disk);
  const secret = key && decrypt(key, WRAP_NONCE, box.subarray(KEY_BYTES), idToBytes(disk));
  if (!secret)
    throw new DiskswarmError('FORMAT_INVALID', 'the wrapped secret is not for this host', { data: { disk } });
  return secret;
}

function wrappingKey(shared: Uint8Array, ephemeral: Uint8Array, recipient: Uint8Array, disk: DiskId): Uint8Array {
  return blake3DeriveKey(WRAP_CONTEXT, Buffer.concat([shared, ephemeral, recipient, idToBytes(disk)]));
}

/** The key that speaks for the topic of a disk: only who holds the swarm secret has it. Seed and public key, 32 bytes each. */
export function topicKeysOf(
  secret: SwarmSecret,
  disk: DiskId,
): { readonly seed: Uint8Array; readonly topic: Uint8Array } {
  const seed = blake3DeriveKey(TOPIC_CONTEXT, Buffer.concat([secret, idToBytes(disk)]));
  return { seed, topic: publicKeyOf('ed25519', seed) };
}

/** The name under which the hosts of a disk meet, 32 bytes: the public half of the topic's key. */
export function topicOf(secret: SwarmSecret, disk: DiskId): Uint8Array {
  return topicKeysOf(secret, disk).topic;
}

/** The topic as trackers and BitTorrent know names, 20 bytes; it commits to the topic, so that a tracker can tell who speaks for it. */
export function infoHashOf(topic: Uint8Array): Uint8Array {
  return blake3(Buffer.concat([Buffer.from('diskswarm info hash v1\n', 'latin1'), topic])).slice(0, 20);
}

/** What the hosts of a disk recognise each other's calls on a LAN by, for one hour of the wall clock: 32 bytes. */
export function lanKeyOf(secret: SwarmSecret, disk: DiskId, hour: number): Uint8Array {
  const text = Buffer.from(`diskswarm lan key v1 ${hour}\n`, 'latin1');
  return blake3Keyed(secret, Buffer.concat([text, idToBytes(disk)]));
}

/** The name under which the hosts of a disk meet in a DHT, 32 bytes: another one than trackers know. */
export function dhtTopicOf(secret: SwarmSecret, disk: DiskId): Uint8Array {
  return blake3Keyed(secret, Buffer.concat([Buffer.from('diskswarm dht topic v1\n', 'latin1'), idToBytes(disk)]));
}
