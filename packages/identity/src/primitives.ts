/**
 * ed25519, X25519 and the AEAD over raw 32-byte keys; the single place of this project that asks node:crypto for them.
 *
 * Pure functions: nothing here draws randomness, so the same seeds give the same bytes in a simulation. What is signed,
 * and under which name, is decided in signed-record.ts.
 */
import {
  createCipheriv,
  createDecipheriv,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  type KeyObject,
  sign as signWith,
  timingSafeEqual,
  verify as verifyWith,
} from 'node:crypto';

/** Bytes of a seed, a public key, a shared secret and a symmetric key. */
export const KEY_BYTES = 32;
/** Bytes of an ed25519 signature. */
export const SIGNATURE_BYTES = 64;
/** Bytes that the AEAD adds. */
export const TAG_BYTES = 16;

// The fixed DER wrappings of RFC 8410 around a raw key: node:crypto takes no raw ones.
const PRIVATE = {
  ed25519: Buffer.from('302e020100300506032b657004220420', 'hex'),
  x25519: Buffer.from('302e020100300506032b656e04220420', 'hex'),
};
const PUBLIC = {
  ed25519: Buffer.from('302a300506032b6570032100', 'hex'),
  x25519: Buffer.from('302a300506032b656e032100', 'hex'),
};

type Curve = keyof typeof PRIVATE;

function privateKey(curve: Curve, seed: Uint8Array): KeyObject {
  assertKey(seed);
  return createPrivateKey({ key: Buffer.concat([PRIVATE[curve], seed]), format: 'der', type: 'pkcs8' });
}

function publicKey(curve: Curve, raw: Uint8Array): KeyObject {
  assertKey(raw);
  return createPublicKey({ key: Buffer.concat([PUBLIC[curve], raw]), format: 'der', type: 'spki' });
}

function assertKey(bytes: Uint8Array): void {
  if (bytes.length !== KEY_BYTES) throw new RangeError(`a key has ${KEY_BYTES} bytes, not ${bytes.length}`);
}

/** The raw public key of a seed (a fresh array). */
export function publicKeyOf(curve: Curve, seed: Uint8Array): Uint8Array {
  const der = createPublicKey(privateKey(curve, seed)).export({ format: 'der', type: 'spki' });
  return new Uint8Array(der.subarray(der.length - KEY_BYTES));
}

/** The ed25519 signature of `message` (RFC 8032: deterministic, 64 bytes). */
export function sign(seed: Uint8Array, message: Uint8Array): Uint8Array {
  return new Uint8Array(signWith(null, message, privateKey('ed25519', seed)));
}

/** True when `signature` is that of the raw `key` over `message`; false for anything else, malformed keys included. */
export function verify(key: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  if (signature.length !== SIGNATURE_BYTES) return false;
  try {
    return verifyWith(null, message, publicKey('ed25519', key), signature);
  } catch {
    return false;
  }
}

/** The X25519 shared secret, or null where the other key is of low order. */
export function agree(seed: Uint8Array, otherPublic: Uint8Array): Uint8Array | null {
  try {
    return new Uint8Array(
      diffieHellman({ privateKey: privateKey('x25519', seed), publicKey: publicKey('x25519', otherPublic) }),
    );
  } catch {
    return null;
  }
}

/** ChaCha20-Poly1305 (RFC 8439): ciphertext ‖ 16-byte tag. The caller never uses a (key, nonce) pair twice. */
export function encrypt(key: Uint8Array, nonce: Uint8Array, plain: Uint8Array, associated: Uint8Array): Uint8Array {
  const cipher = createCipheriv('chacha20-poly1305', key, nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(associated, { plaintextLength: plain.length });
  const body = Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
  return new Uint8Array(body);
}

/** The plain text of `encrypt`, or null where key, nonce, bytes or associated data differ. */
export function decrypt(
  key: Uint8Array,
  nonce: Uint8Array,
  sealed: Uint8Array,
  associated: Uint8Array,
): Uint8Array | null {
  if (sealed.length < TAG_BYTES) return null;
  const body = sealed.subarray(0, sealed.length - TAG_BYTES);
  const decipher = createDecipheriv('chacha20-poly1305', key, nonce, { authTagLength: TAG_BYTES });
  decipher.setAAD(associated, { plaintextLength: body.length });
  decipher.setAuthTag(sealed.subarray(body.length));
  try {
    return new Uint8Array(Buffer.concat([decipher.update(body), decipher.final()]));
  } catch {
    return null;
  }
}

/** Compares without telling by its duration where two arrays differ. Lengths are not secret. */
export function equalBytes(left: Uint8Array, right: Uint8Array): boolean {
  return left.length === right.length && timingSafeEqual(left, right);
}
