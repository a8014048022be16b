/**
 * The owner file, which is also the backup: the owner's keys under a passphrase (scrypt, then ChaCha20-Poly1305).
 *
 * The cost is recorded in the file and bounded when it is read, so a hostile file cannot ask for unbounded memory and a
 * later version may raise it. The header is authenticated with the content. Where the file lies is left to the CLI.
 */
import { scryptSync } from 'node:crypto';
import {
  type Canonical,
  DiskswarmError,
  decodeCanonical,
  encodeCanonical,
  type Random,
  RecordReader,
} from '@diskswarm/core';
import { MAX_PASSPHRASE_BYTES } from './limits.ts';
import type { Owner } from './owner.ts';
import { decrypt, encrypt, KEY_BYTES, publicKeyOf } from './primitives.ts';

const WHAT = 'owner file';
const MAX_BYTES = 4096;
/** 128 MiB and roughly half a second for each guess at a passphrase. */
const COST = { logN: 17, r: 8, p: 1 };
const SALT_BYTES = 16;
const NONCE_BYTES = 12;

/** Encrypts the owner under `passphrase` (1 to 1024 bytes of UTF-8, normalised to NFKC). INVALID_ARGUMENT on a bad one. */
export function encodeOwnerFile(owner: Owner, passphrase: string, random: Random): Uint8Array {
  const header = {
    v: 1,
    kind: WHAT,
    kdf: { ...COST, salt: random.bytes(SALT_BYTES) },
    nonce: random.bytes(NONCE_BYTES),
  };
  const content: { [key: string]: Canonical } = {
    signing: owner.signingSeed,
    recoveryPublic: owner.recoveryPublicKey,
  };
  if (owner.recoverySeed !== null) content.recovery = owner.recoverySeed;
  const key = deriveKey(passphrase, header.kdf);
  const box = encrypt(key, header.nonce, encodeCanonical(content), encodeCanonical(header));
  return encodeCanonical({ ...header, box });
}

/** The owner in `bytes`; PASSPHRASE_WRONG or FORMAT_INVALID. */
export function decodeOwnerFile(bytes: Uint8Array, passphrase: string): Owner {
  const value = decodeCanonical(bytes, { maxBytes: MAX_BYTES, what: WHAT });
  const reader = new RecordReader(value, WHAT, ['v', 'kind', 'kdf', 'nonce', 'box']);
  reader.integer('v', 1, 1);
  if (reader.text('kind', 32) !== WHAT) throw new DiskswarmError('FORMAT_INVALID', `${WHAT}: another kind of file`);
  const costs = new RecordReader(reader.value('kdf'), `${WHAT} cost`, ['logN', 'r', 'p', 'salt']);
  const kdf = {
    logN: costs.integer('logN', 14, 20),
    r: costs.integer('r', 8, 8),
    p: costs.integer('p', 1, 4),
    salt: costs.bytes('salt', { length: SALT_BYTES }),
  };
  const nonce = reader.bytes('nonce', { length: NONCE_BYTES });
  const box = reader.bytes('box', { max: 1024 });
  const plain = decrypt(deriveKey(passphrase, kdf), nonce, box, encodeCanonical({ v: 1, kind: WHAT, kdf, nonce }));
  if (plain === null) throw new DiskswarmError('PASSPHRASE_WRONG', 'the passphrase does not open the owner file');
  return readContent(plain);
}

function readContent(plain: Uint8Array): Owner {
  const content = new RecordReader(decodeCanonical(plain, { maxBytes: 1024, what: WHAT }), WHAT, [
    'signing',
    'recoveryPublic',
    'recovery',
  ]);
  const signingSeed = content.bytes('signing', { length: KEY_BYTES }).slice();
  return {
    signingSeed,
    publicKey: publicKeyOf('ed25519', signingSeed),
    recoveryPublicKey: content.bytes('recoveryPublic', { length: KEY_BYTES }).slice(),
    recoverySeed: content.has('recovery') ? content.bytes('recovery', { length: KEY_BYTES }).slice() : null,
  };
}

function deriveKey(passphrase: string, kdf: { logN: number; r: number; p: number; salt: Uint8Array }): Uint8Array {
  const bytes = Buffer.from(passphrase.normalize('NFKC'), 'utf8');
  if (bytes.length === 0 || bytes.length > MAX_PASSPHRASE_BYTES) {
    throw new DiskswarmError('INVALID_ARGUMENT', `a passphrase has 1 to ${MAX_PASSPHRASE_BYTES} bytes`);
  }
  const cost = 2 ** kdf.logN;
  return scryptSync(bytes, kdf.salt, KEY_BYTES, { N: cost, r: kdf.r, p: kdf.p, maxmem: 160 * cost * kdf.r });
}
