/**
 * BLAKE3 in its three modes; the single place that imports an implementation.
 *
 * The prebuilt native package first (SIMD), the portable WASM one where no prebuilt binary fits. Both are loaded when
 * this module is, so that hashing is synchronous everywhere.
 */
import { createRequire } from 'node:module';

interface Implementation {
  readonly name: string;
  hash(bytes: Uint8Array): Uint8Array;
  keyed(key: Uint8Array, bytes: Uint8Array): Uint8Array;
  derive(context: string, material: Uint8Array): Uint8Array;
}

const implementation: Implementation = loadNative() ?? (await loadPortable());

/** Which implementation runs: benchmarks print it. */
export const BLAKE3_BACKEND = implementation.name;

/** The 32-byte hash of `bytes` (a fresh array). */
export function blake3(bytes: Uint8Array): Uint8Array {
  return implementation.hash(bytes);
}

/** The keyed hash (a MAC) under a 32-byte key. */
export function blake3Keyed(key: Uint8Array, bytes: Uint8Array): Uint8Array {
  if (key.length !== 32) throw new RangeError(`a BLAKE3 key has 32 bytes, not ${key.length}`);
  return implementation.keyed(key, bytes);
}

/** A 32-byte key from `material`; `context` is a hard-coded, globally unique text. */
export function blake3DeriveKey(context: string, material: Uint8Array): Uint8Array {
  return implementation.derive(context, material);
}

function loadNative(): Implementation | null {
  try {
    const native = createRequire(import.meta.url)('@napi-rs/blake-hash') as typeof import('@napi-rs/blake-hash');
    return {
      name: 'native',
      hash: (bytes) => native.blake3(bytes),
      keyed: (key, bytes) => native.Blake3Hasher.newKeyed(Buffer.from(key)).update(bytes).digestBuffer(),
      derive: (context, material) => native.Blake3Hasher.newDeriveKey(context).update(material).digestBuffer(),
    };
  } catch {
    return null;
  }
}

async function loadPortable(): Promise<Implementation> {
  const portable = await import('blake3');
  await portable.load();
  const plain = (bytes: string | Uint8Array): Uint8Array =>
    typeof bytes === 'string' ? Buffer.from(bytes, 'hex') : bytes;
  return {
    name: 'wasm',
    hash: (bytes) => plain(portable.hash(bytes)),
    keyed: (key, bytes) => plain(portable.keyedHash(Buffer.from(key), bytes)),
    derive: (context, material) => plain(portable.deriveKey(context, material)),
  };
}
