/** An idle guest moved with its disk, which nobody else holds anything of, beside QEMU's own mirror. */
import { moveByAgents } from '../hosts/moves.ts';
import { moveByMirror } from '../hosts/qemu-moves.ts';
import { type Figure, type Row, ratioFigure, type Target } from '../row.ts';
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
          "QEMU's mirror, memory compressed": (options) => moveByMirror({ ...options, writesKib: 0, compressed: true }),
        },
      ),
    );
    const series = commonSeries(moves);
    const of = (subject: string, measure: string) =>
      series.find((one) => one.subject === subject && one.measure === measure)!;
    const beside = (measure: string, mirror: string) => [of('diskswarm', measure), of(mirror, measure)] as const;
    const most = { kind: 'at most', value: 0.9 } as const;
    const figuresOf = (mirror: keyof typeof moves, target: Target | null): Figure[] => [
      ratioFigure(`whole move of an idle guest, against ${mirror}`, ...beside('whole move', mirror), target),
      ratioFigure(`bytes on the line for it, against ${mirror}`, ...beside('bytes on the line', mirror), target),
    ];
    return {
      series,
      figures: [...figuresOf("QEMU's mirror", most), ...figuresOf("QEMU's mirror, memory compressed", null)],
      checks: MOVE_CHECKS,
      notes: [
        ...MOVE_NOTES,
        'Ours ends when the receipts say that nothing depends on the source; the mirror when the guest runs at the destination. The mirror moves memory as QEMU does by default, in one connection without compression, and once more as we do, in two with zstd.',
      ],
    };
  },
};
