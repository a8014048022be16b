/**
 * Where a Unix socket of a state folder really lies: the kernel cuts socket paths above 107 bytes, so a long one moves to a
 * private folder under the system's temporary folder, and a pointer file beside its place says where.
 *
 * The pointer is trusted because only the user can write in the state folder. A new place replaces what an earlier
 * process left, which is why a place may only be made by the holder of the state folder.
 */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

/** Longest path that reaches the kernel whole (sun_path without its final zero byte). */
export const MAX_SOCKET_PATH_BYTES = 107;

const FOLDER_PREFIX = 'diskswarm-';

/** A place to listen at. */
export interface SocketPlace {
  readonly path: string;
  /** Removes socket, pointer and folder. Idempotent. */
  remove(): void;
}

/** Makes the place for `wanted` (absolute) free and usable; the folder of `wanted` must exist. */
export function placeSocket(wanted: string): SocketPlace {
  clearPlace(wanted);
  if (fits(wanted)) return { path: wanted, remove: () => clearPlace(wanted) };
  const roots = [os.tmpdir(), '/tmp'];
  const root =
    roots.find((folder) => fits(path.join(folder, `${FOLDER_PREFIX}XXXXXX`, path.basename(wanted)))) ?? '/tmp';
  const folder = fs.mkdtempSync(path.join(root, FOLDER_PREFIX));
  const place = path.join(folder, path.basename(wanted));
  fs.writeFileSync(pointerOf(wanted), `${place}\n`, { mode: 0o600 });
  return { path: place, remove: () => clearPlace(wanted) };
}

/** The path under which the socket of `wanted` can be connected to. */
export function findSocket(wanted: string): string {
  return fits(wanted) ? wanted : (readPointer(wanted) ?? wanted);
}

function fits(file: string): boolean {
  return Buffer.byteLength(file) <= MAX_SOCKET_PATH_BYTES;
}

function pointerOf(wanted: string): string {
  return `${wanted}.path`;
}

function readPointer(wanted: string): string | null {
  try {
    return fs.readFileSync(pointerOf(wanted), 'utf8').trim();
  } catch {
    return null;
  }
}

function clearPlace(wanted: string): void {
  fs.rmSync(wanted, { force: true });
  const place = readPointer(wanted);
  if (place === null) return;
  const folder = path.dirname(place);
  // Only ever a folder of the form that placeSocket makes.
  if (path.basename(folder).startsWith(FOLDER_PREFIX) && path.basename(place) === path.basename(wanted)) {
    fs.rmSync(place, { force: true });
    fs.rmSync(folder, { force: true, recursive: true });
  }
  fs.rmSync(pointerOf(wanted), { force: true });
}
