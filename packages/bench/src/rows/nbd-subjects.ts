/**
 * The servers that the NBD rows compare, over the same content: our agent with an imported, cached disk; others with the raw
 * image. Before anything is timed every export is copied out whole and compared, which also brings it into the page cache.
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { AgentHost } from '../hosts/agent-host.ts';
import { copyOut, startNbdkit, startQemuNbd } from '../hosts/nbd-servers.ts';
import { hashFile, writeImage } from '../image.ts';
import { check } from '../row.ts';

/** Name of the subject → URI of its export. */
export type Exports<Name extends string> = Readonly<Record<Name, string>>;

export type ServerName = 'diskswarm' | 'nbdkit file' | 'qemu-nbd';

/** Starts the servers named and checks their content. Everything ends with the row. */
export async function startServers<Name extends ServerName>(
  folder: string,
  options: { sizeBytes: number; servers: readonly Name[]; prefix?: readonly string[] },
): Promise<Exports<Name>> {
  const { sizeBytes, servers, prefix = [] } = options;
  const exports: Partial<Record<ServerName, string>> = {};
  const image = join(folder, 'image.raw');
  await writeImage(image, { sizeBytes, seed: 1, zeroShare: 0, holes: false });
  const expected = await hashFile(image);
  for (const server of servers) {
    exports[server] = await startServer(server, { folder, image, sizeBytes, prefix });
    const copy = join(folder, 'copy.raw');
    await copyOut(exports[server], copy);
    check((await hashFile(copy)) === expected, `${server} serves other bytes than the image has`);
    await rm(copy);
  }
  return exports as Exports<Name>;
}

async function startServer(
  server: ServerName,
  { folder, image, sizeBytes, prefix }: { folder: string; image: string; sizeBytes: number; prefix: readonly string[] },
): Promise<string> {
  if (server === 'diskswarm') {
    const host = new AgentHost({ stateDir: join(folder, 'state'), prefix });
    await host.start();
    await host.import(image, 'bench');
    return host.attach('bench');
  }
  // Each writes to a file of its own, so that it serves what it wrote itself.
  const own = join(folder, `${server.replace(' ', '-')}.raw`);
  await writeImage(own, { sizeBytes, seed: 1, zeroShare: 0, holes: false });
  const start = server === 'qemu-nbd' ? startQemuNbd : startNbdkit;
  return (await start(folder, own, prefix)).uri;
}
