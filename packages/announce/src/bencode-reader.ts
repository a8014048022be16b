/**
 * Reads bencode from trackers nobody here wrote: dictionaries in any order, keys of raw bytes (BEP 3).
 *
 * core's decoder reads signed records and insists on their one canonical form; an answer of a tracker is not signed, so its
 * order does not matter, but its size and depth do. Values are bytes, numbers, arrays, and maps keyed by latin1 text.
 */
import { DiskswarmError } from '@diskswarm/core';

export type Bencoded = number | Uint8Array | readonly Bencoded[] | Bendictionary;
/** Keys hold one character per byte. */
type Bendictionary = ReadonlyMap<string, Bencoded>;

const MAX_DEPTH = 8;
const MAX_VALUES = 20_000;

/** The value of `bytes`, all of them; FORMAT_INVALID on anything else. Byte strings are views. */
export function readBencode(bytes: Uint8Array, maxBytes: number): Bencoded {
  if (bytes.length > maxBytes) refuse(`more than ${maxBytes} bytes`);
  const reader = new Reader(bytes);
  const value = reader.value(0);
  return reader.atEnd ? value : refuse('trailing bytes');
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
    if (depth > MAX_DEPTH || ++this.#values > MAX_VALUES) refuse('nested too deeply or too many values');
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

  #dictionary(depth: number): Bendictionary {
    const values = new Map<string, Bencoded>();
    this.#at++;
    while (!this.#ends()) values.set(Buffer.from(this.#string()).toString('latin1'), this.value(depth + 1));
    return values;
  }

  #string(): Uint8Array {
    const length = Number(this.#until(0x3a, 0, /^\d{1,7}$/));
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
    if (!form.test(text)) refuse('a malformed number');
    this.#at = from + length + 1;
    return text;
  }
}

function refuse(why: string): never {
  throw new DiskswarmError('FORMAT_INVALID', `the tracker's answer: ${why}`, { data: { what: 'tracker answer' } });
}
