/** Randomness as the rest sees it: injected, so that a simulation can seed it. */
export interface Random {
  /** `count` fresh random bytes; cryptographically strong in the real implementation. */
  bytes(count: number): Uint8Array;
  /** A whole number from 0 to `limit - 1`, uniformly. `limit` is from 1 to 2^32. */
  below(limit: number): number;
}
