/**
 * The query of an announce or scrape request, taken apart without interpreting its values (BEP 3).
 *
 * A parameter may repeat (info_hash of a scrape). Values stay percent-encoded until somebody knows what they are.
 */
import { DiskswarmError } from '@diskswarm/core';
import { MAX_QUERY_CHARS, MAX_QUERY_PARAMETERS } from './limits.ts';
import { percentDecode } from './percent-bytes.ts';

/** Parameters by name, still encoded, in the order of the query. */
export type Query = ReadonlyMap<string, readonly string[]>;

/** Parses what follows the "?"; LIMIT_EXCEEDED for one that is too long. */
export function parseQuery(text: string): Query {
  if (text.length > MAX_QUERY_CHARS) throw tooLong();
  const parts = text.split('&');
  if (parts.length > MAX_QUERY_PARAMETERS) throw tooLong();
  const query = new Map<string, string[]>();
  for (const part of parts) {
    const equals = part.indexOf('=');
    if (equals < 1) continue;
    const name = part.slice(0, equals);
    const values = query.get(name);
    if (values === undefined) query.set(name, [part.slice(equals + 1)]);
    else values.push(part.slice(equals + 1));
  }
  return query;
}

/** The only or first value as exactly `length` bytes; INVALID_ARGUMENT naming the parameter otherwise. */
export function bytesOf(query: Query, name: string, length: number): Uint8Array {
  const value = query.get(name)?.[0];
  if (value === undefined) throw invalid(name, 'is missing');
  const bytes = percentDecode(value);
  if (bytes.length !== length) throw invalid(name, `is not ${length} bytes`);
  return bytes;
}

/** A whole number from 0 to `max`, or `otherwise` where the parameter is absent or empty. */
export function integerOf(query: Query, name: string, max: number, otherwise: number): number {
  const value = query.get(name)?.[0];
  if (value === undefined || value === '') return otherwise;
  const number = /^\d{1,16}$/.test(value) ? Number(value) : Number.NaN;
  if (!(number <= max)) throw invalid(name, `is not a number from 0 to ${max}`);
  return number;
}

export function invalid(name: string, why: string): DiskswarmError {
  return new DiskswarmError('INVALID_ARGUMENT', `${name} ${why}`, { data: { field: name } });
}

function tooLong(): DiskswarmError {
  return new DiskswarmError('LIMIT_EXCEEDED', 'the query is too long', { data: { limit: MAX_QUERY_CHARS } });
}
