/**
 * Other people's NBD servers over the same raw image, on Unix sockets: the peers of the rows about NBD.
 */
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { hashFile } from '../image.ts';
import { run, type Service, serve } from '../programs.ts';
import { check } from '../row.ts';

/** A server and where it is reached. */
export interface NbdServer {
  readonly uri: string;
  readonly service: Service;
}

/** nbdkit with its file plugin. */
export function startNbdkit(folder: string, image: string, prefix: readonly string[] = []): Promise<NbdServer> {
  const socket = join(folder, 'nbdkit.sock');
  return onSocket(socket, '', [...prefix, 'nbdkit', '--foreground', '--unix', socket, 'file', image]);
}

/** qemu-nbd over a raw file, with the host's page cache and threads, as the others have it. */
export function startQemuNbd(folder: string, image: string, prefix: readonly string[] = []): Promise<NbdServer> {
  const socket = join(folder, 'qemu-nbd.sock');
  const options = ['--persistent', '--shared=16', '--format=raw', '--cache=writeback', '--discard=unmap'];
  return onSocket(socket, '', [...prefix, 'qemu-nbd', ...options, `--socket=${socket}`, image]);
}

async function onSocket(socket: string, name: string, command: readonly string[]): Promise<NbdServer> {
  const service = await serve(command, async () => existsSync(socket));
  return { uri: `nbd+unix:///${name}?socket=${socket}`, service };
}

/** Copies an export into a file. */
export async function copyOut(uri: string, file: string): Promise<void> {
  await run(['nbdcopy', uri, file]);
}

/** Throws `words` unless the export holds what `image` does; `scratch` is a file for the time being. */
export async function checkExport(uri: string, image: string, scratch: string, words: string): Promise<void> {
  await copyOut(uri, scratch);
  check((await hashFile(scratch)) === (await hashFile(image)), words);
  await rm(scratch);
}
