/** An idle guest moved with its disk, which nobody else holds anything of, beside QEMU's own mirror. */
import { moveByAgents } from '../hosts/moves.ts';
import { moveByMirror } from '../hosts/qemu-moves.ts';
import { type Row, ratioFigure } from '../row.ts';
import { commonSeries, MOVE_CHECKS, MOVE_NOTES, MOVE_PROGRAMS, moveGuest, onLine, takeTurns } from './move-parts.ts';

export const moveIdle: Row = {
  name: 'move-idle',
  title: 'Live move of an idle guest with its 256 MiB disk over 100 Mbit/s, 0 ms',
  target: "total time and bytes at most 0.9 × mirror's",
  programs: MOVE_PROGRAMS,
  needsRoot: true,
  rounds: 3,
  async run({ folder, smoke, rounds, log }) {
    const artefacts = await moveGuest(smoke ? { sizeMib: 32, contentMib: 8 } : { sizeMib: 256, contentMib: 205 }, log);
    const moves = await onLine({ mbit: 100, roundTripMs: 0 }, (line) =>
      takeTurns(
        rounds,
        { folder, artefacts, line, log },
        {
          diskswarm: (options) => moveByAgents({ ...options, writesKib: 0, mode: 'hybrid' }),
          "QEMU's mirror": (options) => moveByMirror({ ...options, writesKib: 0 }),
        },
      ),
    );
    const series = commonSeries(moves);
    const of = (subject: string, measure: string) =>
      series.find((one) => one.subject === subject && one.measure === measure)!;
    const beside = (measure: string) => [of('diskswarm', measure), of("QEMU's mirror", measure)] as const;
    const most = { kind: 'at most', value: 0.9 } as const;
    return {
      series,
      figures: [
        ratioFigure("whole move of an idle guest, against QEMU's mirror", ...beside('whole move'), most),
        ratioFigure("bytes on the line for it, against QEMU's mirror", ...beside('bytes on the line'), most),
      ],
      checks: MOVE_CHECKS,
      notes: [
        ...MOVE_NOTES,
        'Ours ends when the receipts say that nothing depends on the source; the mirror when the guest runs at the destination. The mirror moves memory as QEMU does by default, in one connection without compression.',
      ],
    };
  },
};
