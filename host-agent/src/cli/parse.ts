/**
 * What people type, parsed strictly: names, sizes, rates, counts, ids. Everything that does not fit is INVALID_ARGUMENT (exit code 2)
 * with `data.field`, said before anything is done.
 */
import { DiskswarmError, type HostId, MAX_CHUNK_BYTES, MIN_CHUNK_BYTES, parseAddress } from '@diskswarm/core';
import { NAME_PATTERN, parseHostId } from '@diskswarm/identity';

const UNITS: Readonly<Record<string, number>> = { '': 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 };

function invalid(field: string, text: string, takes: string): DiskswarmError {
  return new DiskswarmError('INVALID_ARGUMENT', `${field}: "${text.slice(0, 80)}" is not ${takes}`, {
    data: { field },
  });
}

/** The name of a disk. */
export function parseName(text: string): string {
  if (!NAME_PATTERN.test(text)) throw invalid('name', text, 'a name: 1 to 64 of a-z, 0-9, ".", "_" and "-"');
  return text;
}

/** Bytes: a whole number, or one with K, M, G or T (powers of 1024). */
export function parseSize(field: string, text: string): number {
  const match = /^(\d{1,15})([KMGT]?)$/.exec(text);
  const bytes = match === null ? Number.NaN : Number(match[1]) * (UNITS[match[2] as string] as number);
  if (!Number.isSafeInteger(bytes)) throw invalid(field, text, 'a size like 65536, 64K or 2G');
  return bytes;
}

/** A chunk size: BAD_CHUNK_SIZE unless it is a power of two from 16K to 1M. */
export function parseChunkSize(text: string): number {
  const bytes = parseSize('chunk-size', text);
  if (bytes < MIN_CHUNK_BYTES || bytes > MAX_CHUNK_BYTES || !Number.isInteger(Math.log2(bytes))) {
    throw new DiskswarmError(
      'BAD_CHUNK_SIZE',
      `a chunk of ${text} cannot be: a power of two from 16K to 1M is needed`,
      {
        data: { chunkSizeBytes: bytes },
      },
    );
  }
  return bytes;
}

/** Bytes per second: a size above zero. */
export function parseRate(field: string, text: string): number {
  const rate = parseSize(field, text);
  if (rate === 0) throw invalid(field, text, 'a rate above zero, in bytes per second, like 20M');
  return rate;
}

/** A whole number from 1. */
export function parseCount(field: string, text: string): number {
  const count = /^\d{1,15}$/.test(text) ? Number(text) : 0;
  if (count < 1) throw invalid(field, text, 'a whole number from 1');
  return count;
}

/** A whole number from 0 to 2^31 - 1. */
export function parseWhole(field: string, text: string): number {
  const number = /^\d{1,10}$/.test(text) ? Number(text) : 2 ** 31;
  if (number >= 2 ** 31) throw invalid(field, text, 'a whole number from 0 to 2147483647');
  return number;
}

/** Seconds, fractions allowed. */
export function parseSeconds(field: string, text: string): number {
  if (!/^\d{1,9}(?:\.\d{1,6})?$/.test(text)) throw invalid(field, text, 'a number of seconds');
  return Number(text);
}

const DURATION_MS: Readonly<Record<string, number>> = { m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Milliseconds: a whole number of minutes, hours or days, at most 3,650 days. */
export function parseDuration(field: string, text: string): number {
  const match = /^([1-9]\d{0,6})([mhd])$/.exec(text);
  const durationMs = match === null ? 0 : Number(match[1]) * (DURATION_MS[match[2] as string] as number);
  if (durationMs === 0 || durationMs > 3650 * 86_400_000) throw invalid(field, text, 'a time like 30m, 12h or 7d');
  return durationMs;
}

/** A host id; INVALID_ID where the checksum says that it was mistyped. */
export function parseHost(field: string, text: string): HostId {
  if (!/^[0-9a-f]{136}$/.test(text))
    throw invalid(field, text, 'a host id: 136 hex digits, printed by "diskswarm host id"');
  return parseHostId(text);
}

/** HOST:PORT, unchanged. */
export function parseEndpoint(field: string, text: string): string {
  try {
    parseAddress(text);
    return text;
  } catch {
    throw invalid(field, text, 'HOST:PORT');
  }
}

/** One of several words. */
export function parseChoice<Choice extends string>(field: string, text: string, choices: readonly Choice[]): Choice {
  const choice = choices.find((each) => each === text);
  if (choice === undefined) throw invalid(field, text, `one of ${choices.join(', ')}`);
  return choice;
}

/** NAME or NAME@SEQUENCE. */
export function parseNameAtSequence(text: string): { name: string; sequence: number | null } {
  const at = text.indexOf('@');
  if (at < 0) return { name: parseName(text), sequence: null };
  return { name: parseName(text.slice(0, at)), sequence: parseCount('sequence', text.slice(at + 1)) };
}
