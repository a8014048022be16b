/**
 * Takes a mapping of an experiment file apart, field by field; what nobody asked for is refused by name.
 *
 * Every complaint says where in the file it is (`links[1].rate`), what stands there and what may stand there.
 */
import { DiskswarmError } from '@diskswarm/core';

/** Makes a value of what stands at `path`; throws by {@link refuse}. */
export type Reader<Value> = (value: unknown, path: string) => Value;

const SHOWN_CHARS = 60;

/** @throws DiskswarmError BAD_EXPERIMENT, always */
export function refuse(path: string, value: unknown, takes: string): never {
  const shown = value === undefined ? 'nothing' : (JSON.stringify(value) ?? String(value)).slice(0, SHOWN_CHARS);
  throw new DiskswarmError('BAD_EXPERIMENT', `${path}: ${shown} is not ${takes}`, { data: { field: path } });
}

/** The fields of one mapping. */
export class Fields {
  readonly #path: string;
  readonly #values: Readonly<Record<string, unknown>>;
  readonly #taken = new Set<string>();

  constructor(value: unknown, path: string) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) refuse(path, value, 'a mapping');
    this.#path = path;
    this.#values = value as Record<string, unknown>;
  }

  has(name: string): boolean {
    return Object.hasOwn(this.#values, name);
  }

  /** A field that must be there. */
  take<Value>(name: string, read: Reader<Value>): Value {
    this.#taken.add(name);
    return read(this.has(name) ? this.#values[name] : undefined, this.#at(name));
  }

  /** A field that may be left out. */
  may<Value>(name: string, read: Reader<Value>, otherwise: Value): Value {
    this.#taken.add(name);
    return this.has(name) ? read(this.#values[name], this.#at(name)) : otherwise;
  }

  /** Refuses what was not taken. */
  end(): void {
    const unknown = Object.keys(this.#values).find((name) => !this.#taken.has(name));
    if (unknown === undefined) return;
    const known = [...this.#taken].sort().join(', ');
    throw new DiskswarmError('BAD_EXPERIMENT', `${this.#at(unknown)}: no such field; there are ${known}`, {
      data: { field: this.#at(unknown) },
    });
  }

  #at(name: string): string {
    return this.#path === '' ? name : `${this.#path}.${name}`;
  }
}

/** Text of at most `maxChars`. */
export function text(maxChars: number): Reader<string> {
  return (value, path) => {
    if (typeof value !== 'string' || value.trim() === '' || value.length > maxChars) {
      return refuse(path, value, `text of 1 to ${maxChars} characters`);
    }
    return value.trim();
  };
}

/** A name of a file or a thing. */
export const name: Reader<string> = (value, path) =>
  typeof value === 'string' && /^[a-z0-9][a-z0-9-]{0,47}$/.test(value)
    ? value
    : refuse(path, value, 'a name: 1 to 48 of a-z, 0-9 and "-"');

/** The name of a file in a folder that is known. */
export const fileName: Reader<string> = (value, path) =>
  typeof value === 'string' && /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/.test(value)
    ? value
    : refuse(path, value, 'the name of a file, without folders: 1 to 100 of A-Z, a-z, 0-9, ".", "_" and "-"');

/** A whole number. */
export function whole(from: number, to: number): Reader<number> {
  return (value, path) =>
    Number.isInteger(value) && (value as number) >= from && (value as number) <= to
      ? (value as number)
      : refuse(path, value, `a whole number from ${from} to ${to}`);
}

/** One of some words. */
export function choice<Choice extends string>(choices: readonly Choice[]): Reader<Choice> {
  return (value, path) => choices.find((each) => each === value) ?? refuse(path, value, `one of ${choices.join(', ')}`);
}

/** A list of at least one and at most `most`. */
export function list<Value>(read: Reader<Value>, most: number): Reader<readonly Value[]> {
  return (value, path) => {
    if (!Array.isArray(value) || value.length === 0 || value.length > most) {
      return refuse(path, value, `a list of 1 to ${most}`);
    }
    return value.map((each, index) => read(each, `${path}[${index}]`));
  };
}

/** A number with one of some units, such as `20 Mbit/s`, as a multiple of the smallest of them. */
export function quantity(
  units: Readonly<Record<string, number>>,
  { least, most, what }: { least: number; most: number; what: string },
): Reader<number> {
  return (value, path) => {
    const match = typeof value === 'string' ? /^(\d{1,9}(?:\.\d{1,6})?) ?(\S+)$/.exec(value) : null;
    const factor = match === null ? undefined : units[match[2] as string];
    const amount = factor === undefined ? Number.NaN : Number((match as RegExpExecArray)[1]) * factor;
    return amount >= least && amount <= most ? amount : refuse(path, value, what);
  };
}
