/**
 * @module chunk
 * What a chunk is: the sizes a disk may be cut into, where each piece lies, and the id of its bytes (design D1).
 *
 * Leaves to others: which id belongs to which piece (manifest), where chunks are kept (store), compression (wire, pack).
 *
 * ```ts
 * const geometry = new Geometry(sizeBytes, parseChunkSize(64 * 1024));
 * const id = chunkIdOf(bytes); // bytes.length === geometry.chunkSizeBytes, padded with zeros
 * ```
 */
export * from './chunk-id.ts';
export * from './geometry.ts';
