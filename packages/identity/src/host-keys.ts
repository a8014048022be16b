/**
 * The keys of a host and the id they give: an ed25519 key signs, an X25519 key receives wrapped secrets.
 *
 * A host id is both public keys and a checksum as one hex text, so whoever holds an id can verify and wrap for the host
 * without asking anybody. In records the id is its 64 key bytes. The private file's storage is left to the host agent.
 */
import {
  blake3,
  DiskswarmError,
  decodeCanonical,
  encodeCanonical,
  fromHex,
  type HostId,
  type Random,
  RecordReader,
  toHex,
} from '@diskswarm/core';
import { KEY_BYTES, publicKeyOf } from './primitives.ts';

const CHECKSUM_BYTES = 4;
/** Bytes of a host in a record: signing key ‖ wrapping key. */
export const HOST_BYTES = 2 * KEY_BYTES;

/** The private keys of this host. Secret: never logged, never sent. */
export interface HostKeys {
  /** 32-byte ed25519 seed. */
  readonly signingSeed: Uint8Array;
  /** 32-byte X25519 seed. */
  readonly wrappingSeed: Uint8Array;
  readonly hostId: HostId;
}

/** The public keys in a host id, 32 bytes each (fresh arrays). */
export interface HostPublicKeys {
  readonly signing: Uint8Array;
  readonly wrapping: Uint8Array;
}

/** Fresh keys from `random`. */
export function createHostKeys(random: Random): HostKeys {
  return hostKeysFromSeeds(random.bytes(KEY_BYTES), random.bytes(KEY_BYTES));
}

function hostKeysFromSeeds(signingSeed: Uint8Array, wrappingSeed: Uint8Array): HostKeys {
  const keys = Buffer.concat([publicKeyOf('ed25519', signingSeed), publicKeyOf('x25519', wrappingSeed)]);
  return { signingSeed, wrappingSeed, hostId: hostFromBytes(keys) };
}

/** Canonical bytes of the keys, for a file of mode 0600 in the state folder. */
export function encodeHostKeys(keys: HostKeys): Uint8Array {
  return encodeCanonical({ v: 1, kind: 'host keys', signing: keys.signingSeed, wrapping: keys.wrappingSeed });
}

/** The keys of `encodeHostKeys`; FORMAT_INVALID on anything else. */
export function decodeHostKeys(bytes: Uint8Array): HostKeys {
  const what = 'host keys';
  const reader = new RecordReader(decodeCanonical(bytes, { maxBytes: 512, what }), what, [
    'v',
    'kind',
    'signing',
    'wrapping',
  ]);
  reader.integer('v', 1, 1);
  if (reader.text('kind', 32) !== what) throw new DiskswarmError('FORMAT_INVALID', `${what}: another kind of file`);
  return hostKeysFromSeeds(
    reader.bytes('signing', { length: KEY_BYTES }).slice(),
    reader.bytes('wrapping', { length: KEY_BYTES }).slice(),
  );
}

/** The public name of the keys. */
export function hostIdOf(keys: HostKeys): HostId {
  return keys.hostId;
}

/** Parses 136 lower-case hex digits and checks the checksum; INVALID_ID otherwise. */
export function parseHostId(text: string): HostId {
  const digits = (HOST_BYTES + CHECKSUM_BYTES) * 2;
  if (text.length !== digits || !/^[0-9a-f]+$/.test(text)) {
    throw new DiskswarmError('INVALID_ID', `a host id is ${digits} lower-case hex digits`, {
      data: { length: text.length },
    });
  }
  const id = hostFromBytes(fromHex(text).subarray(0, HOST_BYTES));
  if (id !== text) throw new DiskswarmError('INVALID_ID', 'the host id was mistyped: its checksum does not match');
  return id;
}

/** The id of 64 key bytes, as records carry them. */
export function hostFromBytes(keys: Uint8Array): HostId {
  if (keys.length !== HOST_BYTES) {
    throw new DiskswarmError('INVALID_ID', `a host is ${HOST_BYTES} bytes`, { data: { length: keys.length } });
  }
  return (toHex(keys) + toHex(blake3(keys).subarray(0, CHECKSUM_BYTES))) as string as HostId;
}

/** The 64 key bytes of a host id (a fresh copy). */
export function hostToBytes(host: HostId): Uint8Array {
  return fromHex(host).slice(0, HOST_BYTES);
}

/** The public keys in `host`. */
export function hostKeysOf(host: HostId): HostPublicKeys {
  const bytes = hostToBytes(host);
  return { signing: bytes.slice(0, KEY_BYTES), wrapping: bytes.slice(KEY_BYTES) };
}

/** Eight hex digits for people; never compared, never parsed. */
export function shortHost(host: HostId): string {
  return host.slice(0, 8);
}
