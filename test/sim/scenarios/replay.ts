/**
 * A member replays what was once true: old rosters, old generations, old epochs and hand-overs; and makes some up.
 *
 * No host ever takes an older record for the newest one, whatever the order it hears them in, and hosts that were away learn the newest only from
 * those who have it. Nobody but the owner's choice writes.
 */
import { type ErrorCode, KIB } from '@diskswarm/core';
import { createGeneration, createHostKeys, type Generation, type HostKeys, type Roster } from '@diskswarm/identity';
import { encodeOwnershipMessage } from '@diskswarm/ownership';
import { type ChannelHandlers, type DiskChannel, type DiskMembership, Swarm } from '@diskswarm/swarm';
import { Guest } from '../guest.ts';
import { attempt } from '../outcomes.ts';
import type { Scenario } from '../scenarios.ts';
import type { SimulatedHost } from '../simulated-host.ts';
import { NAME, World } from '../world.ts';

const ROUNDS = 5;
const NOT_NOW: readonly ErrorCode[] = [
  'PEER_UNREACHABLE',
  'TIMEOUT',
  'HANDOVER_IN_DOUBT',
  'NOT_OWNER',
  'ATTACHMENT_STATE',
  'CHUNK_NOT_FOUND',
  'SEAL_NEEDS_CHUNKS',
];

/** What the replayer has kept. */
interface Past {
  readonly rosters: Roster[];
  /** Generations with the epoch records that were known then. */
  readonly generations: { readonly generation: Generation; readonly epochs: readonly Uint8Array[] }[];
}

export const replay: Scenario = {
  prepare: (simulation) => {
    const world = new World(simulation, {
      hosts: ['home', 'office', 'hotel'],
      sizeBytes: 320 * KIB,
      chunkSizeBytes: 16 * KIB,
    });
    return { world, play: () => play(world) };
  },
};

async function play(world: World): Promise<void> {
  const { random } = world.simulation;
  const keys = createHostKeys(random.fork('replayer'));
  const past: Past = { rosters: [world.roster], generations: [] };
  world.grant(keys.hostId, 'reader');
  await world.start();
  const hotel = world.host('hotel');
  let owner = world.host('home');
  const away = random.chance(0.5);
  if (away)
    for (const host of world.hosts) if (host !== hotel) world.simulation.network.partition(host.name, hotel.name);
  for (let round = 0; round < ROUNDS; round++) {
    remember(owner, past);
    await write(world, owner);
    if (random.chance(0.4)) {
      past.rosters.push(world.roster);
      world.grant(createHostKeys(random).hostId, 'reader');
      await owner.use((agent) => agent.disk(NAME).applyRoster(world.roster.bytes));
    }
    if (random.chance(0.5)) {
      const next = owner.name === 'home' ? world.host('office') : world.host('home');
      await attempt(owner.ask('disk.detach', { name: NAME }), ['ATTACHMENT_STATE']);
      await owner.ask('disk.handover', { name: NAME, to: next.hostId });
      owner = next;
    }
  }
  const replayer = await start(world, keys, past);
  await world.pause(random.below(5_000));
  if (random.chance(0.5)) random.pick(world.hosts).kill('crash');
  if (away) for (const host of world.hosts) if (host !== hotel) world.simulation.network.heal(host.name, hotel.name);
  await world.pause(120_000);
  await replayer.stop();
  await hold(world, owner);
  await attempt(owner.ask('disk.attach', { name: NAME, readOnly: false, socket: null }), ['DISK_ATTACHED']);
  await write(world, owner);
  await world.pause(5_000);
  await hold(world, owner);
}

function remember(owner: SimulatedHost, past: Past): void {
  const { head, chain } = owner.managed!.records;
  past.generations.push({ generation: head!, epochs: chain.records.map((record) => record.bytes) });
}

/** A guest writes, and what it wrote is sealed. */
async function write(world: World, owner: SimulatedHost): Promise<void> {
  await owner.whenUp();
  if (owner.attachment === null)
    await attempt(owner.ask('disk.attach', { name: NAME, readOnly: false, socket: null }), ['DISK_ATTACHED']);
  const guest = new Guest(world, owner, owner.attachment!);
  await guest.work({ requests: 15, depth: 2, pauseMs: 5 });
  await guest.readAll();
  await guest.disconnect();
  const flush = world.model.beginFlush();
  if ('result' in (await attempt(owner.ask('disk.seal', { name: NAME }), NOT_NOW))) flush.completed();
}

