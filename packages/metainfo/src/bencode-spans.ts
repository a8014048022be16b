/**
 * Reads the bencode of torrents that others made: dictionaries in any order with keys of raw bytes (BEP 3), and where each one lies.
 *
 * core's decoder insists on the canonical form, which info dictionaries in the wild need not have and the binary keys of
 * `piece layers` (BEP 52) do not survive. Size, depth and the number of values are bounded; byte strings are views.
 */
import { DiskswarmError } from '@diskswarm/core';
import { MAX_METAINFO_BYTES, MAX_METAINFO_DEPTH, MAX_METAINFO_VALUES } from './limits.ts';

export type Bencoded = number | Uint8Array | readonly Bencoded[] | Dictionary;

/** Keys hold one character per byte. */
export interface Dictionary {
  readonly entries: ReadonlyMap<string, Bencoded>;
  /** Its bytes as they stand: a view. */
  readonly bytes: Uint8Array;
}

/** The dictionary that `bytes` are, all of them; TORRENT_INVALID on anything else. */
export function readDictionary(bytes: Uint8Array): Dictionary {
  if (bytes.length > MAX_METAINFO_BYTES) refuse(`more than ${MAX_METAINFO_BYTES} bytes`);
  if (bytes[0] !== 0x64) refuse('no bencoded dictionary');
  const reader = new Reader(bytes);
  const value = reader.value(0);
  return reader.atEnd ? (value as Dictionary) : refuse('bytes behind its end');
}

export function isDictionary(value: Bencoded | undefined): value is Dictionary {
  return typeof value === 'object' && 'bytes' in value;
}

/** Throws `invalid(why)`. */
export function refuse(why: string): never {
  throw invalid(why);
}

/** TORRENT_INVALID, saying what is wrong. */
export function invalid(why: string): DiskswarmError {
  return new DiskswarmError('TORRENT_INVALID', `the torrent cannot be used: ${why}`, { data: { why } });
}

class Reader {
  readonly #bytes: Uint8Array;
  #at = 0;
  #values = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get atEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  value(depth: number): Bencoded {
    if (depth > MAX_METAINFO_DEPTH || ++this.#values > MAX_METAINFO_VALUES)
      refuse('nested too deeply, or too many values');
    const token = this.#bytes[this.#at];
    if (token === 0x69) return this.#integer();
    if (token === 0x6c) return this.#list(depth);
    if (token === 0x64) return this.#dictionary(depth);
    return this.#string();
  }

  #integer(): number {
    const value = Number(this.#until(0x65, 1, /^(?:0|-?[1-9]\d{0,15})$/));
    return Number.isSafeInteger(value) ? value : refuse('an integer out of range');
  }

  #list(depth: number): Bencoded[] {
    const values: Bencoded[] = [];
    this.#at++;
    while (!this.#ends()) values.push(this.value(depth + 1));
    return values;
  }

  #dictionary(depth: number): Dictionary {
    const from = this.#at++;
    const entries = new Map<string, Bencoded>();
    while (!this.#ends()) {
      const key = Buffer.from(this.#string()).toString('latin1');
      // Two readers that take different ones of two equal keys would see two torrents in the same bytes.
      if (entries.has(key)) refuse('a key that stands twice in one dictionary');
      entries.set(key, this.value(depth + 1));
    }
    return { entries, bytes: this.#bytes.subarray(from, this.#at) };
  }

  #string(): Uint8Array {
    const length = Number(this.#until(0x3a, 0, /^(?:0|[1-9]\d{0,7})$/));
    const start = this.#at;
    if (length > this.#bytes.length - start) refuse('cut short');
    this.#at += length;
    return this.#bytes.subarray(start, this.#at);
  }

  /** Skips the "e" that ends a list or dictionary, if it is next. */
  #ends(): boolean {
    if (this.#bytes[this.#at] !== 0x65) return false;
    this.#at++;
    return true;
  }

  /** The digits before the byte `end`, `skip` bytes from here; moves past it. */
  #until(end: number, skip: number, form: RegExp): string {
    const from = this.#at + skip;
    const window = this.#bytes.subarray(from, from + 20);
    const length = window.indexOf(end);
    const text = length < 0 ? '' : Buffer.from(window.subarray(0, length)).toString('latin1');
    if (!form.test(text)) refuse('cut short, or a malformed number');
    this.#at = from + length + 1;
    return text;
  }
}
