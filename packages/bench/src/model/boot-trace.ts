/**
 * What a guest does from its start to its login, as far as its disk goes: which pieces it touches, in which order, and how long it
 * is busy with something else in between. And which pieces the disk has at all.
 *
 * Made by record-boot.ts of a real boot from a disk that answers at once; the models of this folder replay it where answers take time.
 */
import type { TraceRequest } from '../traces/trace.ts';

/** Reads that a guest makes without waiting for each other, those alone that touch something for the first time. */
interface BootStep {
  /** What the guest does before, microseconds. */
  readonly thinkUs: number;
  /** Touched for the first time. */
  readonly pieces: readonly number[];
}

export interface BootTrace {
  readonly chunkBytes: number;
  /** The pieces of the disk that are not all zeros, ascending: others are never asked of anybody. */
  readonly present: readonly number[];
  readonly steps: readonly BootStep[];
  /** From the last first touch to the login, microseconds. */
  readonly restUs: number;
}

/** The boot in recorded requests, whose guest was up after `loginUs`: what begins while another read is under way does not wait for it. */
export function bootOf(
  requests: readonly TraceRequest[],
  { chunkBytes, present, loginUs }: Pick<BootTrace, 'chunkBytes' | 'present'> & { loginUs: number },
): BootTrace {
  const left = new Set(present);
  const steps: { thinkUs: number; pieces: number[] }[] = [];
  let answeredUs = 0;
  for (const { operation, atUs, tookUs, offsetBytes, lengthBytes } of requests) {
    if (operation !== 'read' || atUs > loginUs) continue;
    const pieces: number[] = [];
    const last = Math.floor((offsetBytes + lengthBytes - 1) / chunkBytes);
    for (let piece = Math.floor(offsetBytes / chunkBytes); piece <= last; piece++) {
      if (left.delete(piece)) pieces.push(piece);
    }
    if (pieces.length === 0) continue;
    const joined = atUs < answeredUs ? steps.at(-1) : undefined;
    if (joined === undefined) steps.push({ thinkUs: Math.max(0, atUs - answeredUs), pieces });
    else joined.pieces.push(...pieces);
    answeredUs = Math.max(answeredUs, atUs + tookUs);
  }
  return { chunkBytes, present, steps, restUs: Math.max(0, loginUs - answeredUs) };
}
