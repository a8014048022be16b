/**
 * What a bench leaves behind when it ends without having cleaned up: namespaces, processes, temporary folders.
 *
 * An interrupt has all of it removed by the process itself; of one that was killed the next bench removes it, told by the id of
 * the process in names and in the environment of what it started. What belongs to a process that runs is left alone.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import os from 'node:os';
import { join } from 'node:path';
import { isAlive, removeLeftLines, removeOwnLines } from '../link/link.ts';
import { endForGood } from '../programs.ts';

/** In the environment of every process that a bench starts: its own process id. */
const MARK = 'DISKSWARM_BENCH';
const NAME = /^dsbench-(\d+)-/;

/** How temporary folders of this process begin. */
export const RUN_FOLDER = `dsbench-${process.pid}-`;

/** Removes what benches that do not run any more have left; from now on what this process starts is told by its mark. */
export async function removeLeftOvers(): Promise<void> {
  process.env[MARK] = String(process.pid);
  removeLeftLines();
  for (const pid of leftProcesses()) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It ended by itself.
    }
  }
  await removeFolders((pid) => pid !== process.pid && !isAlive(pid));
}

/** Ends everything that this process started and removes it, for good: nothing can be started any more. */
export async function endOwn(): Promise<void> {
  await endForGood();
  removeOwnLines();
  await removeFolders((pid) => pid === process.pid);
}

/** Processes of benches that do not run any more. */
function leftProcesses(): readonly number[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.map(Number).filter((pid) => {
    const owner = ownerOf(pid);
    return owner !== null && owner !== process.pid && !isAlive(owner);
  });
}

/** The bench that started a process; null for others. */
function ownerOf(pid: number): number | null {
  let environment = '';
  try {
    environment = readFileSync(`/proc/${pid}/environ`, 'latin1');
  } catch {
    // It ended, or belongs to somebody else.
  }
  const found = new RegExp(`(?:^|\\0)${MARK}=(\\d+)(?:\\0|$)`).exec(environment)?.[1];
  return found === undefined ? null : Number(found);
}

async function removeFolders(isLeft: (pid: number) => boolean): Promise<void> {
  for (const name of await readdir(os.tmpdir())) {
    const pid = NAME.exec(name)?.[1];
    if (pid !== undefined && isLeft(Number(pid))) await rm(join(os.tmpdir(), name), { recursive: true, force: true });
  }
}
