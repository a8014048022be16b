/**
 * Which NBD error a client sees for what went wrong, and the message beside it.
 *
 * Source: "Error values". A held, read-only or incoming attachment answers EPERM; a fenced one ESHUTDOWN, because it
 * never comes back and the client should go away.
 */
import { DiskswarmError, messageOf } from '@diskswarm/core';
import { ERRNO, type Errno } from './constants.ts';
import { MAX_MESSAGE_BYTES } from './limits.ts';

/** A request that failed: what goes into its reply. */
export interface Failure {
  readonly errno: Errno;
  readonly message: string;
}

/** The reply for something a backing threw; errors that are not operational are EIO here and reported elsewhere. */
export function failureOf(error: unknown): Failure {
  return { errno: errnoOf(error), message: messageOf(error) };
}

/** True for defects: whatever a backing throws that is no DiskswarmError. */
export function isDefect(error: unknown): boolean {
  return !(error instanceof DiskswarmError);
}

function errnoOf(error: unknown): Errno {
  if (!(error instanceof DiskswarmError)) return ERRNO.EIO;
  switch (error.code) {
    case 'DISK_FULL':
      return ERRNO.ENOSPC;
    case 'ATTACHMENT_STATE':
      return error.data.state === 'fenced' ? ERRNO.ESHUTDOWN : ERRNO.EPERM;
    case 'NOT_OWNER':
      return ERRNO.EPERM;
    case 'ABORTED':
      return ERRNO.ESHUTDOWN;
    default:
      return ERRNO.EIO;
  }
}

/** UTF-8 of at most MAX_MESSAGE_BYTES, cut between characters. */
export function messageBytes(message: string): Uint8Array {
  const bytes = new Uint8Array(MAX_MESSAGE_BYTES);
  return bytes.subarray(0, new TextEncoder().encodeInto(message, bytes).written);
}
