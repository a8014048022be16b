/**
 * Runs one row in a folder of its own and cleans up behind it: processes by pid, then files. Tells where and with what it ran.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { describeMachine, load } from './machine.ts';
import { endAll, findProgram } from './programs.ts';
import type { RowFacts } from './report/row-record.ts';
import type { Row, RowResult } from './row.ts';
import { RUN_FOLDER } from './run/left-overs.ts';
import { ownVersions, programVersions } from './run/versions.ts';

/** What a row needs and this machine or user lacks; empty when it can run. */
export function lacking(row: Row): string[] {
  const missing = row.programs.filter((program) => findProgram(program) === undefined);
  if (row.needsRoot && process.getuid?.() !== 0) missing.push('root');
  return missing;
}

/** Runs it. Nothing it started lives on afterwards. */
export async function runRow(
  row: Row,
  options: { smoke: boolean; rounds: number | null; log: (message: string) => void },
): Promise<RowResult> {
  const folder = await mkdtemp(path.join(os.tmpdir(), RUN_FOLDER));
  try {
    const rounds = options.smoke ? 1 : (options.rounds ?? row.rounds);
    return await row.run({ folder, smoke: options.smoke, rounds, log: options.log });
  } finally {
    await endAll();
    await rm(folder, { recursive: true, force: true });
  }
}

/** Of a row that ran just now. */
export async function factsOf({ programs }: Row): Promise<RowFacts> {
  const loadNow = load();
  const versions = { ...(await ownVersions()), ...(await programVersions(programs)) };
  return {
    ...{ measuredAt: `${new Date().toISOString().slice(0, 16)}Z`, machine: describeMachine() },
    ...{ load: loadNow, versions },
  };
}
