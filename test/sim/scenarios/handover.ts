/**
 * Three hosts hand a disk back and forth while connections break, machines are parted, processes crash and machines lose power.
 *
 * At no time can two of them write. Once the world is whole again exactly one owns the disk, all agree who, and its content is the model's.
 */
import { type ErrorCode, KIB } from '@diskswarm/core';
import type { DiskOperation } from '@diskswarm/sim';
import { Guest } from '../guest.ts';
import { attempt } from '../outcomes.ts';
import type { Scenario } from '../scenarios.ts';
import type { SimulatedHost } from '../simulated-host.ts';
import { NAME, World } from '../world.ts';

/** How long the trouble lasts, and how long all may take to agree afterwards, in simulated milliseconds. */
const TROUBLE_MS = 60_000;
const AGREE_MS = 900_000;

/** Honest answers to a wish that cannot be fulfilled now. */
const NOT_NOW: readonly ErrorCode[] = [
  'NOT_OWNER',
  'ATTACHMENT_STATE',
  'CLIENT_CONNECTED',
  'PEER_UNREACHABLE',
  'HANDOVER_IN_DOUBT',
  'HANDOVER_REFUSED',
  'TIMEOUT',
  'DISK_ATTACHED',
  'GENERATION_NOT_FOUND',
  'SEAL_NEEDS_CHUNKS',
  'CHUNK_NOT_FOUND',
  'ABORTED',
];

/** Those of a disk that fails. */
const STORAGE_FAILS: readonly ErrorCode[] = ['WRITE_FAILED', 'READ_FAILED', 'DISK_FULL', 'CHUNK_CORRUPT'];

function notNow({ storageFails }: World): readonly ErrorCode[] {
  return storageFails ? [...NOT_NOW, ...STORAGE_FAILS] : NOT_NOW;
}

export const handover: Scenario = {
  prepare: (simulation) => {
    const world = new World(simulation, {
      hosts: ['home', 'office', 'hotel'],
      sizeBytes: 640 * KIB,
      chunkSizeBytes: 16 * KIB,
    });
    return { world, play: () => play(world) };
  },
  limits: { maxSimulatedMs: 2 * 3_600_000 },
};

async function play(world: World): Promise<void> {
  const { simulation } = world;
  const { clock, random, network } = simulation;
  for (const [a, b] of pairs(world))
    network.setLink(a.name, b.name, { delayMs: random.pick([0.2, 5, 40]), jitterMs: random.pick([0.1, 10, 60]) });
  const late = random.chance(0.5) ? [world.host('hotel')] : [];
  await world.start({ late });
  world.storageFails = random.chance(0.4);
  for (const host of world.hosts) host.startMayFail = world.storageFails;
  let over = false;
  clock.setTimer(TROUBLE_MS, () => {
    over = true;
  });
  const until = async (longestPauseMs: number, act: () => Promise<void> | void): Promise<void> => {
    while (!over) {
      await world.pause(random.below(longestPauseMs) + 1);
      if (!over) await act();
    }
  };
  await Promise.all([
    ...late.map((host) => joinLate(world, host)),
    until(8_000, () => move(world)),
    until(8_000, () => move(world)),
    until(3_000, () => write(world)),
    until(4_000, () => intrude(world)),
    until(12_000, () => trouble(world)),
  ]);
  await recover(world);
  const owner = await agreement(world);
  await look(world, owner);
  const next = random.pick(world.hosts.filter((host) => host !== owner));
  await owner.ask('disk.detach', { name: NAME });
  while (owner.managed?.peers.link(next.hostId) === undefined) await world.pause(500);
  await owner.ask('disk.handover', { name: NAME, to: next.hostId });
  if ((await agreement(world)) !== next) throw new Error(`${next.name} does not own what it was handed`);
  owner.kill('power cut');
  await look(world, next);
}

/** A host joins while the disk moves about; its process may die over it. */
async function joinLate(world: World, host: SimulatedHost): Promise<void> {
  const { random } = world.simulation;
  await world.pause(random.below(TROUBLE_MS));
  if (random.chance(0.5)) host.machine.disk.stopAfter(random.below(10), random.pick(['crash', 'power cut']));
  while (host.managed === null) {
    await attempt(world.join(host), [...notNow(world), 'NAME_EXISTS']);
    await host.whenUp();
  }
}

/** Somebody hands the disk on, or asks for it. */
async function move(world: World): Promise<void> {
  const { random } = world.simulation;
  const host = random.pick(world.hosts);
  if (!host.up || host.managed === null) return;
  const other = random.pick(world.hosts.filter((candidate) => candidate !== host));
  const wish =
    host.managed.records.owned && random.chance(0.8)
      ? host.ask('disk.handover', { name: NAME, to: other.hostId })
      : host.ask('disk.take', { name: NAME });
  if (random.chance(0.5)) strike(world, random.pick([host, other]));
  const outcome = await attempt(wish, notNow(world));
  world.simulation.note(`${host.name} wished to move the disk: ${'failed' in outcome ? outcome.failed : 'done'}`);
}

/** Trouble in the middle of a hand-over: at one of its next steps. */
function strike(world: World, host: SimulatedHost): void {
  const { random, network, clock } = world.simulation;
  const kinds: readonly (() => void)[] = [
    () => host.machine.disk.stopAfter(random.below(30), random.pick(['crash', 'power cut'])),
    () => void clock.setTimer(random.below(300), () => void network.breakAnyConnection()),
    () => void clock.setTimer(random.below(300), () => host.kill(random.pick(['crash', 'power cut']))),
    () => failStorage(world, host),
  ];
  random.pick(kinds)();
}

