/**
 * Where a host's state and a person's key lie unless told otherwise: the XDG folders.
 *
 * The owner file never lies inside a state folder: a host that is copied, lent or stolen must not carry it along.
 */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { DiskswarmError } from '@diskswarm/core';
import { HOST_KEYS_FILE, VERSION_FILE } from '../state/layout.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** --state, DISKSWARM_STATE, or the user's state folder; absolute. */
export function stateFolder(option: string | undefined, env: Environment): string {
  const standard = path.join(env.XDG_STATE_HOME || path.join(os.homedir(), '.local', 'state'), 'diskswarm');
  return path.resolve(option || env.DISKSWARM_STATE || standard);
}

/** --owner-file, DISKSWARM_OWNER, or the user's configuration folder; absolute. */
export function ownerFile(option: string | undefined, env: Environment): string {
  const standard = path.join(env.XDG_CONFIG_HOME || path.join(os.homedir(), '.config'), 'diskswarm', 'owner.key');
  return path.resolve(option || env.DISKSWARM_OWNER || standard);
}

/** INVALID_ARGUMENT when `file` lies in `stateDir` or in any other state folder. */
export function refuseInsideState(file: string, stateDir: string): void {
  const state = realOf(stateDir);
  for (let folder = realOf(path.dirname(file)); ; folder = path.dirname(folder)) {
    const isState = fs.existsSync(path.join(folder, VERSION_FILE)) && fs.existsSync(path.join(folder, HOST_KEYS_FILE));
    if (folder === state || isState) {
      throw new DiskswarmError(
        'INVALID_ARGUMENT',
        `${file} lies in the state folder ${folder}: keep the owner's key outside of it`,
        {
          data: { field: 'owner-file', folder },
        },
      );
    }
    if (folder === path.dirname(folder)) return;
  }
}

/** The folder without links, as far as it exists. */
function realOf(folder: string): string {
  try {
    return fs.realpathSync(folder);
  } catch {
    const parent = path.dirname(folder);
    return parent === folder ? folder : path.join(realOf(parent), path.basename(folder));
  }
}
