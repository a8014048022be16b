/** The real Clock, Random and Storage; only composition roots, tests and benches import these. */
export * from './boot.ts';
export * from './clock.ts';
export * from './random.ts';
export * from './storage.ts';
