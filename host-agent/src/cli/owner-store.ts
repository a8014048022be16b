/**
 * The owner's key file on disk: read, made, backed up, never overwritten.
 *
 * A new file appears under its name complete and synced or not at all (`link` refuses an existing one). The everyday file is
 * replaced in one case only: once a backup holds the recovery key and is durable, the everyday file gives it up.
 */
import fs from 'node:fs';
import path from 'node:path';
import { DiskswarmError, messageOf } from '@diskswarm/core';
import { systemRandom } from '@diskswarm/core/system';
import { decodeOwnerFile, encodeOwnerFile, type Owner, withoutRecovery } from '@diskswarm/identity';
import type { CommandContext } from './context.ts';
import { readPassphrase } from './passphrase.ts';
import { refuseInsideState } from './places.ts';

const MAX_BYTES = 4096;

/** Opens the owner's key with the passphrase: OWNER_FILE_MISSING, PASSPHRASE_WRONG, FORMAT_INVALID. */
export async function openOwner(context: CommandContext): Promise<Owner> {
  refuseInsideState(context.ownerFile, context.stateDir);
  const bytes = readOwnerBytes(context.ownerFile);
  return decodeOwnerFile(bytes, await readPassphrase(context, { twice: false }));
}

/** Makes the owner file; OWNER_FILE_EXISTS when there is one. */
export function writeNewOwner(file: string, owner: Owner, passphrase: string): void {
  writeNewFile(file, encodeOwnerFile(owner, passphrase, systemRandom));
}

/** Replaces the everyday file by one without the recovery key, which a durable backup holds. */
export function dropRecovery(file: string, owner: Owner, passphrase: string): void {
  const draft = writeDraft(file, encodeOwnerFile(withoutRecovery(owner), passphrase, systemRandom));
  fs.renameSync(draft, file);
  syncFolder(path.dirname(file));
}

/** OWNER_FILE_EXISTS when something has this name. */
export function refuseExisting(file: string): void {
  if (fs.lstatSync(file, { throwIfNoEntry: false }) !== undefined) throw exists(file);
}

/** The bytes of an owner file or backup, bounded; OWNER_FILE_MISSING. */
export function readOwnerBytes(file: string): Uint8Array {
  let fd: number;
  try {
    fd = fs.openSync(file, 'r');
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    const why = missing ? `${file} does not exist; make it with: diskswarm owner init` : messageOf(error);
    throw new DiskswarmError(missing ? 'OWNER_FILE_MISSING' : 'READ_FAILED', why, {
      data: { path: file },
      cause: error,
    });
  }
  try {
    const bytes = new Uint8Array(MAX_BYTES + 1);
    return bytes.subarray(0, fs.readSync(fd, bytes, 0, bytes.length, 0));
  } catch (error) {
    throw new DiskswarmError('READ_FAILED', `${file}: ${messageOf(error)}`, { data: { path: file }, cause: error });
  } finally {
    fs.closeSync(fd);
  }
}

function writeNewFile(file: string, bytes: Uint8Array): void {
  try {
    fs.mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
    const draft = writeDraft(file, bytes);
    try {
      fs.linkSync(draft, file);
    } finally {
      fs.rmSync(draft, { force: true });
    }
    syncFolder(path.dirname(file));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') throw exists(file);
    throw new DiskswarmError('WRITE_FAILED', `${file}: ${messageOf(error)}`, { data: { path: file }, cause: error });
  }
}

/** A synced file beside `file`, 0600. */
function writeDraft(file: string, bytes: Uint8Array): string {
  const draft = `${file}.new-${process.pid}`;
  const fd = fs.openSync(draft, 'wx', 0o600);
  try {
    fs.writeSync(fd, bytes);
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
  return draft;
}

function syncFolder(folder: string): void {
  const fd = fs.openSync(folder, 'r');
  try {
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
}

function exists(file: string): DiskswarmError {
  return new DiskswarmError('OWNER_FILE_EXISTS', `${file} exists; it is never overwritten`, { data: { path: file } });
}
