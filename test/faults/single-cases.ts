/**
 * Faults that are no process's death: a link that is down, a destination that cannot or may not take the machine, a guest that ends.
 *
 * Where a migration has to be refused, the refusal has to say why.
 */
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { SeededRandom } from '@diskswarm/sim';
import { DISK } from '../e2e/network.ts';
import { eventually, temporaryFolder } from '../e2e/processes.ts';
import { type Hit, type Landing, pass, phaseOf, strike } from './faults.ts';
import type { Case } from './matrix.ts';
import { PHASES } from './migration-watch.ts';
import type { Scope } from './scope.ts';
import { trackerOf, VM, vmOf, type World } from './world.ts';

const QEMU = 'qemu-system-x86_64';
/** Not enough for what the disk has to bring. */
const SMALL_FOLDER = '6m';
/** More than there is, and less than the kernel refuses to promise. */
const TOO_MUCH_BYTES = 128 * 1024 * 1024;

/** The link is silent, or breaks, for so long in a phase of the seed's choice. */
export function linkDown(seconds: number): Case {
  const act = async (world: World, random: SeededRandom): Promise<Landing> => {
    const phase = random.pick(PHASES);
    const silent = random.chance(0.5);
    const hit: Hit = async ({ relay }) => {
      if (silent) relay.hold('there', 'back');
      else relay.cut();
      await pass(seconds * 1000);
      relay.restore();
      relay.release();
      return true;
    };
    const { landed, how } = await strike(world, phase, hit, random);
    return { landed, how: `${silent ? 'silent' : 'broken'} in ${phase}, ${how}` };
  };
  return { phase: 'link', fault: `down for ${seconds} s`, act };
}

const noRoom: Case = {
  phase: 'destination',
  fault: 'has no room',
  prepare: async (scope) => ({ officeState: path.join(await smallFolder(scope), 'office') }),
  act: (world) => refused(world, 'DISK_FULL'),
  end: 'stayed at source',
};

const noQemu: Case = {
  phase: 'destination',
  fault: 'has no QEMU',
  prepare: async (scope) => ({ officeEnv: { PATH: temporaryFolder(scope.context) } }),
  act: (world) => refused(world, 'EXTERNAL_TOOL_FAILED'),
  end: 'stayed at source',
};

const otherQemu: Case = {
  phase: 'destination',
  fault: 'has another QEMU',
  prepare: async (scope) => {
    const folder = temporaryFolder(scope.context);
    const script =
      '#!/bin/sh\ncase "$1" in --version) echo QEMU emulator version 1.0.0 ;; *) echo; echo pc-1.0 Old PC ;; esac\n';
    fs.writeFileSync(path.join(folder, QEMU), script, { mode: 0o755 });
    return { officeEnv: { PATH: `${folder}:${process.env.PATH}` } };
  },
  act: (world) => refused(world, 'VM_STATE'),
  end: 'stayed at source',
};

const noMemory: Case = {
  phase: 'destination',
  fault: 'has less memory',
  prepare: async () => ({
    memory: `${Math.ceil((process.availableMemory() + TOO_MUCH_BYTES) / 1024 ** 2)}M`,
    // What the guest does not know of, it does not touch.
    kernelWords: 'mem=128M',
  }),
  act: (world) => refused(world, 'VM_STATE'),
  end: 'stayed at source',
};

const diskInUse: Case = {
  phase: 'destination',
  fault: 'uses the disk',
  act: async (world) => {
    await world.office.ok('disk', 'attach', DISK, '--read-only');
    const landing = await refused(world, 'DISK_ATTACHED');
    await world.office.ok('disk', 'detach', DISK);
    return landing;
  },
  end: 'stayed at source',
};

const ownedElsewhere: Case = {
  phase: 'source',
  fault: 'owns the disk no more',
  act: async ({ home, office, markers }) => {
    await markers.write();
    await home.ok('vm', 'migrate', VM, '--to', office.id);
    await eventually('its QEMU here is gone', async () => (await vmOf(home))?.pid === null);
    const starting = await home.run(['vm', 'start', VM]);
    expect(starting.errorCode, 'NOT_OWNER', starting.errorMessage);
    const moving = await home.run(['vm', 'migrate', VM, '--to', office.id]);
    expect(moving.errorCode, 'VM_STATE');
    return { landed: true, how: `${starting.errorCode}, ${moving.errorCode}` };
  },
  end: 'moved',
};

