/**
 * Which run of the machine this is: it tells a process that died from a machine that did.
 *
 * The page cache outlives a process, not a boot. Where the system has no such identity every run counts as the same one:
 * then what was written but not flushed is believed after a power cut, as a plain file would be.
 */
import fs from 'node:fs';

const BOOT_ID_PATH = '/proc/sys/kernel/random/boot_id';

/** A text that changes with every boot (Linux), or the same text always. */
export async function readBootId(): Promise<string> {
  try {
    return (await fs.promises.readFile(BOOT_ID_PATH, 'latin1')).trim();
  } catch {
    return 'unknown boot';
  }
}
