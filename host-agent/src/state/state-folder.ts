/**
 * Opening a state folder: made private, checked for its version, held by one agent at a time.
 *
 * Order on a new folder: make it, lock it, write the version. A folder that holds other things and no version is not
 * taken over, so a mistyped --state cannot turn a home folder into one. What lies inside is left to the agent.
 */
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { DiskswarmError, messageOf } from '@diskswarm/core';
import { takeAgentLock } from './agent-lock.ts';
import {
  CONTROL_SOCKET,
  DISKS_FOLDER,
  LOCK_PREFIX,
  SOCKETS_FOLDER,
  STATE_FORMAT,
  STORE_FOLDER,
  VERSION_FILE,
} from './layout.ts';
import { findSocket } from './socket-place.ts';

/** A state folder that this process holds. */
export interface StateFolder {
  /** Absolute. */
  readonly dir: string;
  /** Lets the next agent in. Idempotent. */
  release(): void;
}

const ANSWER_TIMEOUT_MS = 2000;

/**
 * Opens `dir` (made when missing) for one agent.
 *
 * Errors: AGENT_ALREADY_RUNNING with `data.pid`, STATE_VERSION for a folder of another version, INVALID_ARGUMENT for a
 * folder that holds other things, WRITE_FAILED when it cannot be made.
 */
export async function openStateFolder(dir: string): Promise<StateFolder> {
  const folder = path.resolve(dir);
  try {
    makeFolder(folder);
    const version = readVersion(folder);
    if (version === null) refuseStrangers(folder);
    fs.chmodSync(folder, 0o700);
    const lock = await takeAgentLock(folder, () => answers(folder));
    try {
      // Again: another agent may have made the folder its own before the lock was taken.
      if (readVersion(folder) === null) writeVersion(folder);
      for (const name of [STORE_FOLDER, DISKS_FOLDER, SOCKETS_FOLDER]) {
        fs.mkdirSync(path.join(folder, name), { recursive: true, mode: 0o700 });
      }
    } catch (error) {
      lock.release();
      throw error;
    }
    return { dir: folder, release: lock.release };
  } catch (error) {
    if (error instanceof DiskswarmError) throw error;
    const full = ['ENOSPC', 'EDQUOT'].includes((error as NodeJS.ErrnoException).code ?? '');
    throw new DiskswarmError(full ? 'DISK_FULL' : 'WRITE_FAILED', `the state folder ${folder}: ${messageOf(error)}`, {
      data: { folder },
      cause: error,
    });
  }
}

/** With its parents, one at a time: where one exists and takes no folders (in /proc), Node's own recursion does not end. */
function makeFolder(folder: string): void {
  const isFolder = (): boolean => fs.statSync(folder, { throwIfNoEntry: false })?.isDirectory() === true;
  if (isFolder()) return;
  const parent = path.dirname(folder);
  if (parent !== folder) makeFolder(parent);
  try {
    fs.mkdirSync(folder, { mode: 0o700 });
  } catch (error) {
    if (!isFolder()) throw error;
  }
}

/** The version of the folder, null when it has none; STATE_VERSION unless it is the one this program writes. */
export function readVersion(folder: string): number | null {
  let text: string;
  try {
    text = fs.readFileSync(path.join(folder, VERSION_FILE), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
  if (text === `${STATE_FORMAT}\n`) return STATE_FORMAT;
  const found = /^\d{1,9}\n$/.test(text) ? Number(text) : null;
  const newer = found !== null && found > STATE_FORMAT ? ' by a newer diskswarm' : '';
  throw new DiskswarmError(
    'STATE_VERSION',
    `${folder} was written${newer} in version ${found ?? 'unknown'}; this diskswarm reads version ${STATE_FORMAT}`,
    { data: { folder, found, supported: STATE_FORMAT } },
  );
}

function writeVersion(folder: string): void {
  const draft = path.join(folder, `${VERSION_FILE}.new`);
  const fd = fs.openSync(draft, 'w', 0o600);
  try {
    fs.writeSync(fd, `${STATE_FORMAT}\n`);
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
  fs.renameSync(draft, path.join(folder, VERSION_FILE));
  const parent = fs.openSync(folder, 'r');
  try {
    fs.fsyncSync(parent);
  } finally {
    fs.closeSync(parent);
  }
}

function refuseStrangers(folder: string): void {
  const strangers = fs
    .readdirSync(folder)
    .filter((name) => !name.startsWith(LOCK_PREFIX) && !name.startsWith(VERSION_FILE));
  // They are another agent's where that wrote its version, which comes before anything else, since it was looked for.
  if (strangers.length === 0 || readVersion(folder) !== null) return;
  throw new DiskswarmError(
    'INVALID_ARGUMENT',
    `${folder} is no state folder: it holds other things. Choose an empty or new one with --state`,
    {
      data: { folder, field: 'state' },
    },
  );
}

/** Whether something accepts connections on the folder's control socket. */
function answers(folder: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(findSocket(path.join(folder, CONTROL_SOCKET)));
    const end = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(ANSWER_TIMEOUT_MS, () => end(true));
    socket.on('connect', () => end(true));
    socket.on('error', () => end(false));
  });
}
