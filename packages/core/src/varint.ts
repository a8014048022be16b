/**
 * Whole numbers in as few bytes as they need (LEB128), for compact lists in bitfields and traces.
 *
 * Each number has exactly one accepted encoding (no padding bytes), and none exceeds a safe integer, so that a list of
 * them is canonical whenever its own rules are.
 */
import { DiskswarmError } from './errors.ts';

/** Longest encoding: 8 bytes of 7 bits hold every safe integer. */
export const MAX_VARINT_BYTES = 8;

/** Collects numbers into bytes; grows as needed. */
export class VarintWriter {
  #bytes = new Uint8Array(64);
  #length = 0;

  /** Appends a safe integer from 0; anything else is a programmer error. */
  write(value: number): void {
    if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`cannot encode ${value}`);
    if (this.#length + MAX_VARINT_BYTES > this.#bytes.length) this.#grow();
    let rest = value;
    while (rest >= 0x80) {
      this.#bytes[this.#length++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.#bytes[this.#length++] = rest;
  }

  /** What was written so far (a copy). */
  finish(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }

  #grow(): void {
    const larger = new Uint8Array(this.#bytes.length * 2);
    larger.set(this.#bytes);
    this.#bytes = larger;
  }
}

/** Takes numbers from bytes of somebody else; throws FORMAT_INVALID naming `what`. */
export class VarintReader {
  readonly #bytes: Uint8Array;
  readonly #what: string;
  #position = 0;

  constructor(bytes: Uint8Array, what: string) {
    this.#bytes = bytes;
    this.#what = what;
  }

  get atEnd(): boolean {
    return this.#position === this.#bytes.length;
  }

  /** The next number; at most `max`. */
  read(max: number): number {
    let value = 0;
    let scale = 1;
    for (let count = 1; ; count++) {
      const byte = this.#bytes[this.#position++];
      if (byte === undefined) this.refuse('cut short');
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (byte === 0 && count > 1) this.refuse('a padded number');
        break;
      }
      if (count === MAX_VARINT_BYTES) this.refuse('a number that is too long');
      scale *= 0x80;
    }
    if (value > max) this.refuse(`${value} is more than ${max}`);
    return value;
  }

  /** Throws FORMAT_INVALID with `why`. */
  refuse(why: string): never {
    throw new DiskswarmError('FORMAT_INVALID', `${this.#what}: ${why}`, { data: { what: this.#what } });
  }
}
