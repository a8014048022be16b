/** The operating system's randomness. */
import { randomBytes, randomInt } from 'node:crypto';
import type { Random } from '../random.ts';

export const systemRandom: Random = {
  bytes: (count) => new Uint8Array(randomBytes(count)),
  below: (limit) => randomInt(limit),
};
