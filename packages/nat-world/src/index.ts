/**
 * A small internet with NATs and a DHT, in network namespaces: for tests and benchmarks.
 *
 * ```ts
 * const world = await makeNatWorld(['steady', 'random']);
 * spawn(...world.behind[0].prefix, 'a-program');   // behind the first NAT
 * await world.close();
 * ```
 */
export { type LocalDht, startDht } from './dht.ts';
export { makeNatWorld, type NatKind, type NatWorld, type Place } from './nat-world.ts';
