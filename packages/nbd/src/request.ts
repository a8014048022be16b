/**
 * Which requests are taken: flags, range, length and direction, checked before a backing sees them.
 *
 * Source: "Command flags", "Error values" (ENOSPC for writes beyond the end, EINVAL for reads), "Block size constraints".
 * Lengths that no payload follows may exceed the maximum block size; the range check bounds them.
 */
import type { Backing } from '@diskswarm/core';
import { COMMAND, COMMAND_FLAG, ERRNO, type Errno } from './constants.ts';
import type { Failure } from './failure.ts';
import { BLOCK_SIZE, MAX_UNFRAGMENTED_BYTES } from './limits.ts';

/** The flags each command takes; FUA is allowed everywhere. */
const ALLOWED_FLAGS: Readonly<Record<number, number>> = {
  [COMMAND.read]: COMMAND_FLAG.fua | COMMAND_FLAG.df,
  [COMMAND.write]: COMMAND_FLAG.fua,
  [COMMAND.flush]: COMMAND_FLAG.fua,
  [COMMAND.trim]: COMMAND_FLAG.fua,
  [COMMAND.cache]: COMMAND_FLAG.fua,
  [COMMAND.writeZeroes]: COMMAND_FLAG.fua | COMMAND_FLAG.noHole | COMMAND_FLAG.fastZero,
  [COMMAND.blockStatus]: COMMAND_FLAG.fua | COMMAND_FLAG.reqOne,
};

function failure(errno: Errno, message: string): Failure {
  return { errno, message };
}

const UNKNOWN_COMMAND = failure(ERRNO.EINVAL, 'unknown command');
const UNKNOWN_FLAG = failure(ERRNO.EINVAL, 'a command flag that this command does not take');
const NO_DF = failure(ERRNO.EINVAL, 'DF needs structured replies');
const READ_ONLY = failure(ERRNO.EPERM, 'the export is read-only');
const BEYOND_END = failure(ERRNO.EINVAL, 'the range ends beyond the export');
const NO_ROOM = failure(ERRNO.ENOSPC, 'the range ends beyond the export');
const TOO_LONG = failure(ERRNO.EINVAL, `longer than the maximum block size of ${BLOCK_SIZE.maxBytes} bytes`);
const TOO_LONG_FOR_DF = failure(ERRNO.EOVERFLOW, `longer than ${MAX_UNFRAGMENTED_BYTES} bytes in one fragment`);
const FLUSH_RANGE = failure(ERRNO.EINVAL, 'a flush takes no range');
const NO_CONTEXT = failure(ERRNO.EINVAL, 'no metadata context was selected');
const EMPTY_STATUS = failure(ERRNO.EINVAL, 'the status of nothing');

/** Null when the request may go to the backing. `contexts` is the number of metadata contexts selected. */
export function checkRequest(
  backing: Backing,
  structured: boolean,
  contexts: number,
  command: number,
  flags: number,
  offsetBytes: number,
  lengthBytes: number,
): Failure | null {
  const allowed = ALLOWED_FLAGS[command];
  if (allowed === undefined) return UNKNOWN_COMMAND;
  if ((flags & ~allowed) !== 0) return UNKNOWN_FLAG;
  const beyond = offsetBytes + lengthBytes > backing.sizeBytes;
  switch (command) {
    case COMMAND.read:
      if (beyond) return BEYOND_END;
      if (lengthBytes > BLOCK_SIZE.maxBytes) return TOO_LONG;
      if ((flags & COMMAND_FLAG.df) === 0) return null;
      if (!structured) return NO_DF;
      return lengthBytes > MAX_UNFRAGMENTED_BYTES ? TOO_LONG_FOR_DF : null;
    case COMMAND.write:
      if (backing.readOnly) return READ_ONLY;
      if (lengthBytes > BLOCK_SIZE.maxBytes) return TOO_LONG;
      return beyond ? NO_ROOM : null;
    case COMMAND.writeZeroes:
      if (backing.readOnly) return READ_ONLY;
      return beyond ? NO_ROOM : null;
    case COMMAND.trim:
      if (backing.readOnly) return READ_ONLY;
      return beyond ? BEYOND_END : null;
    case COMMAND.flush:
      return offsetBytes === 0 && lengthBytes === 0 ? null : FLUSH_RANGE;
    case COMMAND.blockStatus:
      if (contexts === 0) return NO_CONTEXT;
      if (lengthBytes === 0) return EMPTY_STATUS;
      return beyond ? BEYOND_END : null;
    default:
      return beyond ? BEYOND_END : null;
  }
}
