/**
 * The private keys of this host, in a file of the state folder that is made at the first start and never changed.
 *
 * The keys are durable before anybody learns the host id. Whoever makes them holds the state folder.
 */
import { type Random, readWhole, type Storage, writeAtomically } from '@diskswarm/core';
import { createHostKeys, decodeHostKeys, encodeHostKeys, type HostKeys } from '@diskswarm/identity';
import { HOST_KEYS_FILE } from './layout.ts';

const MAX_BYTES = 512;

/** The keys, or null where none were made yet; FORMAT_INVALID for a damaged file. */
export async function readHostKeys(storage: Storage): Promise<HostKeys | null> {
  const bytes = await readWhole(storage, HOST_KEYS_FILE, MAX_BYTES);
  return bytes === null ? null : decodeHostKeys(bytes);
}

/** The keys of the folder, made now if there are none. */
export async function loadHostKeys(storage: Storage, random: Random): Promise<HostKeys> {
  const known = await readHostKeys(storage);
  if (known !== null) return known;
  const keys = createHostKeys(random);
  await writeAtomically(storage, HOST_KEYS_FILE, encodeHostKeys(keys));
  return keys;
}
