/**
 * Operational errors: one class, told apart by a stable `code` that callers branch on.
 *
 * A message says what happened, to which disk, and what to do next; `data` carries the same facts for programs.
 * Programmer errors are not these: they assert and crash. The codes and their meaning stand in error-codes.ts.
 */
import type { ErrorCode } from './error-codes.ts';

/** Facts that go with an error; JSON-safe, never secret. */
export type ErrorData = Readonly<Record<string, unknown>>;

export class DiskswarmError extends Error {
  readonly code: ErrorCode;
  readonly data: ErrorData;

  constructor(code: ErrorCode, message: string, options: { data?: ErrorData; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'DiskswarmError';
    this.code = code;
    this.data = options.data ?? {};
  }
}

/** True when `error` is one of ours and carries `code`. */
export function hasCode(error: unknown, code: ErrorCode): error is DiskswarmError {
  return error instanceof DiskswarmError && error.code === code;
}

/** The message of whatever was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
