/**
 * Files as the rest sees them: rooted at one folder, relative paths with `/`, no links, no `..`.
 *
 * Everything durable goes through this interface, so that lost writes, torn writes, EIO and ENOSPC can be
 * simulated on the shipped code. Errors: DISK_FULL for ENOSPC and EDQUOT, READ_FAILED and WRITE_FAILED for the rest,
 * always with `data.path`. What survives a power cut: file content after `sync()`, names after `syncFolder()`.
 */
import { DiskswarmError } from './errors.ts';

/** How a file is opened. `create` makes it when missing and never truncates; `create-new` fails when it exists. */
export type OpenMode = 'read' | 'write' | 'create' | 'create-new';

export interface StorageFile {
  readonly path: string;
  /** Reads into `into` at `positionBytes`; returns the bytes read, short only at the end of the file. */
  readSync(into: Uint8Array, positionBytes: number): number;
  read(into: Uint8Array, positionBytes: number): Promise<number>;
  /** Writes all of `data` or throws. */
  writeSync(data: Uint8Array, positionBytes: number): void;
  /** Writes all views one after the other, or rejects. The views may not change until it settles. */
  write(data: readonly Uint8Array[], positionBytes: number): Promise<void>;
  /** Makes the content durable (fdatasync). After a failure the file must be reopened; a retry proves nothing. */
  sync(): Promise<void>;
  sizeBytes(): number;
  truncate(sizeBytes: number): Promise<void>;
  /** Idempotent. */
  close(): Promise<void>;
}

export interface Storage {
  open(path: string, mode: OpenMode): Promise<StorageFile>;
  /** Size of a file, or null when there is none. */
  stat(path: string): Promise<{ readonly sizeBytes: number } | null>;
  /** Names in a folder (not paths), sorted; an absent folder is empty. */
  list(folder: string): Promise<string[]>;
  /** Makes the folder and its parents. */
  makeFolder(folder: string): Promise<void>;
  /** Atomic replacement; both paths lie in this storage. */
  rename(from: string, to: string): Promise<void>;
  /** Removes a file; an absent one is fine. */
  remove(path: string): Promise<void>;
  /** Removes an empty folder; an absent one is fine. */
  removeFolder(folder: string): Promise<void>;
  /** Makes creations, renames and removals in the folder durable. */
  syncFolder(folder: string): Promise<void>;
  /** Bytes that a write may still use. */
  freeBytes(): Promise<number>;
}

/** The whole of a file of at most `maxBytes`, or null when there is none. */
export async function readWhole(storage: Storage, path: string, maxBytes: number): Promise<Uint8Array | null> {
  const stat = await storage.stat(path);
  if (stat === null) return null;
  if (stat.sizeBytes > maxBytes)
    throw new DiskswarmError('LIMIT_EXCEEDED', `${path} is larger than ${maxBytes} bytes`, {
      data: { path, maxBytes },
    });
  const file = await storage.open(path, 'read');
  try {
    const bytes = new Uint8Array(stat.sizeBytes);
    const count = await file.read(bytes, 0);
    return bytes.subarray(0, count);
  } finally {
    await file.close();
  }
}

/** Replaces a file so that a crash leaves the old or the new content: write beside, sync, rename, sync the folder. */
export async function writeAtomically(storage: Storage, path: string, bytes: Uint8Array): Promise<void> {
  const beside = `${path}.new`;
  await storage.remove(beside);
  const file = await storage.open(beside, 'create-new');
  try {
    await file.write([bytes], 0);
    await file.sync();
  } finally {
    await file.close();
  }
  await storage.rename(beside, path);
  await storage.syncFolder(folderOf(path));
}

/** Makes a folder and its parents, and makes their names durable: what is synced inside survives a power cut only with them. */
export async function makeDurableFolder(storage: Storage, folder: string): Promise<void> {
  await storage.makeFolder(folder);
  for (let parent = folder; parent !== ''; ) {
    parent = folderOf(parent);
    await storage.syncFolder(parent);
  }
}

/** The folder part of a storage path; '' for the root. */
export function folderOf(path: string): string {
  const slash = path.lastIndexOf('/');
  return slash < 0 ? '' : path.slice(0, slash);
}
