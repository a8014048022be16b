/** Opening a journal of texts, as most tests do. */
import type { Storage } from '@diskswarm/core';
import { Journal } from '../../src/index.ts';

export const PATH = 'log/test.journal';
export const KIND = 'TESTLOG1';

/** The journal at PATH and the texts it replayed. */
export async function openTexts(storage: Storage, reserveBytes = 0): Promise<{ journal: Journal; texts: string[] }> {
  const texts: string[] = [];
  const journal = await Journal.open(storage, PATH, {
    kind: KIND,
    maxRecordBytes: 4096,
    reserveBytes,
    onRecord: (bytes) => texts.push(Buffer.from(bytes).toString()),
  });
  return { journal, texts };
}

export function text(value: string): Uint8Array {
  return Buffer.from(value);
}

/** A repeatable source of small numbers (mulberry32). */
export function dice(seed: number): (limit: number) => number {
  let state = seed >>> 0;
  return (limit) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit;
  };
}
