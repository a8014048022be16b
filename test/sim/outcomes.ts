/** What requests of a user may end with in a world where things go wrong; everything else is a defect. */
import { DiskswarmError, type ErrorCode } from '@diskswarm/core';
import { HostDied } from './simulated-host.ts';

/** The code of an operational error; null for a defect. */
export function codeOfError(error: unknown): ErrorCode | null {
  return error instanceof DiskswarmError ? error.code : null;
}

/** Resolves with the result, or with the reason why there is none: a code among `expected`, or `died`. */
export async function attempt<Result>(
  work: Promise<Result>,
  expected: readonly ErrorCode[],
): Promise<{ readonly result: Result } | { readonly failed: ErrorCode | 'died' }> {
  try {
    return { result: await work };
  } catch (error) {
    if (error instanceof HostDied) return { failed: 'died' };
    const code = codeOfError(error);
    if (code === null || !expected.includes(code)) throw error;
    return { failed: code };
  }
}
