/** What a guest's user notices: the longest silence of a ticker while its machine moves, over four lines and in two ways. */
import type { Move } from '../hosts/measure-move.ts';
import { moveByAgents } from '../hosts/moves.ts';
import { type Figure, type Row, valueFigure } from '../row.ts';
import { commonSeries, MOVE_CHECKS, MOVE_NOTES, MOVE_PROGRAMS, moveGuest, onLine, takeTurns } from './move-parts.ts';

const LINES = [
  { mbit: 100, roundTripMs: 0 },
  { mbit: 100, roundTripMs: 50 },
  { mbit: 20, roundTripMs: 0 },
  { mbit: 20, roundTripMs: 50 },
] as const;

export const moveGap: Row = {
  name: 'move-gap',
  title: 'The gap that a guest shows while it moves with its disk',
  target: 'stated',
  programs: MOVE_PROGRAMS,
  needsRoot: true,
  rounds: 3,
  async run({ folder, smoke, rounds, log }) {
    const artefacts = await moveGuest({ sizeMib: 96, contentMib: 8 }, log);
    const figures: Figure[] = [];
    const moves: Record<string, readonly Move[]> = {};
    for (const line of smoke ? LINES.slice(0, 1) : LINES) {
      const words = `${line.mbit} Mbit/s, ${line.roundTripMs} ms`;
      const found = await onLine(line, (open) =>
        takeTurns(
          rounds,
          { folder, artefacts, line: open, log },
          {
            precopy: (options) => moveByAgents({ ...options, writesKib: 512, mode: 'precopy' }),
            hybrid: (options) => moveByAgents({ ...options, writesKib: 512, mode: 'hybrid' }),
          },
        ),
      );
      for (const [mode, list] of Object.entries(found)) {
        moves[`${mode}, ${words}`] = list;
        const gaps = list.map(({ gapMs }) => gapMs);
        figures.push(valueFigure(`longest silence of the ticker, ${mode}, ${words}`, 'ms', gaps, null));
      }
    }
    return {
      series: commonSeries(moves),
      figures,
      checks: MOVE_CHECKS,
      notes: [...MOVE_NOTES, 'The guest writes and fsyncs 512 KiB per second while it moves.'],
    };
  },
};
