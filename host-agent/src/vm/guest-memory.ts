/**
 * How much of a guest's memory is in use: what QEMU's process holds of the mapping that is the guest's RAM, as the kernel counts it.
 *
 * A page that the guest never touched is not there, and travels as a few bytes. Pure but for one file of /proc; null where there is no such file, or
 * nothing in it looks like the guest's RAM.
 */
import { readFile } from 'node:fs/promises';
import { livenessOf, type ProcessIdentity } from '../state/process-identity.ts';

/** Bytes in use of the `memoryBytes` of the machine that this process runs; null where that cannot be known. */
export async function guestMemoryInUse(identity: ProcessIdentity, memoryBytes: number): Promise<number | null> {
  if (livenessOf(identity) !== 'alive') return null;
  try {
    return residentOf(await readFile(`/proc/${identity.pid}/smaps`, 'latin1'), memoryBytes);
  } catch {
    return null; // No /proc, or a process of somebody else.
  }
}

/** The resident part of the mapping that fits the RAM best: the smallest that can hold it. The text is that of /proc/PID/smaps. */
export function residentOf(smaps: string, memoryBytes: number): number | null {
  let best: { sizeBytes: number; residentBytes: number } | null = null;
  let sizeBytes = 0;
  for (const line of smaps.split('\n')) {
    const [, name, kib] = /^(Size|Rss):\s+(\d+) kB$/.exec(line) ?? [];
    if (name === 'Size') sizeBytes = Number(kib) * 1024;
    else if (name === 'Rss' && sizeBytes >= memoryBytes && (best === null || sizeBytes < best.sizeBytes))
      best = { sizeBytes, residentBytes: Number(kib) * 1024 };
  }
  return best === null ? null : Math.min(best.residentBytes, memoryBytes);
}
