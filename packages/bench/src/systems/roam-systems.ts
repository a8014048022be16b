/**
 * Systems that bring a disk back and forth between two hosts, each of which still has it as it was when it was left.
 *
 * Two are real. What DRBD and a full copy would send follows from what was written, is counted and not sent, and carries `modelled`
 * in its name wherever it is shown.
 */
import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { AgentHost } from '../hosts/agent-host.ts';
import { bytesOn } from '../hosts/measure-move.ts';
import { type Brought, measureRoam, type RoamBed } from '../hosts/measure-roam.ts';
import { copyOut } from '../hosts/nbd-servers.ts';
import { type ChangedBlocks, copyChanges, type ReferenceDisk, writeChanges } from '../hosts/reference-disk.ts';
import { PYTHON } from '../link/link.ts';
import { run, serve } from '../programs.ts';
import { check } from '../row.ts';
import { BLOCK_BYTES, type Place } from '../workloads/desk-week.ts';
import type { RoamContext, RoamSystem } from './system.ts';

const CHANGE_DISK = fileURLToPath(new URL('../../src/hosts/change-disk.py', import.meta.url));
const RSYNC_PORT = 8730;
const PLACES = ['office', 'home'] as const;

function roaming(
  system: Omit<RoamSystem, 'kind' | 'run'> & {
    open(context: RoamContext, reference: ReferenceDisk): Promise<RoamBed>;
  },
): RoamSystem {
  const { open, ...rest } = system;
  return { ...rest, kind: 'roam', run: (context) => measureRoam(context, (reference) => open(context, reference)) };
}

/** An agent at each end; the machine's changes go through the export of the one that owns the disk. */
async function openAgents(context: RoamContext, reference: ReferenceDisk): Promise<RoamBed> {
  const { folder, line, record } = context;
  const agent = async (place: Place): Promise<AgentHost> => {
    const { prefix, address } = endOf(context, place);
    const host = new AgentHost({ stateDir: join(folder, place), prefix, listen: `${address}:0` });
    await host.start();
    return host;
  };
  const hosts = { office: await agent('office'), home: await agent('home') };
  await hosts.office.import(reference.path, 'desk');
  await hosts.office.invite(hosts.home, 'desk');
  const bytesBefore = await bytesOn(line);
  await hosts.home.call('disk.pull', { name: 'desk' });
  record('first', performance.now(), { bytes: (await bytesOn(line)) - bytesBefore });
  let at: Place = 'office';
  let uri = await hosts.office.attach('desk');
  return {
    async change(changes) {
      const list = join(folder, 'changes');
      await writeChanges(list, changes);
      await run([PYTHON, CHANGE_DISK, uri, reference.path, list]);
    },
    async move(to): Promise<Brought> {
      await hosts[at].call('disk.detach', { name: 'desk' });
      at = to;
      await hosts[to].call('disk.take', { name: 'desk' });
      uri = await hosts[to].attach('desk');
      const readyMs = performance.now();
      const info = await hosts[to].call('disk.pull', { name: 'desk' });
      check(info.piecesPresent + info.piecesZero === info.piecesTotal, 'the pull ended before everything was there');
      return { readyMs };
    },
    async content(scratch) {
      await copyOut(uri, scratch);
      return scratch;
    },
  };
}

/** A raw file at each end and a daemon of rsync that has it; the host that is reached asks the other one. */
async function openFiles(context: RoamContext, reference: ReferenceDisk): Promise<RoamBed> {
  const files = { office: '', home: '' };
  for (const place of PLACES) {
    const folder = join(context.folder, place);
    await mkdir(folder);
    files[place] = join(folder, 'disk.raw');
    await copyFile(reference.path, files[place]);
    await startDaemon(context, place, folder);
  }
  let at: Place = 'office';
  return {
    change: (changes) => copyChanges(reference.path, files[at], changes),
    async move(to): Promise<Brought> {
      const from = `rsync://${endOf(context, at).address}:${RSYNC_PORT}/disk/disk.raw`;
      at = to;
      // Size and time alone would not tell whether the disk changed.
      const options = ['--inplace', '--no-whole-file', '--ignore-times', '--stats'];
      const timeoutMs = context.experiment.limitSeconds * 1000;
      const { stdout } = await run([...endOf(context, to).prefix, 'rsync', ...options, from, files[to]], { timeoutMs });
      return { readyMs: performance.now(), facts: statsOf(stdout) };
    },
    content: async () => files[at],
  };
}

async function startDaemon(context: RoamContext, place: Place, folder: string): Promise<void> {
  const { prefix, address } = endOf(context, place);
  const settings = join(context.folder, `${place}.conf`);
  const lines = ['use chroot = no', 'uid = 0', 'gid = 0', 'reverse lookup = no', '[disk]', `path = ${folder}`];
  await writeFile(settings, `${[...lines, 'read only = yes'].join('\n')}\n`);
  const log = `--log-file=${join(context.folder, `${place}.log`)}`;
  const options = ['--daemon', '--no-detach', `--config=${settings}`, `--address=${address}`, `--port=${RSYNC_PORT}`];
  await serve([...prefix, 'rsync', ...options, log], async () => {
    const asked = run([...prefix, 'rsync', `rsync://${address}:${RSYNC_PORT}/`]);
    return (await asked.catch(() => null)) !== null;
  });
}

/** What rsync itself says that it sent and received. */
function statsOf(stdout: string): Readonly<Record<string, number>> {
  const count = (name: string): number =>
    Number(new RegExp(`^${name}: ([\\d,]+)`, 'm').exec(stdout)?.[1]?.replaceAll(',', '') ?? Number.NaN);
  const stats = { sentBytes: count('Total bytes sent'), receivedBytes: count('Total bytes received') };
  check(stats.receivedBytes > 0, `rsync tells no statistics: ${stdout.slice(0, 200)}`);
  return stats;
}

/** What would be sent, and nothing else. */
function counted(bytesOf: (changed: ChangedBlocks, reference: ReferenceDisk) => number) {
  return async (_: RoamContext, reference: ReferenceDisk): Promise<RoamBed> => ({
    change: async () => {},
    move: async (_to, changed) => ({ modelledBytes: bytesOf(changed, reference) }),
  });
}

function endOf({ line }: RoamContext, place: Place): RoamContext['line']['far'] {
  return place === 'office' ? line.far : line.near;
}

export const ROAM_SYSTEMS: readonly RoamSystem[] = [
  roaming({
    name: 'diskswarm-roam',
    about:
      'the shipped agents, which run all week: the host that is reached takes the disk, can use it at once, and pulls what it lacks; done when it has all of it',
    programs: ['nbdcopy', 'nbdsh'],
    open: openAgents,
  }),
  roaming({
    name: 'rsync-inplace',
    about:
      'rsync --inplace --no-whole-file from the other host, over the old copy of the raw image, without compression, which would gain on trimmed blocks alone; can be used when it is done',
    programs: ['rsync'],
    open: openFiles,
  }),
  roaming({
    name: 'drbd-bitmap-modelled',
    about:
      "modelled, nothing is sent: a resync after the two were apart, by DRBD's bitmap; all of each 4 KiB block that was written meanwhile, without headers",
    programs: [],
    reference: true,
    open: counted(({ written }) => written * BLOCK_BYTES),
  }),
  roaming({
    name: 'full-copy-modelled',
    about: 'modelled, nothing is sent: all bytes of the image each time, without headers',
    programs: [],
    reference: true,
    open: counted((_, { sizeBytes }) => sizeBytes),
  }),
];
