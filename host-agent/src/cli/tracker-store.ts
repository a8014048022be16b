/**
 * Where a tracker keeps what it knows: a Redis that it shares, or a folder, made where it is missing and held by one tracker at a time.
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

/** Where a tracker keeps what it knows. */
export type StorePlace = { readonly folder: string } | { readonly redis: string };

/** What --store takes: a folder, or the URL of a Redis. INVALID_ARGUMENT, which never shows a URL: it may have a password. */
export function parseStore(text: string): StorePlace {
  if (text !== '' && !text.includes('://')) return { folder: text };
  if (/^rediss?:\/\//.test(text) && URL.parse(text)?.hostname) return { redis: text };
  const what = text === '' ? 'nothing' : `${text.slice(0, text.indexOf('://')).slice(0, 20)}://…`;
  throw new DiskswarmError('INVALID_ARGUMENT', `store: ${what} is neither a folder nor redis://HOST:PORT`, {
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
