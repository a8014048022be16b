/** Bounds that more than one package relies on; docs/LIMITS.md lists them with the ones each package holds itself. */

export const KIB = 1024;
export const MIB = 1024 * KIB;
export const GIB = 1024 * MIB;

/** Chunk sizes: powers of two in this range (design D1). */
export const MIN_CHUNK_BYTES = 16 * KIB;
export const MAX_CHUNK_BYTES = MIB;
export const DEFAULT_CHUNK_BYTES = 64 * KIB;
/** A manifest page: 256 ids of 32 bytes (design D2). */
export const PAGE_BYTES = 8 * KIB;
export const PAGE_FANOUT = 256;
/** Guest writes are tracked at this grain (design D5). */
export const BLOCK_BYTES = 4 * KIB;
/** Disks are a multiple of this. */
export const SECTOR_BYTES = 512;
/** Largest disk: with 16 KiB chunks 2^32 pieces would exceed what an index on the wire can name. */
export const MAX_PIECES = 2 ** 30;
export const MAX_DISK_BYTES = 64 * 1024 * GIB;
