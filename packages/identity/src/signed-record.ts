/**
 * The one shape of a signed record: a canonical dictionary whose `sig` covers a domain prefix and the dictionary without it.
 *
 * A record is named by BLAKE3 of its unsigned body, so a signature is never part of an id. The bytes that arrived are kept
 * beside the parsed fields: fields marked `x-`, which a later version may add, travel on untouched.
 * Who may sign which record is decided by the caller, who knows the key.
 */
import {
  blake3,
  type Canonical,
  type Decoded,
  DiskswarmError,
  decodeCanonical,
  encodeCanonical,
  RecordReader,
  toHex,
} from '@diskswarm/core';
import { SIGNATURE_BYTES, sign, verify } from './primitives.ts';

/** Names what a signature is for; a signature made for one domain is void in every other. */
export type Domain =
  | 'roster'
  | 'epoch'
  | 'generation'
  | 'receipt'
  | 'release'
  | 'hello'
  | 'invitation'
  | 'templates'
  | 'token'
  | 'admission';

/** The version of every record format in this package. */
export const FORMAT_VERSION = 1;

/** A record that was opened but whose signature nobody has checked yet. */
export interface OpenedRecord {
  readonly reader: RecordReader;
  /** BLAKE3 of the unsigned body, lower-case hex. */
  readonly id: string;
  /** The record as it arrived (a copy). */
  readonly bytes: Uint8Array;
  /** Throws SIGNATURE_INVALID unless the ed25519 `key` signed it. */
  verify(key: Uint8Array): void;
}

/** Signs `body` (which gets `v` and `sig`) and gives its bytes and id. */
export function sealRecord(
  domain: Domain,
  body: { readonly [key: string]: Canonical },
  seed: Uint8Array,
): { bytes: Uint8Array; id: string } {
  const versioned = { ...body, v: FORMAT_VERSION };
  const unsigned = encodeCanonical(versioned);
  const sig = sign(seed, signedMessage(domain, unsigned));
  return { bytes: encodeCanonical({ ...versioned, sig }), id: toHex(blake3(unsigned)) };
}

/** Decodes a signed record; FORMAT_INVALID when it is malformed, of another version, or holds an unknown critical field. */
export function openRecord(
  bytes: Uint8Array,
  options: { domain: Domain; what: string; maxBytes: number; known: readonly string[] },
): OpenedRecord {
  const { domain, what, maxBytes, known } = options;
  const copy = bytes.slice();
  const value = decodeCanonical(copy, { maxBytes, what });
  const reader = new RecordReader(value, what, [...known, 'v', 'sig']);
  reader.integer('v', FORMAT_VERSION, FORMAT_VERSION);
  const signature = reader.bytes('sig', { length: SIGNATURE_BYTES });
  const { sig: _, ...body } = value as { [key: string]: Decoded };
  const unsigned = encodeCanonical(body);
  return {
    reader,
    id: toHex(blake3(unsigned)),
    bytes: copy,
    verify(key) {
      if (verify(key, signedMessage(domain, unsigned), signature)) return;
      throw new DiskswarmError('SIGNATURE_INVALID', `${what}: the signature does not verify`, { data: { what } });
    },
  };
}

function signedMessage(domain: Domain, unsigned: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.from(`diskswarm ${domain} 1\n`, 'latin1'), unsigned]);
}
