/**
 * Decoder for the legacy LZ4 frame (`lz4 -l`), the form in which Debian's kernels carry their payload.
 *
 * A legacy frame is a magic number, then blocks of at most 8 MiB, each behind its compressed length. Knows nothing of
 * kernels. Every read and copy is checked; the output never exceeds the limit the caller states.
 */
import { DiskswarmError } from '@diskswarm/core';

const LEGACY_MAGIC = 0x184c2102;
const LEGACY_BLOCK_BYTES = 8 * 1024 * 1024;

/** True when `input` begins like a legacy LZ4 frame. */
export function isLegacyLz4(input: Uint8Array): boolean {
  return input.length >= 8 && readU32(input, 0) === LEGACY_MAGIC;
}

/**
 * Decodes a legacy frame; stops at the first length that is no block (the kernel build appends the plain size there).
 *
 * @returns a fresh array. @throws DiskswarmError FORMAT_INVALID for bytes that are no such frame or need more than `maxBytes`.
 */
export function decodeLegacyLz4(input: Uint8Array, maxBytes: number): Uint8Array {
  if (!isLegacyLz4(input)) throw invalid('no legacy LZ4 frame');
  const output = new Uint8Array(maxBytes);
  let at = 4;
  let produced = 0;
  while (at + 4 <= input.length) {
    const length = readU32(input, at);
    at += 4;
    if (length === 0 || length > input.length - at) break;
    produced = decodeBlock(input.subarray(at, at + length), output, produced);
    at += length;
  }
  return output.slice(0, produced);
}

/** Decodes one block into `output` from `start`; returns where it ended. A block's matches stay inside the block. */
function decodeBlock(input: Uint8Array, output: Uint8Array, start: number): number {
  const limit = Math.min(output.length, start + LEGACY_BLOCK_BYTES);
  let from = 0;
  let to = start;
  while (from < input.length) {
    const token = input[from++]!;
    let literals = token >> 4;
    if (literals === 15) {
      let more: number;
      do {
        if (from >= input.length) throw invalid('a literal length is cut');
        more = input[from++]!;
        literals += more;
      } while (more === 255);
    }
    if (literals > input.length - from || literals > limit - to) throw invalid('literals run over the end');
    output.set(input.subarray(from, from + literals), to);
    from += literals;
    to += literals;
    if (from === input.length) return to;
    if (from + 2 > input.length) throw invalid('a match offset is cut');
    const distance = input[from]! | (input[from + 1]! << 8);
    from += 2;
    if (distance === 0 || distance > to - start) throw invalid('a match points before the block');
    let match = (token & 15) + 4;
    if (match === 19) {
      let more: number;
      do {
        if (from >= input.length) throw invalid('a match length is cut');
        more = input[from++]!;
        match += more;
      } while (more === 255);
    }
    if (match > limit - to) throw invalid('a match runs over the end');
    if (distance >= match) output.copyWithin(to, to - distance, to - distance + match);
    else for (let index = 0; index < match; index++) output[to + index] = output[to + index - distance]!;
    to += match;
  }
  return to;
}

function readU32(bytes: Uint8Array, at: number): number {
  return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;
}

function invalid(what: string): DiskswarmError {
  return new DiskswarmError('FORMAT_INVALID', `LZ4 data is damaged: ${what}`);
}
