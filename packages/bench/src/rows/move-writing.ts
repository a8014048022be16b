/** A guest that rewrites a region all the time, moved with its disk, beside QEMU's own mirror and beside the memory alone. */
import type { Move } from '../hosts/measure-move.ts';
import { moveByAgents } from '../hosts/moves.ts';
import { moveByMirror, moveMemoryAlone } from '../hosts/qemu-moves.ts';
import { type Row, ratioFigure, valueFigure } from '../row.ts';
import {
  commonSeries,
  MOVE_CHECKS,
  MOVE_NOTES,
  MOVE_PROGRAMS,
  moveGuest,
  onLine,
  seriesOf,
  takeTurns,
  WRITES_KIB,
} from './move-parts.ts';

export const moveWriting: Row = {
  name: 'move-writing',
  title: 'Live move of a guest that rewrites 32 MiB at 5 MB/s with fsync, over 100 Mbit/s, 0 ms',
  target:
    "converges in 5 of 5; total at most 0.5 × mirror's; writes at least 0.8 × of before; STOP to RESUME at most 1.2 × memory alone",
  programs: MOVE_PROGRAMS,
  needsRoot: true,
  rounds: 5,
  async run({ folder, smoke, rounds, log }) {
    const artefacts = await moveGuest(smoke ? { sizeMib: 96, contentMib: 8 } : { sizeMib: 256, contentMib: 200 }, log);
    const writesKib = WRITES_KIB;
    let endless: Move | null = null;
    const moves = await onLine({ mbit: 100, roundTripMs: 0 }, (line) =>
      takeTurns(
        rounds,
        { folder, artefacts, line, log },
        {
          diskswarm: (options) => moveByAgents({ ...options, writesKib, mode: 'hybrid' }),
          "QEMU's mirror": async (options) => {
            if (endless !== null) return endless;
            const move = await moveByMirror({ ...options, writesKib });
            if (!move.ended) endless = move;
            return move;
          },
          'memory alone': (options) => moveMemoryAlone({ ...options, writesKib }),
        },
      ),
    );
    // A mirror that was not tried again is one reading.
    const made = Object.fromEntries(Object.entries(moves).map(([name, list]) => [name, [...new Set(list)]]));
    const shares = Object.entries(made).map(([name, list]) =>
      seriesOf(name, list, 'writes during the move, of those before', 'x', ({ writeShare }) => writeShare ?? 0),
    );
    const series = [...commonSeries(made), ...shares];
    const of = (subject: string, measure: string) =>
      series.find((one) => one.subject === subject && one.measure === measure)!;
    const ours = moves.diskswarm;
    const wholeOf = (subject: keyof typeof moves) =>
      seriesOf(subject, moves[subject], 'whole move', 's', ({ totalMs }) => totalMs / 1000);
    return {
      series,
      figures: [
        valueFigure(
          'moves of a writing guest that ended, of all',
          '%',
          [(100 * ours.filter(({ ended }) => ended).length) / ours.length],
          { kind: 'at least', value: 100 },
        ),
        ratioFigure(
          "whole move of a writing guest, against QEMU's mirror (memory uncompressed; 300 s where it does not end)",
          wholeOf('diskswarm'),
          wholeOf("QEMU's mirror"),
          { kind: 'at most', value: 0.5 },
        ),
        valueFigure("the guest's writes during it, of those before", 'x', shares[0]!.values, {
          kind: 'at least',
          value: 0.8,
        }),
        ratioFigure(
          'STOP to RESUME of a writing guest, against memory alone',
          of('diskswarm', 'STOP to RESUME'),
          of('memory alone', 'STOP to RESUME'),
          { kind: 'at most', value: 1.2 },
        ),
      ],
      checks: MOVE_CHECKS,
      notes: [
        ...MOVE_NOTES,
        'Every block that is written is random. A move that does not end within 300 s counts as 300 s; a mirror that did not is not tried again, and counts the same in later rounds.',
        'Memory alone: the disk on storage that both ends share outside the line, memory compressed as ours is; no disk moves.',
        "The mirror runs in background mode, libvirt's default, with its memory in one connection without compression, and nothing slows its guest; diskswarm slows writes that the line cannot follow.",
      ],
    };
  },
};
