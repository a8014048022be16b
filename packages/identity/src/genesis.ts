/**
 * The genesis of a disk: what never changes, and whose hash is the disk's id (design D3).
 *
 * It needs no signature: it names the owner's key, and everything that counts later is signed by that key or leads to it.
 * Name and size are not in it: a name is each host's own, a size belongs to each generation.
 */
import {
  blake3,
  type Decoded,
  type DiskId,
  DiskswarmError,
  decodeCanonical,
  encodeCanonical,
  idFromBytes,
  MAX_CHUNK_BYTES,
  MIN_CHUNK_BYTES,
  type Random,
  RecordReader,
} from '@diskswarm/core';
import { MAX_GENESIS_BYTES } from './limits.ts';
import { type Owner, recoveryHashOf } from './owner.ts';
import { KEY_BYTES } from './primitives.ts';
import { FORMAT_VERSION } from './signed-record.ts';

/** A parsed genesis. Arrays may not be changed. */
export interface Genesis {
  /** BLAKE3 of `bytes`. */
  readonly disk: DiskId;
  /** 32 random bytes: two disks of one owner never share an id. */
  readonly nonce: Uint8Array;
  /** ed25519 public key of the owner. */
  readonly owner: Uint8Array;
  /** BLAKE3 of the recovery public key. */
  readonly recoveryHash: Uint8Array;
  readonly chunkSizeBytes: number;
  /** Canonical bytes. */
  readonly bytes: Uint8Array;
}

/** A new disk of `owner`; BAD_CHUNK_SIZE unless the size is a power of two from 16 KiB to 1 MiB. */
export function createGenesis(owner: Owner, chunkSizeBytes: number, random: Random): Genesis {
  return decodeGenesis(
    encodeCanonical({
      v: FORMAT_VERSION,
      kind: 'genesis',
      nonce: random.bytes(KEY_BYTES),
      owner: owner.publicKey,
      recovery: recoveryHashOf(owner),
      chunk: chunkSizeBytes,
    }),
  );
}

/** Parses canonical bytes (copied); FORMAT_INVALID or BAD_CHUNK_SIZE. */
export function decodeGenesis(bytes: Uint8Array): Genesis {
  const what = 'genesis';
  const copy = bytes.slice();
  const value: Decoded = decodeCanonical(copy, { maxBytes: MAX_GENESIS_BYTES, what });
  const reader = new RecordReader(value, what, ['v', 'kind', 'nonce', 'owner', 'recovery', 'chunk']);
  reader.integer('v', FORMAT_VERSION, FORMAT_VERSION);
  if (reader.text('kind', 16) !== what) throw new DiskswarmError('FORMAT_INVALID', 'not a genesis');
  const chunkSizeBytes = reader.integer('chunk', Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);
  if (chunkSizeBytes < MIN_CHUNK_BYTES || chunkSizeBytes > MAX_CHUNK_BYTES || !isPowerOfTwo(chunkSizeBytes)) {
    throw new DiskswarmError(
      'BAD_CHUNK_SIZE',
      `a chunk of ${chunkSizeBytes} bytes: a power of two from 16K to 1M is needed`,
      {
        data: { chunkSizeBytes },
      },
    );
  }
  return {
    disk: idFromBytes<DiskId>(blake3(copy)),
    nonce: reader.bytes('nonce', { length: KEY_BYTES }),
    owner: reader.bytes('owner', { length: KEY_BYTES }),
    recoveryHash: reader.bytes('recovery', { length: KEY_BYTES }),
    chunkSizeBytes,
    bytes: copy,
  };
}

function isPowerOfTwo(value: number): boolean {
  return Number.isInteger(Math.log2(value));
}

/** The id of the disk that `genesis` begins. */
export function diskIdOf(genesis: Genesis): DiskId {
  return genesis.disk;
}
