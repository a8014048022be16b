/**
 * A machine that goes back and forth between two hosts for days, measured in the same way whoever brings its disk.
 *
 * No guest runs: a model says what is written between two moves, and it is written to the disk as the host has it that is in use. After
 * each move the whole disk of the host that was reached is compared with the disk as it has to be.
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { check } from '../row.ts';
import type { RoamContext } from '../systems/system.ts';
import { type Change, DeskModel, type Place, staysOf } from '../workloads/desk-week.ts';
import { deskLoadOf } from '../workloads/roam.ts';
import { bytesOn, within } from './measure-move.ts';
import { type ChangedBlocks, ReferenceDisk } from './reference-disk.ts';

/** What a system has of its own to say of a move. */
export interface Brought {
  /** When the disk could be used, on this process's clock; left out where it was not really moved. */
  readonly readyMs?: number;
  /** What it would have sent, where it was not really moved. */
  readonly modelledBytes?: number;
  /** For the raw events. */
  readonly facts?: Readonly<Record<string, unknown>>;
}

/** The two hosts of a system, both of which have the disk as it is at first; the office's is in use. */
export interface RoamBed {
  /** Makes changes, which the reference has already, on the host that is in use. */
  change(changes: readonly Change[]): Promise<void>;
  /** The machine is shut down: brings all that changed to the other host. */
  move(to: Place, changed: ChangedBlocks): Promise<Brought>;
  /** A file with what the host in use has, its own or made in `scratch`; absent where nothing was really moved. */
  content?(scratch: string): Promise<string>;
}

/** Goes through all days of the workload and records `roamed`. Rejects when a host has other content than it should. */
export async function measureRoam(
  context: RoamContext,
  open: (reference: ReferenceDisk) => Promise<RoamBed>,
): Promise<void> {
  const { experiment, folder, run, record } = context;
  const { seed } = run;
  const { diskMib, contentMib } = experiment.guest;
  const reference = await ReferenceDisk.make(join(folder, 'reference.raw'), { diskMib, contentMib, seed });
  const model = new DeskModel({ diskMib, contentMib }, deskLoadOf(run.workload.settings), seed);
  const through = (async () => goThrough(context, model, reference, await open(reference)))();
  const whole = through.then(() => true);
  const ended = await within(whole, { limitMs: experiment.limitSeconds * 1000 });
  record('roamed', performance.now(), { ended: ended === true });
}

async function goThrough(
  context: RoamContext,
  model: DeskModel,
  reference: ReferenceDisk,
  bed: RoamBed,
): Promise<void> {
  const { folder, run, line, record, log } = context;
  const scratch = join(folder, 'copy.raw');
  let changed: ChangedBlocks | null = null;
  for (const [index, stay] of staysOf(run.workload.settings.days!).entries()) {
    if (changed !== null) {
      const bytesBefore = await bytesOn(line);
      const startMs = performance.now();
      const { readyMs, modelledBytes, facts } = await bed.move(stay.at, changed);
      const endMs = performance.now();
      const bytes = modelledBytes ?? (await bytesOn(line)) - bytesBefore;
      if (bed.content !== undefined) {
        const file = await bed.content(scratch);
        check(await reference.isLike(file), `on arrival (${stay.name}) the disk has other bytes`);
        await rm(scratch, { force: true });
      }
      const times = readyMs === undefined ? {} : { tookMs: endMs - startMs, readyMs: readyMs - startMs };
      const blocks = { writtenBlocks: changed.written, differingBlocks: changed.differing };
      record('arrived', endMs, { move: index, to: stay.at, stay: stay.name, bytes, ...blocks, ...times, ...facts });
      log(
        `${stay.name}: ${(bytes / 1e6).toFixed(1)} MB for ${(changed.differing * 4096) / 1e6} MB of blocks that differ`,
      );
    }
    const changes = model.changesOf(stay);
    changed = await reference.apply(changes);
    await bed.change(changes);
  }
}
