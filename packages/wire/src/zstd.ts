/**
 * zstd (RFC 8878) at its fastest level; the only place that knows where it comes from.
 *
 * Both ways in one go and in the caller's thread: a chunk takes about half a millisecond, and the same bytes always come out of
 * the same ones. What a frame declares of itself is not believed: neither its window nor its content gets more room than allowed.
 */

import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { DiskswarmError } from '@diskswarm/core';

const FASTEST = { params: { [constants.ZSTD_c_compressionLevel]: 1 } };
/** zstd knows no smaller window than 1 KiB. */
const LEAST_WINDOW_LOG = 10;

/** The bytes as one frame, in an array of its own; incompressible ones grow by a few bytes. */
export function compress(bytes: Uint8Array): Uint8Array {
  return zstdCompressSync(bytes, FASTEST);
}

/** The content of a frame that has at most `maxBytes`, in an array of its own; FORMAT_INVALID for anything else. */
export function decompress(frame: Uint8Array, maxBytes: number): Uint8Array {
  const windowLog = Math.max(LEAST_WINDOW_LOG, Math.ceil(Math.log2(maxBytes)));
  try {
    return zstdDecompressSync(frame, {
      chunkSize: Math.max(64, maxBytes),
      maxOutputLength: maxBytes,
      params: { [constants.ZSTD_d_windowLogMax]: windowLog },
    });
  } catch (cause) {
    throw new DiskswarmError('FORMAT_INVALID', `compressed bytes that do not hold at most ${maxBytes} bytes`, {
      cause,
    });
  }
}
