/** What this package holds every peer to; docs/LIMITS.md lists them. All sizes are bytes. */
import { KIB } from '@diskswarm/core';

/** Payload of one frame, so that channels of a lane take turns after at most this much. */
export const MAX_FRAME_PAYLOAD_BYTES = 16 * KIB;
/** A frame's channel number and length. */
export const FRAME_HEADER_BYTES = 4;
/** Payload of one extension message. */
export const MAX_EXTENSION_BYTES = 256 * KIB;
/** The extended handshake (BEP 10): names and numbers of extensions. */
export const MAX_EXTENDED_HANDSHAKE_BYTES = 4 * KIB;
/** A message on channel 0. */
export const MAX_CONTROL_BYTES = 512;
/** A hello, behind its two-byte length. */
export const MAX_HELLO_BYTES = 1024;
/** Runs in one claims message, for each of its two sets. */
export const MAX_CLAIM_RUNS = 1024;
/** A signed generation record inside a message. */
export const MAX_GENERATION_RECORD_BYTES = 8 * KIB;
/** Epoch records that travel with a generation, in whatever number of messages. */
export const MAX_EPOCH_RECORDS = 4096;
/** One epoch record. */
export const MAX_EPOCH_RECORD_BYTES = 2 * KIB;
/** Pages in one answer: a path has at most this many levels. */
export const MAX_PATH_PAGES = 8;
/** Generations either side may open on one channel before it is opened anew. */
export const MAX_SPACES = 1024;
/** Piece indexes on the wire lie below this: the library reads them as signed. */
export const INDEX_SPACE = 2 ** 31;
