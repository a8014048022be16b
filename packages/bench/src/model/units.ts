/**
 * What modelled hosts fetch: chunks one by one, or, where there are too many hosts for that, neighbouring ones in groups.
 *
 * A chunk that the guest touches before its login always stands alone, because a guest would wait for the rest of a group.
 */
import type { BootTrace } from './boot-trace.ts';

interface Unit {
  /** The first of it. */
  readonly piece: number;
  readonly lengthBytes: number;
}

export interface Units {
  /** By their first piece, ascending. */
  readonly all: readonly Unit[];
  readonly totalBytes: number;
  /** Number of the unit of a piece that is present. */
  of(piece: number): number;
}

/** The present pieces, or those alone that a boot touches; up to `group` neighbours in one unit. */
export function unitsOf({ chunkBytes, present, steps }: BootTrace, group: number, whole: boolean): Units {
  const touched = new Set(steps.flatMap(({ pieces }) => pieces));
  const all: { piece: number; lengthBytes: number }[] = [];
  const numbers = new Map<number, number>();
  const fetched = whole ? present : present.filter((piece) => touched.has(piece));
  for (const piece of fetched) {
    const last = all.at(-1);
    const joins =
      last !== undefined &&
      !touched.has(piece) &&
      !touched.has(last.piece) &&
      last.piece + last.lengthBytes / chunkBytes === piece &&
      last.lengthBytes < group * chunkBytes;
    if (joins) last.lengthBytes += chunkBytes;
    else all.push({ piece, lengthBytes: chunkBytes });
    numbers.set(piece, all.length - 1);
  }
  return {
    all,
    totalBytes: fetched.length * chunkBytes,
    of: (piece) => numbers.get(piece)!,
  };
}
