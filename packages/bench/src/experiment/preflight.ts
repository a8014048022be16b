/**
 * What an experiment needs of this machine, looked at before its first run and told all at once: programs with the Debian package
 * that has each, root, memory, room for the images of a run.
 */
import { accessSync, constants, readFileSync, statfsSync, statSync } from 'node:fs';
import os from 'node:os';
import { DiskswarmError } from '@diskswarm/core';
import { installHint, probeQemu } from '@diskswarm/guest';
import { findProgram } from '../programs.ts';
import { SYSTEMS } from '../systems/index.ts';
import { WORKLOADS } from '../workloads/index.ts';
import type { Experiment } from './experiment.ts';
import { planRuns } from './plan.ts';

/** Program → Debian package. */
const PACKAGES: Readonly<Record<string, string>> = {
  'qemu-system-x86_64': 'qemu-system-x86',
  busybox: 'busybox-static',
  mke2fs: 'e2fsprogs',
  ip: 'iproute2',
  python3: 'python3',
  'qemu-nbd': 'qemu-utils',
  'qemu-img': 'qemu-utils',
  nbdinfo: 'libnbd-bin',
  nbdcopy: 'libnbd-bin',
  nbdkit: 'nbdkit',
  nbdsh: 'python3-libnbd',
  aria2c: 'aria2',
  rsync: 'rsync',
};
const ALWAYS = ['ip', 'python3'];
const FOR_GUESTS = ['qemu-system-x86_64', 'busybox', 'mke2fs', 'qemu-nbd', 'nbdinfo'];
const TUN = '/dev/net/tun';
/** statfs(2). */
const TMPFS = 0x01021994;
/** Two agents, their tools, the bench itself. */
const OTHER_MEMORY_MIB = 600;
/** QEMU beside its guest's memory. */
const QEMU_MIB = 100;
/** Of a disk during one run: the image, a copy at each end, what writes add. */
const COPIES = 4;
/** The same of one that goes back and forth for days, and of the reference that it is compared with. */
const ROAMING_COPIES = 8;
/** An agent beyond the two of every run. */
const AGENT_MIB = 200;
/** A modelled host. */
const MODELLED_MIB = 0.3;
/** The events of a run, with plenty to spare, and what a folder of runs takes at least, with its report. */
const RUN_EVENTS_MIB = 2;
const LEAST_RUNS_MIB = 64;

/** What a machine has. */
export interface Machine {
  readonly root: boolean;
  readonly tun: boolean;
  readonly hasProgram: (name: string) => boolean;
  /** Debian packages that guests lack. */
  readonly missingForGuests: readonly string[];
  readonly freeMemoryMib: number;
  readonly freeDiskMib: (folder: string) => number;
  /** The file system that a folder is on: the same text for folders that share their room. */
  readonly fileSystemOf: (folder: string) => string;
  /** Whether files there take memory. */
  readonly isMemory: (folder: string) => boolean;
}

/** This one. */
function thisMachine(): Machine {
  return {
    root: process.getuid?.() === 0,
    tun: isWritable(TUN),
    hasProgram: (name) => findProgram(name) !== undefined,
    missingForGuests: probeQemu().missingPackages,
    freeMemoryMib: availableMemoryMib(),
    freeDiskMib: (folder) => {
      const { bavail, bsize } = statfsSync(folder);
      return (bavail * bsize) / 2 ** 20;
    },
    fileSystemOf: (folder) => String(statSync(folder).dev),
    isMemory: (folder) => statfsSync(folder).type === TMPFS,
  };
}

/** Whether machines run in it, and not their disks alone. */
export function needsGuest({ systems }: Pick<Experiment, 'systems'>): boolean {
  return SYSTEMS.some(({ name, kind }) => kind !== 'roam' && systems.includes(name));
}

