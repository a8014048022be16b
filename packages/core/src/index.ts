/**
 * @module core
 * Ids, units, errors, and the interfaces through which everything below the host agent touches the world:
 * Clock, Random, Storage, Transport; and the ports ChunkStore and ChunkSource.
 *
 * The real implementations stand in system/ and are exported from `@diskswarm/core/system`, so that an import of one is visible.
 */
export * from './blake3.ts';
export * from './canonical.ts';
export * from './clock.ts';
export * from './error-codes.ts';
export * from './errors.ts';
export * from './ids.ts';
export * from './limits.ts';
export * from './ports.ts';
export * from './random.ts';
export * from './record.ts';
export * from './storage.ts';
export * from './transport.ts';
export * from './varint.ts';
