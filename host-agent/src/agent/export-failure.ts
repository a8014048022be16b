/**
 * What becomes of an export that failed: storage may have lost what was acknowledged, a thread that ended lost nothing.
 */
import { hasCode } from '@diskswarm/core';
import type { Log } from './environment.ts';
import type { ManagedDisk } from './managed-disk.ts';

/** Gives the export up, or opens it again as if the agent had been killed, unless the disk is being closed. */
export async function putExportInOrder(
  error: Error,
  { disk, name, attachment }: Pick<ManagedDisk, 'disk' | 'name' | 'attachment'>,
  log: Log,
  isClosing: () => boolean,
): Promise<void> {
  if (!hasCode(error, 'WRITE_FAILED')) {
    await attachment.suspend();
    if (!isClosing()) await attachment.reattach({ sameRun: true });
    return;
  }
  await attachment.giveUp();
  log.warn(
    { disk },
    `disk "${name}" is detached, with everything that was flushed: shut its virtual machine down, check the state folder's disk, then attach it again`,
  );
}
