/** Carries out one planned run: its line, its guest, its system, its workload; nothing of it lives on. */
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { messageOf } from '@diskswarm/core';
import type { GuestArtefacts } from '@diskswarm/guest';
import type { Experiment } from '../experiment/experiment.ts';
import type { PlannedRun } from '../experiment/plan.ts';
import { diskComplaint, guestCrashed } from '../hosts/guest-crash.ts';
import type { RecordEvent } from '../hosts/measure-move.ts';
import { type Line, openLine } from '../link/link.ts';
import { endAll, pause } from '../programs.ts';
import { SYSTEMS } from '../systems/index.ts';
import { RUN_FOLDER } from './left-overs.ts';

/** What waits at the slower end of a line: a fifth of a second, as routers have it, and some packets at least. */
const QUEUE_SECONDS = 0.2;
const LEAST_QUEUE_BYTES = 64 * 1024;
const MOST_QUEUE_BYTES = 4 * 2 ** 20;
const INTERRUPT_MS = 500;
/** Where this clone is, without a slash at its end. */
const PROJECT = fileURLToPath(new URL('../../../..', import.meta.url)).replace(/\/$/, '');

/** What became of a run; one whose guest's kernel crashed is to be done again. */
export type RunEnd = 'done' | 'broken' | 'crashed';

/** Does it, and records its end: `moved`, `booted` or `roamed`, or `broken` with the reason. Rejects only when it was interrupted. */
export async function runOne(
  experiment: Experiment,
  run: PlannedRun,
  artefacts: GuestArtefacts | null,
  {
    trace,
    record,
    log,
    signal,
  }: { trace: string | null; record: RecordEvent; log: (message: string) => void; signal: AbortSignal },
): Promise<RunEnd> {
  const system = SYSTEMS.find(({ name }) => name === run.system)!;
  const folder = await mkdtemp(join(os.tmpdir(), RUN_FOLDER));
  let line: Line | null = null;
  try {
    line = await openRunLine(run, record);
    const context = { experiment, run, trace, folder, line, record, log };
    if (system.kind === 'roam') await system.run(context);
    else await system.run({ ...context, artefacts: artefacts! });
    const complaint = await diskComplaint(folder);
    if (complaint !== null) throw new Error(`the guest complains of its disk: ${complaint}`);
    return 'done';
  } catch (error) {
    // A terminal interrupts all processes at once, and those of the run may end before this one has heard of it.
    await pause(INTERRUPT_MS);
    if (signal.aborted) throw error;
    log(`failed: ${messageOf(error)}`);
    record('broken', performance.now(), { reason: withoutPlaces(messageOf(error), folder) });
    return (await guestCrashed(folder)) ? 'crashed' : 'broken';
  } finally {
    await line?.close();
    await endAll();
    await rm(folder, { recursive: true, force: true });
  }
}

/** Reasons go into reports that travel; where things are on this machine does not. */
export function withoutPlaces(text: string, folder: string): string {
  const places = [
    [folder, 'RUN'],
    [PROJECT, 'DISKSWARM'],
    [os.homedir(), '~'],
  ] as const;
  // The innermost first, and none that another folder's name only begins with.
  const inward = places.toSorted(([left], [right]) => right.length - left.length);
  return inward.reduce(
    (rest, [place, name]) =>
      rest.split(place).reduce((before, after) => {
        return `${before}${/^[\w.-]/.test(after) ? place : name}${after}`;
      }),
    text,
  );
}

function openRunLine({ link: { there, back }, seed }: PlannedRun, record: RecordEvent): Promise<Line> {
  const queueBytes = Math.round((there.bitsPerSecond / 8) * QUEUE_SECONDS);
  return openLine({
    ...there,
    queueBytes: Math.min(MOST_QUEUE_BYTES, Math.max(LEAST_QUEUE_BYTES, queueBytes)),
    back,
    seed,
    ethernet: true,
    onBytes: (near, far, lateMs) => record('line', performance.now(), { near, far, lateMs }),
  });
}
