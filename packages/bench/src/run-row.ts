/**
 * Runs one row in a folder of its own and cleans up behind it: processes by pid, then files.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { endAll, findProgram } from './programs.ts';
import type { Row, RowResult } from './row.ts';

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
  const folder = await mkdtemp(path.join(os.tmpdir(), 'dsbench-'));
  try {
    const rounds = options.smoke ? 1 : (options.rounds ?? row.rounds);
    return await row.run({ folder, smoke: options.smoke, rounds, log: options.log });
  } finally {
    await endAll();
    await rm(folder, { recursive: true, force: true });
  }
}