const twice: Case = {
  phase: 'source',
  fault: 'is asked twice at once',
  act: async ({ home, office, markers }) => {
    await markers.write();
    markers.start();
    const moves = [1, 2].map(() => home.run(['vm', 'migrate', VM, '--to', office.id]));
    const codes = (await Promise.all(moves)).map(({ errorCode }) => errorCode ?? 'done').sort();
    expect(codes.join(), 'VM_STATE,done');
    return { landed: true, how: codes.join(', ') };
  },
  end: 'moved',
};

const powerOff: Case = {
  phase: 'guest',
  fault: 'powers off',
  act: async (world, random) => {
    const phase = random.pick(['preparing', 'bulk', 'rounds', 'memory'] as const);
    const hit: Hit = async ({ guest, markers }) => {
      await markers.stop();
      await guest.say('poweroff');
      return true;
    };
    const { landed, how } = await strike(world, phase, hit, random);
    return { landed, how: `in ${phase}, ${how}` };
  },
  end: 'stayed at source',
};

/** Its announce URL is known to the agents only when the run begins. */
function trackerGone(): Case {
  let crash = (): Promise<void> => Promise.resolve();
  return {
    phase: 'tracker',
    fault: 'is gone',
    prepare: async (scope) => {
      const tracker = await trackerOf(scope);
      crash = tracker.crash;
      return { tracker: tracker.url };
    },
    act: async (world) => {
      const { home, office, markers } = world;
      await markers.write();
      markers.start();
      const moving = home.run(['vm', 'migrate', VM, '--to', office.id, '--bandwidth', '5M', '--no-compress']);
      await eventually('the memory is on its way', async () => (await phaseOf(world)) === 'memory');
      await crash();
      const { errorCode } = await moving;
      return { landed: true, how: `in memory, ${errorCode ?? 'done'}` };
    },
    end: 'moved',
  };
}

/** The single runs that are part of every matrix. */
export const SINGLES: readonly Case[] = [
  linkDown(1),
  linkDown(10),
  noRoom,
  noQemu,
  otherQemu,
  noMemory,
  diskInUse,
  ownedElsewhere,
  twice,
  powerOff,
  trackerGone(),
];

async function refused({ home, office, markers }: World, reason: string): Promise<Landing> {
  await markers.write();
  markers.start();
  const { errorCode, errorData, errorMessage } = await home.run(['vm', 'migrate', VM, '--to', office.id]);
  expect(errorCode, 'MIGRATION_FAILED', errorMessage);
  expect(errorData.reason, reason, errorMessage);
  return { landed: true, how: reason };
}

function expect(actual: unknown, wanted: unknown, more = ''): void {
  if (actual !== wanted) throw new Error(`${String(actual)} instead of ${String(wanted)} ${more}`);
}

/** A folder with little room, in the mount namespace of a process that only waits. */
async function smallFolder(scope: Scope): Promise<string> {
  const folder = temporaryFolder(scope.context);
  const user = process.getuid?.() === 0 ? [] : ['--user', '--map-root-user'];
  const script = 'mount -t tmpfs -o size="$1",mode=0700 none "$0" && echo mounted && exec sleep 600';
  const keeper = spawn('unshare', [...user, '--mount', 'sh', '-c', script, folder, SMALL_FOLDER], {
    stdio: ['ignore', 'pipe', 'inherit'],
    cwd: os.tmpdir(),
  });
  scope.teardown(() => void keeper.kill('SIGKILL'));
  await new Promise<void>((resolve, reject) => {
    keeper.stdout.once('data', () => resolve());
    keeper.once('error', reject);
    keeper.once('close', () => reject(new Error('this machine lets nobody mount a small file system')));
  });
  return `/proc/${keeper.pid}/root${folder}`;
}
