/**
 * A signed record as one line of text that people copy: a prefix and base64url of length ‖ record ‖ checksum.
 *
 * Length and checksum tell a line that was cut or mistyped from one that was forged; what the record says, and whether its
 * signature holds, is left to whoever knows the kind.
 */
import { blake3, DiskswarmError } from '@diskswarm/core';

const LENGTH_BYTES = 4;
const CHECKSUM_BYTES = 8;

/** Why a line is refused: `data.reason` of INVITATION_INVALID. */
export type LineRefusal = 'malformed' | 'too-long' | 'version' | 'incomplete' | 'altered' | 'forged' | 'foreign';

/** The line of `record`; `prefix` ends in its version. */
export function textLineOf(prefix: string, record: Uint8Array): string {
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeUInt32BE(record.length);
  return prefix + Buffer.concat([length, record, checksumOf(record)]).toString('base64url');
}

/** The record in the line, complete and unaltered; INVITATION_INVALID with a `LineRefusal`. `what` names the line to people. */
export function openTextLine(text: string, kind: { prefix: string; what: string; maxChars: number }): Uint8Array {
  const { prefix, what, maxChars } = kind;
  const line = text.trim();
  if (line.length > maxChars) throw lineInvalid(what, 'too-long', `it is longer than ${maxChars} characters`);
  if (!line.startsWith(prefix)) {
    if (line.startsWith(prefix.slice(0, -1)) && /^\d/.test(line.slice(prefix.length - 1)))
      throw lineInvalid(what, 'version', 'it was made by another version of diskswarm');
    throw lineInvalid(what, 'malformed', `it does not begin with "${prefix}"`);
  }
  const encoded = line.slice(prefix.length);
  if (!/^[A-Za-z0-9_-]*$/.test(encoded))
    throw lineInvalid(what, 'malformed', `it holds characters that no ${what} has`);
  const bytes = Buffer.from(encoded, 'base64url');
  const length = bytes.length < LENGTH_BYTES ? Number.POSITIVE_INFINITY : bytes.readUInt32BE(0);
  const missing = LENGTH_BYTES + length + CHECKSUM_BYTES - bytes.length;
  if (missing > 0) throw lineInvalid(what, 'incomplete', 'its end is missing');
  const record = bytes.subarray(LENGTH_BYTES, LENGTH_BYTES + length);
  // A stray character at the end may decode to nothing: that is no line of ours either.
  if (
    missing < 0 ||
    bytes.toString('base64url') !== encoded ||
    Buffer.compare(bytes.subarray(LENGTH_BYTES + length), checksumOf(record)) !== 0
  )
    throw lineInvalid(what, 'altered', 'its checksum does not match');
  return record;
}

/** A line that cannot be used. */
export function lineInvalid(what: string, reason: LineRefusal, why: string, cause?: unknown): DiskswarmError {
  return new DiskswarmError('INVITATION_INVALID', `the ${what} cannot be used: ${why}`, { data: { reason }, cause });
}

function checksumOf(bytes: Uint8Array): Uint8Array {
  return blake3(bytes).subarray(0, CHECKSUM_BYTES);
}
