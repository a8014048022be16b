/**
 * The folder in which a tracker keeps what it knows: made where it is missing, and held by one tracker at a time.
 */
import fs from 'node:fs';
import path from 'node:path';
import { DiskswarmError, messageOf, type Storage } from '@diskswarm/core';
import { FolderStorage } from '@diskswarm/core/system';
import { takeAgentLock } from '../state/agent-lock.ts';

/** A folder that is held. */
export interface TrackerStore {
  readonly storage: Storage;
  /** Lets the next tracker in. Idempotent. */
  release(): void;
}

/** What --store takes: a folder. INVALID_ARGUMENT for a URL. */
export function parseStore(text: string): string {
  if (text !== '' && !text.includes('://')) return text;
  throw new DiskswarmError('INVALID_ARGUMENT', `store: "${text.slice(0, 80)}" is not a folder`, {
    data: { field: 'store' },
  });
}

/** Takes the folder; AGENT_ALREADY_RUNNING with `data.pid` when another tracker has it, WRITE_FAILED when it cannot be made. */
export async function openTrackerStore(folder: string): Promise<TrackerStore> {
  const root = path.resolve(folder);
  try {
    fs.mkdirSync(root, { recursive: true, mode: 0o700 });
    const lock = await takeAgentLock(root, async () => false);
    return { storage: new FolderStorage(root), release: lock.release };
  } catch (error) {
    if (error instanceof DiskswarmError) throw error;
    throw new DiskswarmError('WRITE_FAILED', `the folder ${root}: ${messageOf(error)}`, {
      data: { path: root },
      cause: error,
    });
  }
}
