/**
 * @module trace
 * The order in which a workload first touched the pieces of a disk, recorded on one host and fetched ahead on the next.
 *
 * Leaves to others: when a recording begins and ends (host agent), what is done with it (scheduler), how it travels (wire).
 * A trace is a hint: wrong or forged ones cost order, never correctness, so they carry no signature of their own.
 *
 * ```ts
 * const recorder = new TraceRecorder({ maxEntries: 65_536 });
 * recorder.record(piece);
 * const bytes = encodeTrace(recorder.pieces);
 * decodeTrace(bytes, { maxPieces: geometry.pieces, maxEntries: 65_536, maxBytes: 256 * 1024 });
 * ```
 */
export * from './codec.ts';
export * from './recorder.ts';
