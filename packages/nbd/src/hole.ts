/** When data that was read is worth a hole chunk instead (NBD_REPLY_TYPE_OFFSET_HOLE). */
import { PIECE_DATA_BYTES } from './limits.ts';

const ZEROS = new Uint8Array(PIECE_DATA_BYTES);
/** Below this a hole saves nothing. */
const MIN_HOLE_BYTES = 4096;

/** True when at most one piece of bytes is all zeros and long enough; three looks settle it for almost all other data. */
export function isHole(data: Uint8Array): boolean {
  const last = data.length - 1;
  if (data[0] !== 0 || data[last] !== 0 || data[last >> 1] !== 0 || data.length < MIN_HOLE_BYTES) return false;
  return Buffer.compare(data, ZEROS.subarray(0, data.length)) === 0;
}
