/**
 * @module store
 * Chunks by content: append-only packs, an index in memory with checkpoints, and the disks each chunk is admitted to.
 *
 * ```ts
 * const store = await PackStore.open(storage, { random, onDamage: (damage) => log.warn(damage) });
 * await store.putMany(chunks, disk);  // with the kernel
 * await store.sync();                 // durable: may be claimed now
 * ```
 */
export type { Damage, DamageListener } from './damage.ts';
export { DEFAULT_PACK_BYTES, PACK_VERSION } from './pack-format.ts';
export { PackStore, type PackStoreOptions, type Pin, type StoreStats } from './pack-store.ts';
export type { Reclaimed } from './reclaim.ts';
export type { Withdrawn } from './removal.ts';
export type { VerifyOptions, VerifyProgress, VerifyResult } from './scrub.ts';