/** All hosts know the newest roster, generation and owner. */
async function hold(world: World, owner: SimulatedHost): Promise<void> {
  for (const host of world.hosts) await host.whenUp();
  await world.pause(60_000);
  const newest = owner.managed!.records;
  for (const host of world.hosts) {
    const { records, ownership } = host.managed!;
    const found = {
      roster: records.roster.sequence,
      head: records.head?.id,
      owner: records.chain.current.owner,
      state: ownership.standing().state,
    };
    const expected = {
      roster: world.roster.sequence,
      head: newest.head?.id,
      owner: owner.hostId,
      state: host === owner ? 'writable' : 'elsewhere',
    };
    if (JSON.stringify(found) !== JSON.stringify(expected))
      throw new Error(`${host.name} believes ${JSON.stringify(found)} instead of ${JSON.stringify(expected)}`);
  }
}

/** A swarm that says only what it remembers, over and over. */
async function start(world: World, keys: HostKeys, past: Past): Promise<Swarm> {
  const { simulation } = world;
  const { clock, random, transport } = simulation.host('replayer');
  const swarm = new Swarm({ transport, clock, random, keys });
  await swarm.start({ listen: 'replayer:7000' });
  const membership: DiskMembership = {
    disk: world.disk,
    chunkSizeBytes: world.genesis.chunkSizeBytes,
    secrets: () => [world.secret],
    admits: () => true,
    rosterBundle: () => random.pick(past.rosters).bytes,
    takeRoster: async () => {},
    server: { readPiece: async () => null, readChunk: async () => null, readPath: async () => null },
    onChannel: (channel) => handlers(world, keys, past, channel),
  };
  swarm.addDisk(membership);
  for (const host of world.hosts) swarm.addPeerAddress(world.disk, host.address, 'peer');
  return swarm;
}

function handlers(world: World, keys: HostKeys, past: Past, channel: DiskChannel): ChannelHandlers {
  const { clock, random } = world.simulation.host('replayer');
  let closed = false;
  const say = (): void => {
    if (closed) return;
    random.pick([...truths(past, channel, random), ...(random.chance(0.1) ? lies(world, keys, past, channel) : [])])();
    clock.setTimer(random.below(2_000), say);
  };
  return {
    onReady: say,
    onGeneration: () => {},
    onClaims: () => {},
    onPiece: () => {},
    onRejected: () => {},
    onTrace: () => {},
    onOwnership: () => {},
    onMigration: () => {},
    onClose: () => {
      closed = true;
    },
  };
}

/** What was true once. */
function truths(
  past: Past,
  channel: DiskChannel,
  random: { pick<Item>(items: readonly Item[]): Item },
): (() => void)[] {
  const { generation, epochs } = random.pick(past.generations);
  const { disk, id, bytes } = generation;
  const record = random.pick(random.pick(past.generations).epochs);
  return [
    () => channel.sendRoster(random.pick(past.rosters).bytes),
    () => void channel.openGeneration({ generation: id, pieces: 20, record: bytes, epochs }),
    () => channel.sendOwnership(encodeOwnershipMessage({ kind: 'epoch', disk, record })),
    () => channel.sendOwnership(encodeOwnershipMessage({ kind: 'relinquish', disk, record, generation: bytes })),
  ];
}

/** What a member can sign, and nobody has to believe. */
function lies(world: World, keys: HostKeys, past: Past, channel: DiskChannel): (() => void)[] {
  const { generation } = past.generations.at(-1)!;
  const parent = { disk: world.disk, generation: generation.id };
  const forged = createGeneration({ ...generation, parent, sequence: generation.sequence + 100 }, keys);
  const epochs = past.generations.at(-1)!.epochs;
  return [
    () => void channel.openGeneration({ generation: forged.id, pieces: 20, record: forged.bytes, epochs }),
    () => void channel.openGeneration({ generation: forged.id, pieces: 20, record: generation.bytes, epochs }),
    () => channel.sendOwnership(encodeOwnershipMessage({ kind: 'ask', disk: world.disk, nonce: new Uint8Array(16) })),
  ];
}
