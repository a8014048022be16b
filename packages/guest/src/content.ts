/**
 * The content of the files that a guest writes, as a function of name, size and seed, computed on this side.
 *
 * The guest makes the same bytes with its own tools (guest-script.ts), so a hash that the guest reports can be held
 * against one that never went through its disk. Every 4 KiB block is unlike every other; a compressor gains much on it.
 */
import { createHash } from 'node:crypto';
import { DiskswarmError } from '@diskswarm/core';

const NAME = /^[a-z0-9][a-z0-9._-]{0,63}$/;
/** The largest file a guest is asked to write: 1 GiB. */
export const MAX_WRITE_BYTES = 1024 * 1024 * 1024;
const MAX_SEED = 0xffff_ffff;
const JOURNAL_RECORD_BYTES = 4096;

/** Checks what a `write` command may carry. @throws DiskswarmError INVALID_ARGUMENT */
export function checkWrite(name: string, sizeBytes: number, seed: number): void {
  checkName(name);
  checkWhole('size', sizeBytes, MAX_WRITE_BYTES);
  checkWhole('seed', seed, MAX_SEED);
}

/** Checks a file's name in the guest. @throws DiskswarmError INVALID_ARGUMENT */
export function checkName(name: string): void {
  if (!NAME.test(name)) {
    throw new DiskswarmError(
      'INVALID_ARGUMENT',
      `A guest's file name matches ${NAME.source}; this one does not: ${name}`,
    );
  }
}

/** The SHA-256, in hex, of what the guest writes for `write name sizeBytes seed`. */
export function expectedSha256(name: string, sizeBytes: number, seed: number): string {
  checkWrite(name, sizeBytes, seed);
  const hash = createHash('sha256');
  const separator = ` ${createHash('sha512').update(`${name} ${seed}`).digest('hex')} `;
  let left = sizeBytes;
  for (let number = 1; left > 0; ) {
    let text = '';
    // Batches, so that a large file needs neither one string nor a hash update per number.
    for (let batch = 0; batch < 256; batch++) text += `${number++}${separator}`;
    const part = Buffer.from(text, 'latin1').subarray(0, left);
    hash.update(part);
    left -= part.length;
  }
  return hash.digest('hex');
}

/** The SHA-256, in hex, of the journal of a guest at work that holds the records 1 to `count`. */
export function expectedJournalSha256(count: number): string {
  checkWhole('number of records', count, MAX_SEED);
  const hash = createHash('sha256');
  for (let number = 1; number <= count; number++) hash.update(`${String(number).padStart(JOURNAL_RECORD_BYTES - 1)}\n`);
  return hash.digest('hex');
}

function checkWhole(what: string, value: number, max: number): void {
  if (!Number.isSafeInteger(value) || value < 0 || value > max) {
    throw new DiskswarmError(
      'INVALID_ARGUMENT',
      `A guest file's ${what} is a whole number from 0 to ${max}, not ${value}`,
    );
  }
}
