/**
 * Systems that bring a disk to hosts which boot from it: what each has ready before, and when a guest can begin.
 *
 * What guests write stays in a throw-away layer (nbdkit's cow filter) with every system, so that all hosts can use one disk.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { AgentHost } from '../hosts/agent-host.ts';
import { diskSizes } from '../hosts/disk-sizes.ts';
import { LineSwarm } from '../hosts/line-swarm.ts';
import { type BootBed, bootOnce, measureBoot, type OpenedDisk } from '../hosts/measure-boot.ts';
import { hashFile, spoilChunks } from '../image.ts';
import { peakBytes } from '../machine.ts';
import { run, serve } from '../programs.ts';
import { check } from '../row.ts';
import { compare, throwAway } from './boot-parts.ts';
import { prepareClones } from './clone-boot.ts';
import type { GuestSystem, RunContext } from './system.ts';

const NBD_PORT = 10_809;
const KIB = 1024;

function booting(
  system: Omit<GuestSystem, 'kind' | 'run'> & { prepare(context: RunContext): Promise<BootBed> },
): GuestSystem {
  const { prepare, ...rest } = system;
  return {
    ...rest,
    kind: 'boot',
    async run(context) {
      await measureBoot(context, await prepare(context));
    },
  };
}

/** Agents: one at the far end with the disk, holders of an earlier state of it and the hosts that boot at the near end. */
async function prepareAgents(context: RunContext): Promise<BootBed> {
  const { artefacts, folder, line } = context;
  const { workload, seed } = context.run;
  const {
    hosts = 1,
    holders = 0,
    'match-percent': match = 100,
    'chunk-kib': chunkKib = 64,
    background = 1,
    traces = 0,
  } = workload.settings;
  const chunkBytes = chunkKib * KIB;
  // Everybody at the near end knows who was there before; with a tracker it would be told.
  const near: string[] = [];
  const agent = async (name: string, end: typeof line.near): Promise<AgentHost> => {
    const { prefix, address } = end;
    const host = new AgentHost({
      stateDir: join(folder, name),
      prefix,
      listen: `${address}:0`,
      chunkBytes,
      peers: near,
    });
    await host.start();
    return host;
  };
  context.record('disk', performance.now(), { ...(await diskSizes(artefacts.rootImage, chunkBytes)) });
  const home = await agent('home', line.far);
  if (holders > 0) {
    // The holders keep what the disk was before; since then part of it has changed.
    const earlier = join(folder, 'earlier.raw');
    await spoilChunks(artefacts.rootImage, earlier, { share: 1 - match / 100, chunkBytes, seed });
    await home.import(earlier, 'desk');
    for (let index = 0; index < holders; index++) {
      const holder = await agent(`holder${index}`, line.near);
      near.push(holder.listen);
      await home.invite(holder, 'desk');
      await holder.call('disk.pull', { name: 'desk' });
    }
    const uri = await home.attach('desk');
    await run(['nbdcopy', artefacts.rootImage, uri]);
    await home.call('disk.detach', { name: 'desk' });
    await home.call('disk.seal', { name: 'desk' });
  } else {
    await home.import(artefacts.rootImage, 'desk');
  }
  // Each boot at home is recorded, and the recording goes along with the disk.
  for (let boot = 0; boot < traces; boot++) {
    const view = await throwAway(folder, `trace${boot}`, await home.attach('desk', { readOnly: true }));
    await bootOnce(context, view.uri);
    await view.end();
    await home.call('disk.detach', { name: 'desk' });
  }
  const guests: AgentHost[] = [];
  for (let index = 0; index < hosts; index++) {
    const host = await agent(`host${index}`, line.near);
    near.push(host.listen);
    await home.invite(host, 'desk');
    guests.push(host);
  }
  return {
    async open(index) {
      const host = guests[index]!;
      const uri = await host.attach('desk', { readOnly: true });
      const whole = background === 0 ? null : host.call('disk.pull', { name: 'desk' }).then(() => {});
      whole?.catch(() => {}); // Awaited later.
      return {
        uri: (await throwAway(folder, `host${index}`, uri)).uri,
        whole,
        check: () => compare(artefacts.rootImage, folder, index, uri),
      };
    },
    async facts(index) {
      const [disk] = (await guests[index]!.call('status', {})).disks;
      const { faults, bytesBySource, faultBytes, touchedPieces } = disk!;
      const farBytes = bytesBySource[home.hostId] ?? 0;
      const memoryBytes = peakBytes(guests[index]!.pid);
      const farHost = home.hostId;
      return { faults, bytesBySource, farHost, farBytes, faultBytes, touchedPieces, memoryBytes };
    },
  };
}

