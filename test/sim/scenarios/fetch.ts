/**
 * One host fetches a disk from several: some slow, one that lies about bytes, all of them losing connections and processes.
 *
 * Every read gets the right bytes, the pull completes, nothing wrong is stored, and where nothing else disturbed it the liar ends up banned.
 */
import { KIB } from '@diskswarm/core';
import { Guest } from '../guest.ts';
import { attempt } from '../outcomes.ts';
import type { Scenario } from '../scenarios.ts';
import type { SimulatedHost } from '../simulated-host.ts';
import { NAME, World } from '../world.ts';

const TROUBLE_MS = 60_000;
/** So many answers of a host near by cannot all have come too late. */
const LIES_TO_NOTICE = 8;
const GOODBYES = ['ABORTED', 'PEER_UNREACHABLE'] as const;

export const fetch: Scenario = {
  prepare: (simulation) => {
    const chunkSizeBytes = simulation.random.pick([16, 64]) * KIB;
    const world = new World(simulation, {
      hosts: ['home', 'office', 'hotel', 'cafe'],
      sizeBytes: 320 * 16 * KIB,
      chunkSizeBytes,
    });
    return { world, play: () => play(world) };
  },
  limits: { maxEvents: 2_000_000, maxSimulatedMs: 4 * 3_600_000 },
};

async function play(world: World): Promise<void> {
  const { random, network } = world.simulation;
  const [home, office, hotel, cafe] = world.hosts as [SimulatedHost, SimulatedHost, SimulatedHost, SimulatedHost];
  await world.start();
  await Promise.all([office.ask('disk.pull', { name: NAME }), hotel.ask('disk.pull', { name: NAME })]);
  for (const host of world.hosts) {
    network.setRates(host.name, {
      upBytesPerSecond: random.pick([40, 200, 2000]) * KIB,
      downBytesPerSecond: random.pick([200, 2000]) * KIB,
    });
    for (const other of world.hosts) {
      if (host.name < other.name)
        network.setLink(host.name, other.name, {
          delayMs: random.pick([1, 20, 100]),
          jitterMs: random.pick([0.1, 30]),
        });
    }
  }
  const calm = random.chance(0.3);
  const liar = { chance: random.pick([0, 0.2, 1]), told: 0 };
  if (liar.chance === 1) {
    network.setRates(hotel.name, {});
    network.setLink(hotel.name, cafe.name, { delayMs: 1 });
  }
  const corrupt = (): void => lie(world, hotel, liar);
  hotel.onUp = corrupt;
  corrupt();
  let over = false;
  const trouble = calm ? Promise.resolve() : disturb(world, () => over);
  const pulled = pullAll(world, cafe).then(() => {
    over = true;
  });
  await Promise.all([readAlong(world, cafe, () => over), pulled, trouble]);
  await world.pause(1_000);
  for (const host of [home, office, cafe]) {
    await host.whenUp();
    const { corrupt: damaged } = await host.ask('store.verify', {});
    if (damaged.length > 0) throw new Error(`${host.name} stored what is wrong: ${damaged.join(', ')}`);
  }
  const { piecesTotal, piecesZero, piecesPresent } = await cafe.ask('disk.info', { name: NAME });
  if (piecesPresent + piecesZero !== piecesTotal)
    throw new Error(`the pull completed with ${piecesPresent} of ${piecesTotal - piecesZero} pieces`);
  if (calm && liar.chance === 1) {
    // Where lies come late, the truth from elsewhere may have overtaken all of them.
    const { peers } = await cafe.ask('peer.ls', {});
    const banned = peers.some((peer) => peer.hostId === hotel.hostId && peer.banned);
    if (liar.told >= LIES_TO_NOTICE && !banned) throw new Error(`the host that told ${liar.told} lies is not banned`);
  }
  // From here on the machine stands alone.
  for (const host of [home, office, hotel]) network.partition(host.name, cafe.name);
  await readAll(world, cafe);
}

/** The host sends bytes that are not the chunk's. */
function lie(world: World, host: SimulatedHost, liar: { chance: number; told: number }): void {
  const server = host.managed?.peers.server;
  if (server === undefined) return;
  const honest = server.readPiece.bind(server);
  server.readPiece = async (generation, piece, to, room) => {
    const bytes = await honest(generation, piece, to, room);
    if (bytes === null || !world.simulation.random.chance(liar.chance)) return bytes;
    const wrong = bytes.slice();
    wrong[world.simulation.random.below(wrong.length)]! ^= 1 << world.simulation.random.below(8);
    if (to === world.host('cafe').hostId) liar.told++;
    return wrong;
  };
}

async function disturb(world: World, over: () => boolean): Promise<void> {
  const { random, network, clock } = world.simulation;
  const endUs = clock.nowUs() + TROUBLE_MS * 1000;
  while (!over() && clock.nowUs() < endUs) {
    await world.pause(random.below(6_000));
    const host = random.pick(world.hosts);
    const [a, b] = [host.name, random.pick(world.hosts.filter((other) => other !== host)).name];
    const kinds: readonly (() => void)[] = [
      () => void network.breakAnyConnection(),
      () => network.breakConnections(a, b),
      () => {
        network.partition(a, b);
        clock.setTimer(random.below(30_000), () => network.heal(a, b));
      },
      () => host.kill(random.pick(['crash', 'power cut'])),
    ];
    random.pick(kinds)();
  }
}

async function pullAll(world: World, host: SimulatedHost): Promise<void> {
  for (;;) {
    const outcome = await attempt(host.ask('disk.pull', { name: NAME }), GOODBYES);
    if ('result' in outcome) return;
    await world.pause(500);
  }
}

/** A guest reads at random while the disk comes. */
async function readAlong(world: World, host: SimulatedHost, over: () => boolean): Promise<void> {
  const { random } = world.simulation;
  while (!over()) {
    await host.whenUp();
    if (host.attachment === null)
      await attempt(host.ask('disk.attach', { name: NAME, readOnly: true, socket: null }), [
        'DISK_ATTACHED',
        'GENERATION_NOT_FOUND',
      ]);
    const { attachment } = host;
    if (attachment !== null) {
      const guest = new Guest(world, host, attachment);
      await guest.work({ requests: random.between(1, 20), depth: random.between(1, 4), pauseMs: 50, readOnly: true });
      await guest.disconnect();
    }
    await world.pause(random.below(500));
  }
}

async function readAll(world: World, host: SimulatedHost): Promise<void> {
  if (host.attachment === null) await host.ask('disk.attach', { name: NAME, readOnly: true, socket: null });
  const guest = new Guest(world, host, host.attachment!);
  await guest.readAll();
  await guest.disconnect();
}
