/**
 * The disk under the state folder fails: reads, writes and syncs report errors, or there is no room left.
 *
 * The export is fenced where its storage failed, the agent lives or is started again, and nothing that a flush acknowledged is lost.
 */
import { type ErrorCode, KIB, MIB } from '@diskswarm/core';
import type { DiskOperation } from '@diskswarm/sim';
import { Guest } from '../guest.ts';
import { attempt } from '../outcomes.ts';
import type { Scenario } from '../scenarios.ts';
import type { SimulatedHost } from '../simulated-host.ts';
import { NAME, World } from '../world.ts';

const ROUNDS = 6;
/** What an overlay keeps free, and so the room at which new data is refused. */
const MARGIN_BYTES = 64 * MIB;
const FAILURES: readonly ErrorCode[] = [
  'WRITE_FAILED',
  'READ_FAILED',
  'DISK_FULL',
  'ATTACHMENT_STATE',
  'DISK_ATTACHED',
  'ABORTED',
  'CHUNK_NOT_FOUND',
  'CHUNK_CORRUPT',
  'SEAL_NEEDS_CHUNKS',
];

export const faults: Scenario = {
  prepare: (simulation) => {
    const world = new World(simulation, { hosts: ['home', 'office'], sizeBytes: 1280 * KIB, chunkSizeBytes: 16 * KIB });
    return { world, play: () => play(world) };
  },
};

async function play(world: World): Promise<void> {
  const { random } = world.simulation;
  const host = world.host('home');
  const { disk } = host.machine;
  const office = world.host('office');
  // What home cannot read, it may fetch again there, or nowhere.
  const alone = random.chance(0.5);
  await world.start({ late: alone ? [office] : [] });
  if (!alone) await office.ask('disk.pull', { name: NAME });
  host.startMayFail = true;
  world.storageFails = true;
  for (let round = 0; round < ROUNDS; round++) {
    await host.whenUp();
    await open(host);
    if (random.chance(0.6)) plan(world, host);
    else
      disk.capacityBytes =
        used(host) + random.pick([0, 1, 8, 512]) * 64 * KIB + (random.chance(0.5) ? MARGIN_BYTES : 0);
    await use(world, host);
    disk.heal();
    disk.capacityBytes = 2 ** 40;
    // What failed may have left the agent with records that it no longer trusts: a restart reads what is there.
    if (random.chance(0.7)) host.kill(random.pick(['crash', 'power cut']));
    else await attempt(host.ask('disk.detach', { name: NAME }), FAILURES);
  }
  host.startMayFail = false;
  world.storageFails = false;
  host.kill('crash');
  await host.whenUp();
  await open(host);
  await look(world, host);
  const flush = world.model.beginFlush();
  await host.ask('disk.seal', { name: NAME });
  flush.completed();
  host.kill('power cut');
  await host.whenUp();
  await look(world, host);
}

/** Errors to come, at the operations and files that the seed picks. */
function plan(world: World, host: SimulatedHost): void {
  const { random } = world.simulation;
  const operation = random.pick<DiskOperation>([
    'write',
    'write',
    'sync',
    'sync',
    'read',
    'read',
    'create',
    'rename',
    'sync-folder',
  ]);
  const pathPrefix = random.pick(['', 'disks/', 'store/', 'meta']);
  host.machine.disk.fail({
    operation,
    pathPrefix,
    after: random.below(random.pick([3, 30])),
    times: random.between(1, 3),
  });
  world.simulation.note(`${operation} of ${pathPrefix}… will fail`);
}

async function use(world: World, host: SimulatedHost): Promise<void> {
  const { random } = world.simulation;
  for (let turn = 0; turn < 3; turn++) {
    const { attachment } = host;
    if (attachment !== null) {
      const guest = new Guest(world, host, attachment);
      await guest.work({ requests: random.between(10, 80), depth: random.between(1, 4), pauseMs: random.pick([0, 5]) });
      await guest.disconnect();
    }
    if (random.chance(0.5)) {
      const flush = world.model.beginFlush();
      if ('result' in (await attempt(host.ask('disk.seal', { name: NAME }), FAILURES))) flush.completed();
    }
    await world.pause(300);
    await open(host);
  }
}

async function open(host: SimulatedHost): Promise<void> {
  if (host.up && host.attachment === null)
    await attempt(host.ask('disk.attach', { name: NAME, readOnly: false, socket: null }), FAILURES);
}

async function look(world: World, host: SimulatedHost): Promise<void> {
  if (host.attachment === null) await host.ask('disk.attach', { name: NAME, readOnly: false, socket: null });
  const guest = new Guest(world, host, host.attachment!);
  await guest.readAll();
  await guest.disconnect();
}

function used(host: SimulatedHost): number {
  const { disk } = host.machine;
  return disk.capacityBytes - disk.freeBytes;
}
