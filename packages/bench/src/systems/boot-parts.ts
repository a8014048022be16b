/** What systems that boot have in common: a layer that takes a guest's writes, and the check that a host has the disk's content. */
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { checkExport } from '../hosts/nbd-servers.ts';
import { serve } from '../programs.ts';

/** A view that takes a guest's writes and keeps them to itself; of a file where there is no export. */
export async function throwAway(
  folder: string,
  name: string,
  uri: string | null,
  file = '',
): Promise<{ uri: string; end: () => Promise<void> }> {
  const socket = join(folder, `${name}.sock`);
  const below = uri === null ? ['file', file] : ['nbd', `uri=${uri}`];
  const command = ['nbdkit', '--foreground', '--unix', socket, '--filter=cow', ...below];
  const service = await serve(command, async () => existsSync(socket));
  return { uri: `nbd+unix:///?socket=${socket}`, end: () => service.stop() };
}

/** Throws unless the export has the image's bytes. */
export async function compare(image: string, folder: string, index: number, uri: string): Promise<void> {
  await mkdir(join(folder, 'check'), { recursive: true });
  await checkExport(uri, image, join(folder, 'check', `${index}.raw`), `host ${index} has other bytes`);
}