/** A guest that cares for nobody's standing: it writes wherever an export is open. */
async function intrude(world: World): Promise<void> {
  const { random } = world.simulation;
  const host = random.pick(world.hosts);
  const { attachment } = host;
  if (attachment === null || attachment.clients > 0) return;
  const guest = new Guest(world, host, attachment);
  await Promise.race([guest.work({ requests: 5, depth: 1, pauseMs: 2 }), world.pause(2_000)]);
  await Promise.race([guest.disconnect(), world.pause(2_000)]);
}

/** A guest at whoever may write, sometimes with a seal; it goes away again. */
async function write(world: World): Promise<void> {
  const { random } = world.simulation;
  const host = world.hosts.find(
    (candidate) => candidate.up && candidate.managed?.ownership.standing().state === 'writable',
  );
  if (host === undefined) return;
  if (
    host.attachment === null &&
    'failed' in (await attempt(host.ask('disk.attach', { name: NAME, readOnly: false, socket: null }), notNow(world)))
  )
    return;
  const { attachment } = host;
  if (attachment === null) return;
  const guest = new Guest(world, host, attachment);
  const working = guest.work({
    requests: random.between(1, 40),
    depth: random.between(1, 3),
    pauseMs: random.pick([0, 20, 100]),
  });
  // A read may wait for a chunk that nobody in reach has: the guest gives up some time.
  await Promise.race([working, world.pause(10_000)]);
  if (random.chance(0.3)) await seal(world, host);
  await Promise.race([guest.disconnect(), world.pause(20_000)]);
  if (random.chance(0.3)) await attempt(host.ask('disk.detach', { name: NAME }), notNow(world));
}

async function seal(world: World, host: SimulatedHost): Promise<void> {
  const flush = world.model.beginFlush();
  const outcome = await attempt(host.ask('disk.seal', { name: NAME }), notNow(world));
  if ('result' in outcome) flush.completed();
}

/** Something goes wrong. */
function trouble(world: World): void {
  const { random, network, clock } = world.simulation;
  const host = random.pick(world.hosts);
  const [a, b] = random.pick(pairs(world)).map(({ name }) => name) as [string, string];
  const kinds: readonly (() => void)[] = [
    () => network.breakConnections(a, b),
    () => void network.breakAnyConnection(),
    () => {
      network.partition(a, b);
      clock.setTimer(random.below(60_000), () => network.heal(a, b));
    },
    () => host.kill('crash'),
    () => host.kill('power cut'),
    () => host.machine.disk.stopAfter(random.below(200), random.pick(['crash', 'power cut'])),
    () => host.machine.disk.stopAfter(random.below(40), random.pick(['crash', 'power cut'])),
    () => failStorage(world, host),
  ];
  random.pick(kinds)();
}

/** A disk reports errors for a moment; only in some worlds. */
function failStorage(world: World, host: SimulatedHost): void {
  const { random } = world.simulation;
  if (!world.storageFails) return;
  const operation = random.pick<DiskOperation>(['write', 'sync', 'create', 'rename', 'sync-folder']);
  host.machine.disk.fail({ operation, pathPrefix: random.pick(['meta', 'disks/', 'store/']), after: random.below(10) });
}

async function recover(world: World): Promise<void> {
  const { network } = world.simulation;
  for (const [a, b] of pairs(world)) network.heal(a.name, b.name);
  for (const host of world.hosts) {
    host.machine.disk.heal();
    host.startMayFail = false;
    // What could not be made durable stays undecided until a restart has read what is there.
    if (world.storageFails) host.kill('crash');
  }
  for (const host of world.hosts) await host.whenUp();
  world.storageFails = false;
}

/** Resolves with the one owner once all hosts agree. */
async function agreement(world: World): Promise<SimulatedHost> {
  const { clock } = world.simulation;
  const endUs = clock.nowUs() + AGREE_MS * 1000;
  for (;;) {
    const disks = world.hosts.map((host) => ({ host, disk: host.managed }));
    const owners = disks.filter(({ disk }) => disk?.ownership.standing().state === 'writable');
    const views = new Set(
      disks.map(({ disk }) => `${disk?.records.chain.current.authority} ${disk?.records.head?.id}`),
    );
    const settled = disks.every(({ disk }) => disk !== null && disk.ownership.source.phase === 'idle');
    if (owners.length === 1 && views.size === 1 && settled) return owners[0]!.host;
    if (clock.nowUs() > endUs) {
      const states = disks.map(
        ({ host, disk }) =>
          `${host.name}: ${JSON.stringify(disk?.ownership.standing())}, ${disk?.ownership.source.phase}, epoch ${disk?.records.chain.current.epoch}, sequence ${disk?.records.head?.sequence}, links ${disk?.peers.links().length}`,
      );
      throw new Error(`the hosts do not agree: ${states.join('; ')}`);
    }
    await world.pause(500);
  }
}

/** All of the disk, as a guest at `host` sees it. */
async function look(world: World, host: SimulatedHost): Promise<void> {
  await host.whenUp();
  if (host.attachment === null) await host.ask('disk.attach', { name: NAME, readOnly: false, socket: null });
  const guest = new Guest(world, host, host.attachment!);
  await guest.readAll();
  await guest.disconnect();
}

function pairs(world: World): [SimulatedHost, SimulatedHost][] {
  const [a, b, c] = world.hosts as [SimulatedHost, SimulatedHost, SimulatedHost];
  return [
    [a, b],
    [a, c],
    [b, c],
  ];
}
