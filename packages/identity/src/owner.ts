/**
 * The key of a person: it signs rosters, invitations, the first epoch and forced take-overs. Hosts never hold it.
 *
 * A recovery key is made with it, and every genesis carries its hash, so that a later version can re-key a disk whose
 * owner key is lost or stolen. Its seed leaves the everyday file with the first backup: `withoutRecovery`.
 */
import { blake3, type Random } from '@diskswarm/core';
import { KEY_BYTES, publicKeyOf } from './primitives.ts';

/** The keys of a person. Secret. */
export interface Owner {
  /** 32-byte ed25519 seed. */
  readonly signingSeed: Uint8Array;
  /** 32-byte ed25519 public key, as genesis records carry it. */
  readonly publicKey: Uint8Array;
  /** 32-byte ed25519 public key of the recovery key. */
  readonly recoveryPublicKey: Uint8Array;
  /** Its seed, or null where only the backup has it. */
  readonly recoverySeed: Uint8Array | null;
}

/** Fresh keys from `random`. */
export function createOwner(random: Random): Owner {
  return ownerFromSeeds(random.bytes(KEY_BYTES), random.bytes(KEY_BYTES));
}

function ownerFromSeeds(signingSeed: Uint8Array, recoverySeed: Uint8Array): Owner {
  return {
    signingSeed,
    publicKey: publicKeyOf('ed25519', signingSeed),
    recoveryPublicKey: publicKeyOf('ed25519', recoverySeed),
    recoverySeed,
  };
}

/** The same owner without the recovery seed: what stays in the everyday file once a backup holds it. */
export function withoutRecovery(owner: Owner): Owner {
  return { ...owner, recoverySeed: null };
}

/** What a genesis commits to: BLAKE3 of the recovery public key, 32 bytes. */
export function recoveryHashOf(owner: Owner): Uint8Array {
  return blake3(owner.recoveryPublicKey);
}
