/**
 * What a run of back and forth comes to: each of its moves, and the sums over them.
 *
 * What was counted and not sent has bytes and no times.
 */
import { median } from '../statistics.ts';
import { BLOCK_BYTES } from '../workloads/desk-week.ts';
import type { RunFigures } from './result.ts';
import type { RunEvent } from './run-folder.ts';

/** One move. */
export interface RoamMove {
  /** The stay that begins with it: `Tuesday, office`. */
  readonly stay: string;
  readonly bytes: number;
  /** Of the blocks of 4 KiB that hold something else than when the host was left. */
  readonly differingBytes: number;
  /** From the command until all of the disk is there, and until it can be used; null where it was not really moved. */
  readonly tookMs: number | null;
  readonly readyMs: number | null;
}

/** The moves of a run; none of a run of another kind. */
export function roamMoves(events: readonly RunEvent[]): readonly RoamMove[] {
  return events
    .filter(({ event }) => event === 'arrived')
    .map(({ stay, bytes, differingBlocks, tookMs, readyMs }) => ({
      ...{ stay: String(stay), bytes: Number(bytes), differingBytes: Number(differingBlocks) * BLOCK_BYTES },
      tookMs: typeof tookMs === 'number' ? tookMs : null,
      readyMs: typeof readyMs === 'number' ? readyMs : null,
    }));
}

/** Figures of a run of back and forth; no sums where it did not come to its end, none at all where it never moved. */
export function roamFigures(events: readonly RunEvent[]): RunFigures {
  const moves = roamMoves(events);
  if (moves.length === 0) return {};
  const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
  const times = moves.flatMap(({ tookMs }) => tookMs ?? []);
  const ready = moves.flatMap(({ readyMs }) => readyMs ?? []);
  const first = events.find(({ event }) => event === 'first');
  const bytes = moves.map((move) => move.bytes);
  const ended = events.some(({ event, ended: whole }) => event === 'roamed' && whole === true);
  return {
    weekBytes: ended ? sum(bytes) / 1e6 : null,
    moveBytes: median(bytes) / 1e6,
    mostBytes: Math.max(...bytes) / 1e6,
    overDiffering: sum(bytes) / sum(moves.map(({ differingBytes }) => differingBytes)),
    ready: ready.length === 0 ? null : median(ready) / 1000,
    moveTime: times.length === 0 ? null : median(times) / 1000,
    total: ended && times.length > 0 ? sum(times) / 1000 : null,
    firstBytes: first === undefined ? null : Number(first.bytes) / 1e6,
  };
}
