/** A small seeded generator (xorshift) behind core's Random, for repeatable models. */
import type { Random } from '@diskswarm/core';

export function seededRandom(seed: number): Random {
  let state = (seed >>> 0) * 2654435761 + 1;
  const next = (): number => {
    state = (state ^ (state << 13)) >>> 0;
    state = (state ^ (state >>> 17)) >>> 0;
    state = (state ^ (state << 5)) >>> 0;
    return state;
  };
  return {
    bytes: (count) => Uint8Array.from({ length: count }, () => next() & 0xff),
    below: (limit) => Math.floor((next() / 2 ** 32) * limit),
  };
}
