/**
 * Reading a chunk's bytes from its pack, with what can go wrong told apart.
 *
 * Between looking a chunk up and reading it, a reclaim may have moved it and deleted the pack: `moved` asks the caller to look again.
 */
import { blake3, hasCode } from '@diskswarm/core';
import type { Handle } from './catalog.ts';
import type { StoreContext } from './context.ts';
import type { Damage } from './damage.ts';
import { KEY_BYTES, type Key, newKey, writeKey } from './key.ts';

/** The chunk's hash and true length, or why it cannot be had. `error` is what the storage said. */
export type ReadResult =
  | { readonly outcome: 'read'; readonly hash: Uint8Array }
  | { readonly outcome: 'moved' }
  | { readonly outcome: Damage['kind']; readonly error?: unknown };

/** Fills `into`, which is as long as the chunk, and hashes it. The hash is not compared with anything. Never rejects for a damaged chunk. */
export async function readChunk(
  { catalog, files }: StoreContext,
  handle: Handle,
  into: Uint8Array,
): Promise<ReadResult> {
  const key = catalog.keyOf(handle, newKey());
  const pack = catalog.packOf(handle);
  const positionBytes = catalog.positionOf(handle);
  const isThere = (): boolean =>
    catalog.find(key) === handle && catalog.packOf(handle) === pack && catalog.positionOf(handle) === positionBytes;
  let opened = false;
  try {
    const count = await files.use(pack, (file) => {
      opened = true;
      return file.read(into, positionBytes);
    });
    if (!isThere()) return { outcome: 'moved' };
    return count < into.length ? { outcome: 'missing' } : { outcome: 'read', hash: blake3(into) };
  } catch (error) {
    if (!isThere()) return { outcome: 'moved' };
    // A file that cannot be opened says nothing about the chunks in it.
    if (!opened || !hasCode(error, 'READ_FAILED')) throw error;
    return { outcome: 'unreadable', error };
  }
}

/** True when `hash` begins with `key`. */
export function matchesKey(hash: Uint8Array, key: Key): boolean {
  const expected = Buffer.alloc(KEY_BYTES);
  writeKey(key, expected, 0);
  return expected.equals(hash.subarray(0, KEY_BYTES));
}
