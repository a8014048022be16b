/**
 * When rounds of the disk end: the next round, or on to memory, beside which they go on at a pace, and the pause. Pure.
 *
 * Each round sends what was written during the one before, so rounds shrink as long as the guest writes slower than the link carries. They end when what
 * the next one would send fits into the pause, when they stop shrinking, or after MAX_ROUNDS. What is missing then comes as faults (hybrid) or inside
 * the pause (precopy). While the guest's writes are slowed more than before, rounds go on until they show what that did.
 */

/** A guest that writes about as fast as the link carries gets this many rounds at most. */
export const MAX_ROUNDS = 32;
/** Rounds end when one takes more than this part of the time of the one before, and the next would send more than this part of it: going on pays no more. */
export const STILL_SHRINKING = 0.7;
/** Rounds shorter than this are no measure of anything. */
const LEAST_ROUND_US = 250_000;
/** Beside the memory rounds follow each other at this distance: each costs a seal, and what is written since is left for the pause. */
export const ROUND_PACE_MS = 1000;
/** One that is not whole after so long gives way to the next beside the memory of precopy: what is written meanwhile has to be sealed in the pause. */
export const ROUND_PATIENCE_MS = 10_000;

export interface RoundTimes {
  /** Rounds that are done. */
  readonly round: number;
  /** From the seal of the last round until the destination had it. */
  readonly lastUs: number;
  /** The same of the round before; null after the first. */
  readonly beforeUs: number | null;
  readonly maxDowntimeMs: number;
  /** The round during which the guest's writes were slowed more than before; null when they were not. */
  readonly slowedInRound: number | null;
  /** What waited when the last round was whole, over what it sent; null when nobody measures it. */
  readonly growth: number | null;
}

export type RoundDecision = 'round' | 'memory';

export function decideRound(times: RoundTimes): RoundDecision {
  const { round, lastUs, beforeUs, maxDowntimeMs, slowedInRound, growth } = times;
  if (round >= MAX_ROUNDS) return 'memory';
  if (beforeUs === null) return lastUs <= LEAST_ROUND_US ? 'memory' : 'round';
  if (lastUs <= Math.max(LEAST_ROUND_US, maxDowntimeMs * 1000)) return 'memory';
  // The round after it still holds what was written before it.
  if (slowedInRound !== null && round <= slowedInRound + 1) return 'round';
  // By the same measure the guest's writes begin to be slowed: what does not make them slower is no reason to stop either.
  return lastUs > STILL_SHRINKING * beforeUs && (growth ?? 1) > STILL_SHRINKING ? 'memory' : 'round';
}
