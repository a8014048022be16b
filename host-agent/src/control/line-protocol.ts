/**
 * The messages of the control socket: one JSON object per line.
 *
 * Request {id, method, params}; answers with the same id: any number of {id, event}, then one {id, result} or {id, error}.
 * Lines are bounded before they are parsed; what a line means is left to server and client.
 */
import { DiskswarmError, type ErrorCode, messageOf } from '@diskswarm/core';

/** Longest request line. */
export const MAX_REQUEST_LINE_BYTES = 4 * 1024 * 1024;
/** Longest answer line: the epoch records of an old disk as hex. */
export const MAX_ANSWER_LINE_BYTES = 32 * 1024 * 1024;

/** An error as it travels and as `--json` prints it. */
export interface ErrorBody {
  readonly code: ErrorCode;
  readonly message: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** What to tell about anything that was thrown; a defect of ours becomes INTERNAL. */
export function errorBodyOf(error: unknown): ErrorBody {
  if (error instanceof DiskswarmError) return { code: error.code, message: error.message, data: error.data };
  return { code: 'INTERNAL', message: messageOf(error), data: {} };
}

/** Cuts a byte stream into lines; returns a function that takes what arrived. */
export function lineSplitter(maxBytes: number, onLine: (text: string) => void): (bytes: Uint8Array) => void {
  let parts: Uint8Array[] = [];
  let heldBytes = 0;
  return (bytes) => {
    let start = 0;
    for (let end = bytes.indexOf(0x0a); end >= 0; end = bytes.indexOf(0x0a, start)) {
      const last = bytes.subarray(start, end);
      start = end + 1;
      if (heldBytes + last.length > maxBytes) refuse(maxBytes);
      const line = parts.length === 0 ? last : Buffer.concat([...parts, last]);
      parts = [];
      heldBytes = 0;
      onLine(Buffer.from(line.buffer, line.byteOffset, line.length).toString('utf8'));
    }
    heldBytes += bytes.length - start;
    if (heldBytes > maxBytes) refuse(maxBytes);
    if (start < bytes.length) parts.push(bytes.slice(start));
  };
}

function refuse(maxBytes: number): never {
  throw new DiskswarmError('LIMIT_EXCEEDED', `a line of the control socket is longer than ${maxBytes} bytes`, {
    data: { limit: maxBytes },
  });
}
