/** What the rows about moving a running machine have in common: the line, the guest, and taking turns with whole moves. */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type GuestArtefacts, prepareGuest, probeQemu } from '@diskswarm/guest';
import { CRASHES_BORNE, guestCrashed } from '../hosts/guest-crash.ts';
import type { Move, MoveOptions } from '../hosts/measure-move.ts';
import { type Line, openLine } from '../link/link.ts';
import { check, type Series } from '../row.ts';

const MIB = 2 ** 20;
export const MOVE_PROGRAMS = ['qemu-system-x86_64', 'qemu-nbd', 'nbdinfo', 'busybox', 'mke2fs', 'ip', 'python3'];
/** What the guest rewrites, KiB per second: 5 MB. */
export const WRITES_KIB = 4883;

/** A guest with a disk of this size and incompressible content, without hardware acceleration for anybody. */
export function moveGuest(disk: { sizeMib: number; contentMib: number }, log: (text: string) => void) {
  check(probeQemu().available, 'QEMU is here but cannot run the guest');
  process.env.DISKSWARM_ACCEL = 'tcg';
  return prepareGuest({
    image: { sizeBytes: disk.sizeMib * MIB, contentBytes: disk.contentMib * MIB, bootBytes: MIB, incompressible: true },
    log,
  });
}

/** Opens a line, runs, and takes it down. */
export async function onLine<Value>(
  { mbit, roundTripMs }: { mbit: number; roundTripMs: number },
  use: (line: Line) => Promise<Value>,
): Promise<Value> {
  const line = await openLine({ bitsPerSecond: mbit * 1e6, delayMs: roundTripMs / 2, queueBytes: 256 * 1024 });
  try {
    return await use(line);
  } finally {
    await line.close();
  }
}

/** What a move is given besides who moves. */
export interface MoveContext {
  readonly folder: string;
  readonly artefacts: GuestArtefacts;
  readonly line: Line;
  readonly log: (message: string) => void;
}

/** Rounds in which every subject moves once, each in a fresh folder; every subject's moves in the order of the rounds. */
export async function takeTurns<Name extends string>(
  rounds: number,
  { folder, artefacts, line, log }: MoveContext,
  subjects: Readonly<Record<Name, (options: Omit<MoveOptions, 'writesKib'>) => Promise<Move>>>,
): Promise<Record<Name, Move[]>> {
  const names = Object.keys(subjects) as Name[];
  const moves = Object.fromEntries(names.map((name) => [name, [] as Move[]])) as Record<Name, Move[]>;
  let crashes = 0;
  for (let round = 0; round < rounds; round++) {
    for (let turn = 0; turn < names.length; turn++) {
      const name = names[(round + turn) % names.length] as Name;
      const own = join(folder, `move-${round}-${turn}`);
      await mkdir(own);
      const say = (text: string): void => log(`${name}: ${text}`);
      const crashed = async (error: unknown): Promise<null> => {
        if (++crashes > CRASHES_BORNE || !(await guestCrashed(own))) throw error;
        say(`the guest's kernel crashed after the move, which is made again (${crashes})`);
        return null;
      };
      const move = await subjects[name]({ folder: own, line, artefacts, log: say }).catch(crashed);
      if (move === null) turn--;
      else moves[name].push(move);
      await rm(own, { recursive: true, force: true });
    }
  }
  return moves;
}

/** One figure of all moves of a subject. */
export function seriesOf(
  subject: string,
  moves: readonly Move[],
  measure: string,
  unit: string,
  value: (move: Move) => number,
): Series {
  return { subject, measure, unit, values: moves.map(value) };
}

/** The figures that every row of this kind shows. */
export function commonSeries(moves: Readonly<Record<string, readonly Move[]>>): Series[] {
  const all = Object.entries(moves);
  const ended = all
    .map(([name, list]) => [name, list.filter((move) => move.ended)] as const)
    .filter(([, list]) => list.length > 0);
  return [
    ...all.map(([name, list]) => seriesOf(name, list, 'whole move', 's', ({ totalMs }) => totalMs / 1000)),
    ...all.map(([name, list]) => seriesOf(name, list, 'bytes on the line', 'MB', ({ wireBytes }) => wireBytes / 1e6)),
    ...ended.map(([name, list]) => seriesOf(name, list, 'STOP to RESUME', 'ms', (move) => move.stopToResumeMs)),
    ...all.map(([name, list]) => seriesOf(name, list, 'longest silence of the ticker', 'ms', ({ gapMs }) => gapMs)),
  ];
}

export const MOVE_CHECKS = [
  'after each move the guest read back, past its cache, the file that it had written and fsynced before it',
];
export const MOVE_NOTES = [
  "No compressor gains on the disk's content.",
  'The line is modelled (a FIFO with serialisation time, delay and tail drop between two network namespaces); TCP over it is real. Bytes are those of its IP packets, both directions.',
  'The guest is real and runs without hardware acceleration on the same two cores as everything else. Its ticker sleeps 10 ms between ticks; silences are measured where the ticks arrive.',
  'An emulating QEMU before 9.0 can lose changes of the memory that it copies, whoever moves the disk, and then the guest crashes (docs/MIGRATION.md). A move after which its kernel panicked is made again.',
];
