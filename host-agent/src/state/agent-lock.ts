/**
 * One agent per state folder, without flock: numbered lock files, of which the greatest number counts.
 *
 * Taking a free folder is `link` of a finished file to the next number, which only one contender can do; a dead holder is thus
 * followed, never removed and replaced, so nobody can remove a lock that is not the one it looked at. The greatest number is
 * never unlinked, only overwritten by its own holder to say that it is free. A holder that finds a greater number than its
 * own after linking was late (its number had been used and cleaned up meanwhile) and steps back.
 * SIGKILL leaves a holder that is found dead by its start time; a power cut one of another boot.
 */
import fs from 'node:fs';
import path from 'node:path';
import { DiskswarmError } from '@diskswarm/core';
import { LOCK_PREFIX } from './layout.ts';
import { decodeIdentity, encodeIdentity, livenessOf, ownIdentity } from './process-identity.ts';

const FREE = 'free\n';
const MAX_ATTEMPTS = 100;

/** A folder that is held. */
export interface AgentLock {
  /** Lets the next agent in. Idempotent. */
  release(): void;
}

/**
 * Takes the folder or throws AGENT_ALREADY_RUNNING with `data.pid`.
 *
 * `answers` tells whether an agent answers in the folder: it decides about a holder in another pid namespace.
 */
export async function takeAgentLock(folder: string, answers: () => Promise<boolean>): Promise<AgentLock> {
  const draft = path.join(folder, `${LOCK_PREFIX}.draft-${process.pid}-${++drafts}`);
  fs.writeFileSync(draft, encodeIdentity(ownIdentity()), { mode: 0o600 });
  try {
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const number = greatest(folder);
      if (number > 0) await refuseIfHeld(folder, number, answers);
      const own = number + 1;
      if (!linkNew(draft, lockPath(folder, own))) continue;
      if (greatest(folder) > own) {
        fs.rmSync(lockPath(folder, own), { force: true });
        continue;
      }
      cleanUp(folder, own);
      return { release: releaser(folder, own) };
    }
  } finally {
    fs.rmSync(draft, { force: true });
  }
  throw new DiskswarmError('AGENT_ALREADY_RUNNING', `other agents keep taking ${folder}`, { data: { folder } });
}

let drafts = 0;

function lockPath(folder: string, number: number): string {
  return path.join(folder, `${LOCK_PREFIX}.${number}`);
}

function numbersIn(folder: string): number[] {
  const prefix = `${LOCK_PREFIX}.`;
  const names = fs.readdirSync(folder).filter((name) => name.startsWith(prefix));
  return names
    .map((name) => name.slice(prefix.length))
    .filter((rest) => /^\d{1,15}$/.test(rest))
    .map(Number);
}

/** The greatest number; read until two listings agree, because one alone may miss a name that moved while it was made. */
function greatest(folder: string): number {
  for (let last = -1; ; ) {
    const now = Math.max(0, ...numbersIn(folder));
    if (now === last) return now;
    last = now;
  }
}

async function refuseIfHeld(folder: string, number: number, answers: () => Promise<boolean>): Promise<void> {
  const text = readOrNull(lockPath(folder, number));
  const holder = text === null || text === FREE ? null : decodeIdentity(text);
  if (holder === null) return;
  const liveness = livenessOf(holder);
  if (liveness === 'dead' || (liveness === 'unknowable' && !(await answers()))) return;
  throw new DiskswarmError(
    'AGENT_ALREADY_RUNNING',
    `process ${holder.pid} runs on ${folder} already: end it first, or choose another folder`,
    {
      data: { pid: holder.pid, folder },
    },
  );
}

function linkNew(draft: string, target: string): boolean {
  try {
    fs.linkSync(draft, target);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** Removes what earlier holders and dead contenders left. */
function cleanUp(folder: string, own: number): void {
  for (const number of numbersIn(folder)) {
    if (number < own) fs.rmSync(lockPath(folder, number), { force: true });
  }
  for (const name of fs.readdirSync(folder)) {
    if (!name.startsWith(`${LOCK_PREFIX}.draft-`)) continue;
    const file = path.join(folder, name);
    const contender = decodeIdentity(readOrNull(file) ?? '');
    if (contender !== null && livenessOf(contender) === 'dead') fs.rmSync(file, { force: true });
  }
}

function releaser(folder: string, own: number): () => void {
  let held = true;
  return () => {
    if (!held) return;
    held = false;
    const free = path.join(folder, `${LOCK_PREFIX}.draft-${process.pid}-${++drafts}`);
    try {
      fs.writeFileSync(free, FREE, { mode: 0o600 });
      fs.renameSync(free, lockPath(folder, own));
    } catch (error) {
      // A folder that was removed under the agent needs no release.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  };
}

function readOrNull(file: string): string | null {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}
