/**
 * @module sim
 * Seeded fakes of core's interfaces: one clock, one random source, machines with disks that lose writes and networks that
 * delay, cut and stall; and checkers that hold what happens against a model (design D14).
 *
 * The same seed gives the same events in the same order: `eventHash` says so. Leaves to others: scenarios (test/sim).
 *
 * ```ts
 * const simulation = createSimulation(7);
 * const home = simulation.host('home');
 * await simulation.run(async () => {
 *   const journal = await Journal.open(home.storage, 'meta', …);
 *   await journal.sync();
 *   home.powerCut();                                              // handles taken before are dead now
 *   const again = await Journal.open(home.storage, 'meta', …);    // the next process of that machine
 * });
 * console.log(simulation.eventHash);
 * ```
 */
export * from './checkers/model-disk.ts';
export * from './checkers/one-writer.ts';
export { EventQueue, type PendingEvent } from './event-queue.ts';
export { withSimulatedGlobals } from './globals.ts';
export type { SimHost } from './host.ts';
export type { LinkProfile, RateProfile, SimNetwork } from './network/network.ts';
export { ProcessGone } from './process.ts';
export { SeededRandom } from './seeded-random.ts';
export { createSimulation, type RunLimits, type Simulation, SimulationFailure } from './simulation.ts';
export type { DiskLatency, DiskOperation, FaultPlan, SimDisk } from './storage/disk.ts';
