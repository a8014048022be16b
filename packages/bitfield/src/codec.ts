/**
 * Runs in as few bytes as they need: varint number of runs, then per run the gap before it and its length.
 *
 * Gaps after the first and all lengths are written less one, because neither can be zero: so every set has exactly one
 * encoding and every accepted text of bytes is canonical.
 */
import { VarintReader, VarintWriter } from '@diskswarm/core';
import { RangeSet } from './range-set.ts';

/** What a decoder accepts. */
export interface RunBounds {
  /** Members lie below this. */
  readonly maxPieces: number;
  readonly maxRuns: number;
}

/** Bytes of a set; `RangeSet.parts` cuts one that would not fit a message. */
export function encodeRuns(set: RangeSet): Uint8Array {
  const writer = new VarintWriter();
  writer.write(set.runCount);
  let end = -1;
  for (const run of set.runs()) {
    writer.write(run.from - end - 1);
    writer.write(run.to - run.from - 1);
    end = run.to;
  }
  return writer.finish();
}

/** The set of `bytes`; throws FORMAT_INVALID on anything that `encodeRuns` does not write or that exceeds the bounds. */
export function decodeRuns(bytes: Uint8Array, { maxPieces, maxRuns }: RunBounds): RangeSet {
  const reader = new VarintReader(bytes, 'piece runs');
  const set = new RangeSet();
  const runs = reader.read(maxRuns);
  let end = -1;
  for (let count = 0; count < runs; count++) {
    const from = end + 1 + reader.read(maxPieces);
    const to = from + 1 + reader.read(maxPieces);
    if (to > maxPieces) reader.refuse(`a run ends at ${to}, the limit is ${maxPieces}`);
    set.add(from, to);
    end = to;
  }
  if (!reader.atEnd) reader.refuse('trailing bytes');
  return set;
}
