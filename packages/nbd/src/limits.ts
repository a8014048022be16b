/** What one NBD session may hold at once; docs/LIMITS.md lists these figures. */
import { KIB, MIB } from '@diskswarm/core';

/** Block sizes as NBD_INFO_BLOCK_SIZE tells them ("Block size constraints"). Longer READ and WRITE get EINVAL. */
export const BLOCK_SIZE = { minBytes: 1, preferredBytes: 4096, maxBytes: 32 * MIB } as const;

/** Replies are built in pieces of this many data bytes; a longer read is several pieces. */
export const PIECE_DATA_BYTES = 256 * KIB;
/** Longest READ with NBD_CMD_FLAG_DF; beyond it the answer is EOVERFLOW. */
export const MAX_UNFRAGMENTED_BYTES = PIECE_DATA_BYTES;
/** Longest option a client may send; longer ones are skipped and answered with NBD_REP_ERR_TOO_BIG. */
export const MAX_OPTION_BYTES = 32 * KIB;
/** Options before the transmission phase; the next one ends the connection. */
export const MAX_OPTIONS = 256;
/** "Conventions": strings are at most this long. */
export const MAX_STRING_BYTES = 4096;
/** Extents in one block status reply and context. */
export const MAX_EXTENTS = 1024;
/** Bytes of an error's message that a structured reply carries. */
export const MAX_MESSAGE_BYTES = 512;

/** Bounds of one session; beyond them it stops reading its socket. */
export interface SessionLimits {
  /** Requests that wait for the backing. */
  readonly maxRequests: number;
  /** Bytes that those requests hold. */
  readonly maxBytes: number;
  /** Bytes of replies that the client has not taken yet. */
  readonly maxUnsentBytes: number;
}

export const DEFAULT_SESSION_LIMITS: SessionLimits = { maxRequests: 256, maxBytes: 64 * MIB, maxUnsentBytes: MIB };
