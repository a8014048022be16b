/** The ways that a machine's memory can move, beside each other: what each costs, from which the defaults were chosen. */
import type { Move } from '../hosts/measure-move.ts';
import { type AgentMoveOptions, moveByAgents } from '../hosts/moves.ts';
import { type Figure, type Row, valueFigure } from '../row.ts';
import {
  commonSeries,
  MOVE_CHECKS,
  MOVE_NOTES,
  MOVE_PROGRAMS,
  moveGuest,
  onLine,
  takeTurns,
  WRITES_KIB,
} from './move-parts.ts';

const HINTING = ['-object', 'iothread,id=hints', '-device', 'virtio-balloon-pci,free-page-hint=on,iothread=hints'];

const WAYS: Readonly<Record<string, Pick<AgentMoveOptions, 'memory' | 'args'>>> = {
  'two channels, zstd': {},
  'one connection': { memory: { compress: false } },
  'two channels, zstd, page hints': { args: HINTING },
  'two channels, zstd, auto-converge': { memory: { autoConverge: true } },
  'post-copy': { memory: { memory: 'postcopy' } },
};

export const moveMemory: Row = {
  name: 'move-memory',
  title: "Ways to move a writing machine's memory, with a small disk, over 100 Mbit/s, 0 ms",
  target: 'stated',
  programs: MOVE_PROGRAMS,
  needsRoot: true,
  rounds: 3,
  async run({ folder, smoke, rounds, log }) {
    const artefacts = await moveGuest({ sizeMib: 96, contentMib: 8 }, log);
    const ways = Object.entries(WAYS).slice(0, smoke ? 2 : undefined);
    const moves = await onLine({ mbit: 100, roundTripMs: 0 }, (line) =>
      takeTurns(
        rounds,
        { folder, artefacts, line, log },
        Object.fromEntries(
          ways.map(([name, way]) => [
            name,
            (options: Omit<AgentMoveOptions, 'writesKib' | 'mode'>): Promise<Move> =>
              moveByAgents({ ...options, ...way, writesKib: WRITES_KIB, mode: 'hybrid' }),
          ]),
        ),
      ),
    );
    const figures: Figure[] = Object.entries(moves).flatMap(([name, list]) => [
      valueFigure(
        `STOP to RESUME, memory by ${name}`,
        'ms',
        list.map(({ stopToResumeMs }) => stopToResumeMs),
        null,
      ),
      valueFigure(
        `bytes of a move, memory by ${name}`,
        'MB',
        list.map(({ wireBytes }) => wireBytes / 1e6),
        null,
      ),
    ]);
    return {
      series: commonSeries(moves),
      figures,
      checks: MOVE_CHECKS,
      notes: [
        ...MOVE_NOTES,
        'The guest rewrites 32 MiB of its disk at 5 MB/s, through its page cache. Post-copy goes over one connection, uncompressed. Page hints: the guest tells which pages are free (virtio-balloon), and these are not sent.',
      ],
    };
  },
};
