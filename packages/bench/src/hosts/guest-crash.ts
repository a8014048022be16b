/**
 * Whether a guest's kernel crashed, or complained of its disk: consoles are in files of the folder of a move.
 *
 * An emulating QEMU before 9.0 can lose changes of the memory that it copies, whoever moves the disk (docs/MIGRATION.md); the
 * kernel then runs into what is not as it left it. Such a move says nothing about disks and is made again.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** How often one move, or the moves of one row, are made again. */
export const CRASHES_BORNE = 5;

/** What a kernel says of a disk that fails it, or on which it does not find what it wrote. */
const DISK_COMPLAINT = /^.*(?:I\/O error, dev vd|EXT4-fs error|Buffer I\/O error).*$/m;

/** True when a console in `folder` ends in a panic. */
export async function guestCrashed(folder: string): Promise<boolean> {
  return (await consoles(folder)).some((text) => text.includes('Kernel panic'));
}

/** The first complaint of a guest about its disk; null when there is none. */
export async function diskComplaint(folder: string): Promise<string | null> {
  for (const text of await consoles(folder)) {
    const found = DISK_COMPLAINT.exec(text)?.[0].trim();
    if (found !== undefined) return found;
  }
  return null;
}

async function consoles(folder: string): Promise<readonly string[]> {
  const files = (await readdir(folder, { recursive: true })).filter((path) => path.endsWith('console.log'));
  return Promise.all(files.map((path) => readFile(join(folder, path), 'latin1').catch(() => '')));
}
