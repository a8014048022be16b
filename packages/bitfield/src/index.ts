/**
 * @module bitfield
 * Sets of pieces as runs, what a peer has, lacks, or has not spoken of, and the compact form of runs (design D8).
 *
 * Leaves to others: what a piece is (manifest), when sets are sent and to whom (wire, swarm), what they cost (scheduler).
 *
 * ```ts
 * const has = new RangeSet();
 * has.add(0, 4096);
 * const bytes = encodeRuns(has);
 * const known = new Availability({ maxRuns: 65_536 });
 * known.learnHas(decodeRuns(bytes, { maxPieces: geometry.pieces, maxRuns: 4096 }));
 * known.stateOf(12); // 'has'
 * ```
 */
export * from './availability.ts';
export * from './codec.ts';
export * from './range-set.ts';
