/**
 * The socket file: checked, made for its owner alone, and in place only when somebody listens behind it.
 *
 * The umask belongs to the whole process and a worker may not change it. So the socket is bound in a fresh folder of mode 0700
 * beside its place, set to 0600, and renamed into place: no other user ever sees it open, and a stale file of an agent that
 * died is replaced in one step. A file behind which somebody listens, or that is no socket, is left alone.
 */
import fs from 'node:fs/promises';
import net from 'node:net';
import path from 'node:path';
import { DiskswarmError, messageOf } from '@diskswarm/core';

/** sockaddr_un holds 108 bytes with the closing zero; longer paths would be cut silently. */
const MAX_PATH_BYTES = 107;
/** Of the folder made to bind in: a slash, a dot, six letters, and "/s". */
const BIND_SUFFIX_BYTES = 10;

/** Whether a socket can be bound there: neither the path nor the folder it is made in first would be cut. */
export function isSocketPath(socketPath: string): boolean {
  const folderBytes = Buffer.byteLength(path.dirname(path.resolve(socketPath)));
  const fits = Buffer.byteLength(socketPath) <= MAX_PATH_BYTES && folderBytes + BIND_SUFFIX_BYTES <= MAX_PATH_BYTES;
  return fits && !socketPath.includes('\0');
}

/** Throws INVALID_ARGUMENT for a path that the kernel would cut. */
export function checkSocketPath(socketPath: string): void {
  if (isSocketPath(socketPath)) return;
  throw refusal(
    socketPath,
    `is too long for a Unix socket: at most ${MAX_PATH_BYTES} bytes, ${MAX_PATH_BYTES - BIND_SUFFIX_BYTES} for its folder`,
  );
}

/** Listens at the path with mode 0600. Errors: INVALID_ARGUMENT. */
export async function listenAt(server: net.Server, socketPath: string): Promise<void> {
  checkSocketPath(socketPath);
  await refuseOccupied(socketPath);
  let folder: string | null = null;
  try {
    folder = await fs.mkdtemp(`${path.dirname(path.resolve(socketPath))}/.`);
    const bound = path.join(folder, 's');
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(bound, () => {
        server.off('error', reject);
        resolve();
      });
    });
    await fs.chmod(bound, 0o600);
    await fs.rename(bound, socketPath);
  } catch (error) {
    server.close();
    throw refusal(socketPath, `cannot be listened at: ${messageOf(error)}`, error);
  } finally {
    if (folder !== null) await fs.rm(folder, { recursive: true, force: true });
  }
}

async function refuseOccupied(socketPath: string): Promise<void> {
  const stat = await fs.lstat(socketPath).catch(() => null);
  if (stat === null) return;
  if (!stat.isSocket()) throw refusal(socketPath, 'exists and is no socket');
  if (await somebodyListens(socketPath)) throw refusal(socketPath, 'is in use by another process');
}

function somebodyListens(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = net.connect(socketPath);
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', (error: NodeJS.ErrnoException) => {
      resolve(error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT');
    });
  });
}

function refusal(socketPath: string, what: string, cause?: unknown): DiskswarmError {
  return new DiskswarmError('INVALID_ARGUMENT', `the socket path ${socketPath} ${what}`, {
    data: { socketPath },
    cause,
  });
}
