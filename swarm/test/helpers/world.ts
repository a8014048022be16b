/** Worlds of hosts in memory: a clock that moves when told, links with a rate and a delay, disks with an owner. */
import { PAGE_BYTES } from '@diskswarm/core';
import { TestClock, TestRandom } from './test-clock.ts';
import { chunkOf, offered, TestDisk, TestHost, type TestMembership } from './test-host.ts';
import { TestNetwork } from './test-network.ts';

export interface HostLimits {
  uploadBytesPerSecond?: number;
  downloadBytesPerSecond?: number;
}

export class World {
  readonly clock = new TestClock();
  readonly random: TestRandom;
  readonly network: TestNetwork;

  constructor(seed = 1) {
    this.random = new TestRandom(seed);
    this.network = new TestNetwork(this.clock, this.random);
  }

  /** A host that listens at `name:1`. */
  async host(name: string, limits?: HostLimits): Promise<TestHost> {
    const host = new TestHost(this.network.transport(name), this.clock, this.random, limits);
    await host.swarm.start({ listen: `${name}:1` });
    return host;
  }
}

export interface Pair {
  readonly world: World;
  readonly home: TestHost;
  readonly office: TestHost;
  readonly disk: TestDisk;
  readonly atHome: TestMembership;
  readonly atOffice: TestMembership;
}

/** Serves every piece and every path of anything. */
export function serveAll(membership: TestMembership): void {
  membership.server = {
    readPiece: async (_generation, index) => chunkOf(index, membership.chunkSizeBytes),
    readChunk: async () => null,
    readPath: async (_root, _piece, fromLevel) =>
      Array.from({ length: fromLevel + 1 }, () => new Uint8Array(PAGE_BYTES).fill(9)),
  };
}

/** Home serves generation one, office has dialled it and knows of it. */
export async function connectedPair(
  options: {
    seed?: number;
    pieces?: number;
    home?: HostLimits;
    office?: HostLimits;
    link?: { readonly rate: number; readonly delayMs: number };
  } = {},
): Promise<Pair> {
  const world = new World(options.seed);
  Object.assign(world.network.link('home'), options.link);
  const home = await world.host('home', options.home);
  const office = await world.host('office', options.office);
  const disk = new TestDisk(home.id, world.random);
  disk.grant(office.id);
  const atHome = home.join(disk);
  const atOffice = office.join(disk);
  serveAll(atHome);
  office.swarm.addPeerAddress(disk.genesis.disk, 'home:1', 'peer');
  await world.clock.until(() => atHome.ready.length > 0 && atOffice.ready.length > 0);
  atHome.ready[0]?.openGeneration(offered(options.pieces ?? 100));
  await world.clock.until(() => atOffice.generations.length > 0);
  return { world, home, office, disk, atHome, atOffice };
}
