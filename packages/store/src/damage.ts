/** What a store says about bytes it has lost: found at open, by a read, or by `verify`. */
import type { ChunkId } from '@diskswarm/core';

/** A damaged place. Whatever chunk was there is no longer in the index, so that it is fetched again. */
export interface Damage {
  /** The chunk that was there, or null when that can no longer be read. */
  readonly id: ChunkId | null;
  /** Path of the pack in the storage. */
  readonly path: string;
  /** Where in the pack. */
  readonly positionBytes: number;
  readonly lengthBytes: number;
  /** changed: bytes do not match; unreadable: the disk reports an error; missing: the file is shorter or gone. */
  readonly kind: 'changed' | 'unreadable' | 'missing';
}

/** Called for each damaged place, once per discovery. */
export type DamageListener = (damage: Damage) => void;
