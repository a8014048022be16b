/**
 * The one encoding of signed and hashed records: bencode (BEP 3), accepted only in its canonical form.
 *
 * The single place that imports the `bencode` package. Decoding is bounded in size and depth before the library sees a byte,
 * and re-encoding must give the same bytes, so no record has two encodings.
 */
/// <reference path="./bencode.d.ts" />
import bencode from 'bencode';
import { DiskswarmError } from './errors.ts';

/** What a record is made of. Integers are safe integers; texts are encoded as UTF-8 and decoded as bytes. */
export type Canonical = number | string | Uint8Array | readonly Canonical[] | { readonly [key: string]: Canonical };
/** What decoding gives: texts come back as bytes. */
export type Decoded = number | Uint8Array | Decoded[] | { [key: string]: Decoded };

/** Deepest nesting of lists and dictionaries that is accepted. */
export const MAX_DEPTH = 16;

/** Bytes of `value` in the canonical form. Throws a RangeError on integers that are not safe (a programmer error). */
export function encodeCanonical(value: Canonical): Uint8Array {
  assertEncodable(value);
  return bencode.encode(value);
}

/** The value of canonical `bytes`; throws FORMAT_INVALID naming `what` on anything else. */
export function decodeCanonical(bytes: Uint8Array, options: { maxBytes: number; what: string }): Decoded {
  const { maxBytes, what } = options;
  const refuse = (why: string, cause?: unknown): never => {
    throw new DiskswarmError('FORMAT_INVALID', `${what}: ${why}`, { data: { what }, cause });
  };
  if (bytes.length === 0 || bytes.length > maxBytes) refuse(`${bytes.length} bytes, at most ${maxBytes} are accepted`);
  scan(bytes, refuse);
  let value: Decoded;
  try {
    value = bencode.decode(bytes) as Decoded;
    if (Buffer.compare(bencode.encode(value), bytes) !== 0) refuse('not in canonical form');
  } catch (error) {
    if (error instanceof DiskswarmError) throw error;
    return refuse('not bencoded', error);
  }
  return value;
}

function assertEncodable(value: Canonical): void {
  if (typeof value === 'number') {
    if (!Number.isSafeInteger(value)) throw new RangeError(`cannot encode ${value}`);
  } else if (Array.isArray(value)) {
    for (const item of value) assertEncodable(item);
  } else if (typeof value === 'object' && !(value instanceof Uint8Array)) {
    for (const item of Object.values(value)) assertEncodable(item);
  }
}

/** Walks the tokens without building anything: depth, lengths and the end are checked before the library allocates. */
function scan(bytes: Uint8Array, refuse: (why: string) => never): void {
  let position = 0;
  let depth = 0;
  do {
    const token = bytes[position];
    if (token === 0x64 || token === 0x6c) {
      if (++depth > MAX_DEPTH) refuse('nested too deeply');
      position++;
    } else if (token === 0x65 && depth > 0) {
      depth--;
      position++;
    } else if (token === 0x69) {
      const end = bytes.indexOf(0x65, position);
      const digits =
        end < 0 || end - position > 18 ? '' : Buffer.from(bytes.subarray(position + 1, end)).toString('latin1');
      if (!/^(0|-?[1-9]\d*)$/.test(digits) || !Number.isSafeInteger(Number(digits))) refuse('a malformed integer');
      position = end + 1;
    } else {
      const colon = bytes.subarray(position, position + 9).indexOf(0x3a);
      const digits = colon < 0 ? '' : Buffer.from(bytes.subarray(position, position + colon)).toString('latin1');
      if (!/^(0|[1-9]\d*)$/.test(digits)) refuse('a malformed length');
      position += colon + 1 + Number(digits);
      if (position > bytes.length) refuse('cut short');
    }
  } while (depth > 0 && position < bytes.length);
  if (depth > 0) refuse('cut short');
  if (position !== bytes.length) refuse('trailing bytes');
}
