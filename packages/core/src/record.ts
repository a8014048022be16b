/**
 * Reading a decoded record field by field, with one rule for the unknown: a key that is not expected is refused,
 * unless it begins with `x-`, which marks it as safe to ignore.
 */
import type { Decoded } from './canonical.ts';
import { DiskswarmError } from './errors.ts';

/** A dictionary under inspection; every getter throws FORMAT_INVALID naming record and field. */
export class RecordReader {
  readonly #fields: ReadonlyMap<string, Decoded>;
  readonly #what: string;

  /** `known` lists every key this version understands. */
  constructor(value: Decoded, what: string, known: readonly string[]) {
    this.#what = what;
    if (typeof value !== 'object' || value instanceof Uint8Array || Array.isArray(value))
      this.#refuse('not a dictionary');
    this.#fields = new Map(Object.entries(value as { [key: string]: Decoded }));
    for (const key of this.#fields.keys()) {
      if (!known.includes(key) && !key.startsWith('x-')) this.#refuse(`unknown critical field "${key.slice(0, 40)}"`);
    }
  }

  has(key: string): boolean {
    return this.#fields.has(key);
  }

  /** A whole number from `min` to `max`. */
  integer(key: string, min: number, max: number): number {
    const value = this.#fields.get(key);
    if (typeof value !== 'number' || value < min || value > max)
      this.#refuse(`"${key}" is not a whole number from ${min} to ${max}`);
    return value as number;
  }

  /** Exactly `length` bytes, or at most `max`. */
  bytes(key: string, bounds: { length: number } | { max: number }): Uint8Array {
    const value = this.#fields.get(key);
    if (!(value instanceof Uint8Array)) return this.#refuse(`"${key}" is not bytes`);
    if ('length' in bounds ? value.length !== bounds.length : value.length > bounds.max)
      this.#refuse(`"${key}" has the wrong length`);
    return value;
  }

  /** UTF-8 text of at most `maxBytes` bytes. */
  text(key: string, maxBytes: number): string {
    const bytes = this.bytes(key, { max: maxBytes });
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    } catch {
      return this.#refuse(`"${key}" is not UTF-8`);
    }
  }

  list(key: string, maxItems: number): readonly Decoded[] {
    const value = this.#fields.get(key);
    if (!Array.isArray(value) || value.length > maxItems)
      return this.#refuse(`"${key}" is not a list of at most ${maxItems}`);
    return value;
  }

  value(key: string): Decoded {
    return this.#fields.get(key) ?? this.#refuse(`"${key}" is missing`);
  }

  #refuse(why: string): never {
    throw new DiskswarmError('FORMAT_INVALID', `${this.#what}: ${why}`, { data: { what: this.#what } });
  }
}
