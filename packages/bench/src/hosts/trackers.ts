/**
 * Three trackers that answer datagrams on loopback, and the load that they are all given.
 *
 * opentracker as Debian ships it serves listed info hashes only and wants a folder to be locked into.
 */
import { createHash } from 'node:crypto';
import { chmod, mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { PYTHON } from '../link/link.ts';
import { run, type Service, serve } from '../programs.ts';
import { check } from '../row.ts';

const LAUNCHER = fileURLToPath(new URL('../../../../host-agent/bin/diskswarm.js', import.meta.url));
const FOREIGN = fileURLToPath(new URL('./foreign-tracker.ts', import.meta.url));
const LOAD = fileURLToPath(new URL('./announce-load.py', import.meta.url));
/** Above what anybody asks: the load comes from one address. */
const NO_LIMIT = 1_000_000_000;

/** A tracker at work. */
export interface TrackerUnderLoad {
  readonly service: Service;
  readonly port: number;
}

/** Some info hashes, always the same. */
export function infoHashes(count: number): string[] {
  return Array.from({ length: count }, (_, index) => createHash('sha1').update(`swarm ${index}`).digest('hex'));
}

export async function startOurs(): Promise<TrackerUnderLoad> {
  const where = ['--listen', '127.0.0.1:0', '--udp', '127.0.0.1:0', '--limit', String(NO_LIMIT), '--json'];
  const service = await serve([process.execPath, LAUNCHER, 'tracker', ...where], (line) => line.includes('"ready"'));
  const { udpAnnounceUrl } = JSON.parse(service.firstLine) as { udpAnnounceUrl: string };
  return { service, port: Number(new URL(udpAnnounceUrl.replace('udp:', 'http:')).port) };
}

export async function startForeign(port: number): Promise<TrackerUnderLoad> {
  const command = [process.execPath, '--conditions=source', FOREIGN, String(port)];
  return { service: await serve(command, (line) => line === 'ready'), port };
}

/** opentracker for these hashes; its folder is made in `folder`. */
export async function startOpentracker(
  folder: string,
  port: number,
  hashes: readonly string[],
): Promise<TrackerUnderLoad> {
  await mkdir(folder, { recursive: true });
  await chmod(folder, 0o755);
  const root = await mkdtemp(join(folder, 'opentracker-'));
  await chmod(root, 0o755);
  await writeFile(join(root, 'hashes'), `${hashes.join('\n')}\n`);
  const where = ['-i', '127.0.0.1', '-p', String(port), '-P', String(port)];
  const command = ['opentracker', ...where, '-d', root, '-u', 'nobody', '-w', 'hashes'];
  // It says nothing; the load asks until it is answered.
  return { service: await serve(command, null, { cwd: root }), port };
}

/** Puts `peers` peers into each swarm. */
export async function fill({ port }: TrackerUnderLoad, hashes: readonly string[], peers: number): Promise<void> {
  await load(port, hashes, peers, 'fill', 0);
}

/** Announces answered in a second, while peers of the swarms announce themselves again and each wants `wanted` others. */
export async function announcesPerSecond(
  { port }: TrackerUnderLoad,
  hashes: readonly string[],
  options: { peers: number; wanted: number; seconds: number },
): Promise<{ perSecond: number; lost: number }> {
  const found = await load(port, hashes, options.peers, String(options.seconds), options.wanted);
  check(found.wrong === 0, `${found.wrong} of ${found.answered} answers are wrong`);
  check(found.answered > 0, 'nothing was answered');
  return { perSecond: found.answered / found.seconds, lost: found.lost };
}

interface Found {
  readonly answered: number;
  readonly seconds: number;
  readonly lost: number;
  readonly wrong: number;
}

async function load(
  port: number,
  hashes: readonly string[],
  peers: number,
  seconds: string,
  wanted: number,
): Promise<Found> {
  const command = [PYTHON, LOAD, String(port), String(peers), hashes.join(','), seconds, String(wanted)];
  return JSON.parse((await run(command, { timeoutMs: 120_000 })).stdout) as Found;
}
