/**
 * @module tracker
 * The announce server that two hosts meet at: it knows which addresses belong to which info hash for a while, and tells a few
 * of them to whoever asks for that hash. It learns no names of disks and no keys, and is never in the path of a read.
 *
 * `SwarmTable` is the pure core, `startTracker` puts it on HTTP.
 *
 * @example
 * const tracker = await startTracker({ listen: '127.0.0.1:0', clock: systemClock, random: systemRandom });
 */
export * from './limits.ts';
export * from './server.ts';
export * from './swarm-table.ts';
