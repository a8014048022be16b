/**
 * Records experiments/desktop.trace: a real guest boots, "starts programs" whose files it has not read before, and writes like a
 * database meanwhile.
 *
 *   node --conditions=source src/traces/record-desktop.ts FILE          records
 *   node --conditions=source src/traces/record-desktop.ts FILE LOG      makes a trace of what nbdkit's log filter wrote elsewhere
 *
 * Which files it reads and how long it pauses follows from a seed; times are those of this machine. The guest's small web server is
 * what reads files on request.
 */
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import os from 'node:os';
import { join } from 'node:path';
import { bootGuest, type GuestArtefacts, prepareGuest } from '@diskswarm/guest';
import { seededNumbers } from '../image.ts';
import { GUEST_ADDRESS } from '../link/link.ts';
import { endAll, pause, serve } from '../programs.ts';
import { requestsOfLog } from './nbdkit-log.ts';
import { formatTrace } from './trace.ts';

const MIB = 2 ** 20;
const SEED = 1;
const DISK_MIB = 96;
const CONTENT_MIB = 64;
const IMAGE = {
  ...{ sizeBytes: DISK_MIB * MIB, contentBytes: CONTENT_MIB * MIB, bootBytes: MIB },
  ...{ incompressible: true, seed: SEED },
};
const MEMORY_MIB = 96;
const DATABASE_MIB = 4;
const PROGRAMS = 4;
/** Of the 16 in a program's folder. */
const FILES_OF_PROGRAM = 8;
const FILES_PER_FOLDER = 16;
/** The content has at least so many files. */
const FOLDERS = 10;
const LEAST_PAUSE_MS = 1000;
const MOST_PAUSE_MS = 3000;

/** Does the session; resolves when the guest is gone. */
async function useDesktop(nbdUri: string, { kernel, initramfs }: GuestArtefacts): Promise<void> {
  const port = await freePort();
  const network = `user,id=net0,net=10.99.0.0/24,hostfwd=tcp:127.0.0.1:${port}-${GUEST_ADDRESS}:80`;
  const guest = bootGuest({
    ...{ disk: { nbdUri }, kernel, initramfs, memoryMiB: MEMORY_MIB },
    qemuArgs: ['-netdev', network, '-device', 'virtio-net-pci,netdev=net0,romfile='],
  });
  try {
    await guest.ready();
    for (const command of [`net ${GUEST_ADDRESS}`, 'web', `bursts ${DATABASE_MIB} ${SEED}`]) {
      const { ok, line } = await guest.command(command);
      if (!ok) throw new Error(line);
    }
    const random = seededNumbers(SEED);
    for (let program = 0; program < PROGRAMS; program++) {
      await pause(LEAST_PAUSE_MS + random(MOST_PAUSE_MS - LEAST_PAUSE_MS));
      const folder = random(FOLDERS);
      for (let read = 0; read < FILES_OF_PROGRAM; read++) {
        const file = folder * FILES_PER_FOLDER + random(FILES_PER_FOLDER);
        const path = `lib/package-${number(folder)}/binary-${number(file)}`;
        const { ok, status } = await answerOf(`http://127.0.0.1:${port}/${path}`);
        if (!ok) throw new Error(`${path}: ${status}`);
      }
    }
    await pause(LEAST_PAUSE_MS);
  } finally {
    await guest.kill();
  }
}

/** With all of what came. */
async function answerOf(url: string): Promise<Response> {
  const response = await fetch(url);
  await response.arrayBuffer();
  return response;
}

async function record(): Promise<string> {
  const folder = await mkdtemp(join(os.tmpdir(), 'dsbench-record-'));
  try {
    const artefacts = await prepareGuest({ image: IMAGE });
    const [socket, log] = [join(folder, 'disk.sock'), join(folder, 'log')];
    const command = ['nbdkit', '--foreground', '--unix', socket, '--filter=log', '--filter=cow', 'file'];
    const disk = await serve([...command, artefacts.rootImage, `logfile=${log}`], async () => existsSync(socket));
    await useDesktop(`nbd+unix:///?socket=${socket}`, artefacts);
    await disk.stop();
    return await readFile(log, 'utf8');
  } finally {
    await endAll();
    await rm(folder, { recursive: true, force: true });
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}

function number(value: number): string {
  return String(value).padStart(4, '0');
}

const [file, log] = process.argv.slice(2);
if (file === undefined) {
  process.stderr.write('usage: record-desktop.ts FILE [LOG]\n');
  process.exitCode = 2;
} else {
  const requests = requestsOfLog(log === undefined ? await record() : await readFile(log, 'utf8'));
  const what =
    log === undefined
      ? `A guest that boots, starts ${PROGRAMS} programs and writes to a database; disk of ${DISK_MIB} MiB with ${CONTENT_MIB} MiB of content, seed ${SEED}.`
      : "Made of a log of nbdkit's log filter.";
  await writeFile(
    file,
    formatTrace(requests, [what, 'Microseconds, operation, offset, length, microseconds it took.']),
  );
}