/** A qcow2 overlay per host over one qemu-nbd at the far end. */
async function prepareOverlays(context: RunContext): Promise<BootBed> {
  const { folder, line, artefacts } = context;
  const { size } = await serveImage(context);
  return {
    async open(index) {
      const overlay = join(folder, `overlay${index}.qcow2`);
      await run(['qemu-img', 'create', '-q', '-f', 'qcow2', overlay, size]);
      const image = [
        ...['driver=copy-on-read', 'file.driver=qcow2', 'file.file.driver=file', `file.file.filename=${overlay}`],
        ...['file.backing.driver=nbd', 'file.backing.server.type=inet', `file.backing.server.host=${line.far.address}`],
        `file.backing.server.port=${NBD_PORT}`,
      ].join(',');
      const socket = join(folder, `overlay${index}.sock`);
      const command = ['qemu-nbd', '--persistent', '--shared=4', `--socket=${socket}`, '--image-opts', image];
      await serve([...line.near.prefix, ...command], async () => existsSync(socket));
      const uri = `nbd+unix:///?socket=${socket}`;
      return {
        uri: (await throwAway(folder, `host${index}`, uri)).uri,
        whole: null,
        check: () => compare(artefacts.rootImage, folder, index, uri),
      };
    },
  };
}

/** The whole image from one qemu-nbd at the far end, then a boot from the copy. */
async function prepareCopies(context: RunContext): Promise<BootBed> {
  const { folder, line } = context;
  await serveImage(context);
  return {
    async open(index) {
      const copy = join(folder, `copy${index}.raw`);
      const from = `nbd://${line.far.address}:${NBD_PORT}`;
      await run([...line.near.prefix, 'qemu-img', 'convert', '-f', 'raw', '-O', 'raw', from, copy], limitOf(context));
      return openFile(context, index, copy);
    },
  };
}

/** The whole image by aria2c, from a seed at the far end and from each other, then a boot from it. */
async function prepareTorrent(context: RunContext): Promise<BootBed> {
  const { folder, line, artefacts } = context;
  const swarm = new LineSwarm(join(folder, 'swarm'), artefacts.rootImage, line);
  await swarm.start();
  return {
    open: async (index) => openFile(context, index, await swarm.download(index, limitOf(context))),
  };
}

async function openFile({ folder, artefacts }: RunContext, index: number, file: string): Promise<OpenedDisk> {
  return {
    uri: (await throwAway(folder, `host${index}`, null, file)).uri,
    whole: Promise.resolve(),
    check: async () =>
      check((await hashFile(file)) === (await hashFile(artefacts.rootImage)), `host ${index} has other bytes`),
  };
}

async function serveImage({ line, artefacts }: RunContext): Promise<{ size: string }> {
  const { prefix, address } = line.far;
  const options = [
    '--persistent',
    '--shared=64',
    '--read-only',
    '--format=raw',
    `--bind=${address}`,
    `--port=${NBD_PORT}`,
  ];
  await serve([...prefix, 'qemu-nbd', ...options, artefacts.rootImage], async () => answers());
  const size = await run([...prefix, 'nbdinfo', '--size', `nbd://${address}:${NBD_PORT}`]);
  return { size: size.stdout.trim() };

  async function answers(): Promise<boolean> {
    const asked = run([...prefix, 'nbdinfo', '--size', `nbd://${address}:${NBD_PORT}`]);
    return (await asked.catch(() => null)) !== null;
  }
}

/** Beyond the limit of the run, which is what ends a copy that takes long. */
function limitOf({ experiment }: RunContext): { timeoutMs: number } {
  return { timeoutMs: 2 * experiment.limitSeconds * 1000 };
}

export const BOOT_SYSTEMS: readonly GuestSystem[] = [
  booting({
    name: 'diskswarm-boot',
    about:
      'boots from the attached disk at once, what it waits for first, the rest in the background; done when all hosts have it whole',
    programs: ['nbdkit', 'nbdcopy'],
    prepare: prepareAgents,
  }),
  booting({
    name: 'diskswarm-clones',
    about:
      'the disk is a template, each host boots from a clone of it; a piece leaves the seed for one host, which passes it on; what no guest touches never comes, done when all guests are up',
    programs: ['nbdkit', 'nbdcopy'],
    partial: true,
    prepare: prepareClones,
  }),
  booting({
    name: 'nbd-overlay',
    about:
      'boots from a qcow2 overlay over one remote qemu-nbd, copy-on-read; the rest never comes, done when all guests are up',
    programs: ['qemu-img', 'nbdkit', 'nbdcopy'],
    partial: true,
    prepare: prepareOverlays,
  }),
  booting({
    name: 'copy-then-boot',
    about: 'qemu-img copies the whole image from one remote qemu-nbd, then the guest boots',
    programs: ['qemu-img', 'nbdkit'],
    prepare: prepareCopies,
  }),
  booting({
    name: 'torrent-then-boot',
    about: 'aria2c downloads the whole image in a swarm with one seed, then the guest boots',
    programs: ['aria2c', 'nbdkit'],
    prepare: prepareTorrent,
  }),
];