/** @throws DiskswarmError EXTERNAL_TOOL_FAILED that names every lack, with `data.missing` and `data.packages` */
export function checkMachine(experiment: Experiment, outParent: string, machine: Machine = thisMachine()): void {
  const guest = needsGuest(experiment);
  const programs = new Set([
    ...ALWAYS,
    ...(guest ? FOR_GUESTS : []),
    ...SYSTEMS.filter(({ name }) => experiment.systems.includes(name)).flatMap((system) => system.programs),
    ...WORKLOADS.filter(({ name }) => experiment.workloads.some((own) => own.name === name)).flatMap(
      ({ programs = [] }) => programs,
    ),
    ...(experiment.model === undefined ? [] : ['nbdkit']),
  ]);
  const packages = new Set(guest ? machine.missingForGuests : []);
  const lacking = [...programs].filter((program) => !machine.hasProgram(program));
  for (const program of lacking) packages.add(PACKAGES[program] ?? program);
  const named = lacking.map((program) => `${program} (${PACKAGES[program] ?? program})`).join(', ');
  const { memoryMib, diskMib } = experiment.guest;
  const guests = !guest ? 0 : Math.max(2, ...experiment.workloads.map(({ settings }) => settings.hosts ?? 0));
  const agents = Math.max(
    0,
    ...experiment.workloads.map(({ settings }) => (settings.hosts ?? 0) + (settings.holders ?? 0)),
  );
  // Crowds are modelled after the runs.
  const modelledMib = Math.ceil(MODELLED_MIB * Math.max(0, ...(experiment.model?.hosts ?? [])));
  const runMib = guests * (memoryMib + QEMU_MIB) + agents * AGENT_MIB;
  const disksMib = ((guest ? COPIES : ROAMING_COPIES) + agents) * diskMib;
  const filesMib = machine.isMemory(os.tmpdir()) ? disksMib : 0;
  const needMemoryMib = Math.max(runMib + filesMib, modelledMib) + OTHER_MEMORY_MIB;
  const shared = machine.fileSystemOf(os.tmpdir()) === machine.fileSystemOf(outParent);
  const runsMib = Math.max(LEAST_RUNS_MIB, RUN_EVENTS_MIB * planRuns(experiment).length);
  const rooms = [
    { folder: os.tmpdir(), needMib: disksMib + (shared ? runsMib : 0) },
    ...(shared ? [] : [{ folder: outParent, needMib: runsMib }]),
  ];
  const missing = [
    ...(packages.size === 0
      ? []
      : [`programs${named === '' ? '' : `: ${named}`}. ${installHint([...packages].sort())}`]),
    ...(machine.root ? [] : ['root, for network namespaces']),
    ...(machine.tun ? [] : [`${TUN}, for the line between the hosts`]),
    ...(machine.freeMemoryMib >= needMemoryMib
      ? []
      : [
          `memory: ${needMemoryMib} MiB are needed${filesMib === 0 ? '' : `, ${filesMib} of them for disks in ${os.tmpdir()} (TMPDIR=… chooses another place)`}, ${Math.floor(machine.freeMemoryMib)} are free`,
        ]),
    ...rooms.flatMap(({ folder, needMib }) => {
      const freeMib = machine.freeDiskMib(folder);
      return freeMib >= needMib
        ? []
        : [`room in ${folder}: ${needMib} MiB are needed, ${Math.floor(freeMib)} are free`];
    }),
  ];
  if (missing.length === 0) return;
  throw new DiskswarmError(
    'EXTERNAL_TOOL_FAILED',
    `${experiment.name} cannot run here. It lacks ${missing.join('; ')}`,
    {
      data: { missing, packages: [...packages].sort() },
    },
  );
}

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** What the kernel could give without swapping. */
function availableMemoryMib(): number {
  const found = /^MemAvailable:\s+(\d+) kB$/m.exec(readFileSync('/proc/meminfo', 'latin1'));
  return found === null ? os.freemem() / 2 ** 20 : Number(found[1]) / 1024;
}
