/**
 * Records the boot of a guest from a disk that answers at once, for the models that replay it: the reads below the throw-away layer that
 * takes the guest's writes, which is what an agent or an NBD server would be asked.
 */
import { existsSync } from 'node:fs';
import { open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { bootGuest, type GuestArtefacts } from '@diskswarm/guest';
import { serve } from '../programs.ts';
import { requestsOfLog } from '../traces/nbdkit-log.ts';
import { type BootTrace, bootOf } from './boot-trace.ts';

const CHUNK_BYTES = 65_536;

export interface RecordOptions {
  readonly artefacts: GuestArtefacts;
  readonly memoryMib: number;
  /** For its files; the caller removes it. */
  readonly folder: string;
  readonly timeoutMs: number;
}

/** Rejects when the guest does not come up in time. */
export async function recordBoot({ artefacts, memoryMib, folder, timeoutMs }: RecordOptions): Promise<BootTrace> {
  const { kernel, initramfs, rootImage } = artefacts;
  const [socket, logFile] = [join(folder, 'recorded.sock'), join(folder, 'reads.log')];
  const filters = ['--filter=cow', '--filter=log', 'file', rootImage, `logfile=${logFile}`];
  const command = ['nbdkit', '--foreground', '--unix', socket, ...filters];
  const server = await serve(command, async () => existsSync(socket));
  // QEMU connects as soon as it runs, and the log counts from there.
  const startMs = performance.now();
  const guest = bootGuest({
    disk: { nbdUri: `nbd+unix:///?socket=${socket}` },
    kernel,
    initramfs,
    memoryMiB: memoryMib,
  });
  let loginUs: number;
  try {
    await guest.ready({ timeoutMs });
    loginUs = (performance.now() - startMs) * 1000;
  } finally {
    await guest.stop();
    await server.stop();
  }
  const requests = requestsOfLog(await readFile(logFile, 'utf8'));
  return bootOf(requests, { chunkBytes: CHUNK_BYTES, present: await presentPieces(rootImage), loginUs });
}

/** Chunks that are not all zeros. */
async function presentPieces(image: string): Promise<readonly number[]> {
  const zeros = Buffer.alloc(CHUNK_BYTES);
  const chunk = Buffer.alloc(CHUNK_BYTES);
  const present: number[] = [];
  const file = await open(image);
  try {
    for (let piece = 0; ; piece++) {
      const { bytesRead } = await file.read(chunk, 0, CHUNK_BYTES, piece * CHUNK_BYTES);
      if (bytesRead === 0) return present;
      if (!chunk.subarray(0, bytesRead).equals(zeros.subarray(0, bytesRead))) present.push(piece);
    }
  } finally {
    await file.close();
  }
}
