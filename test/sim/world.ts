/**
 * One simulated world: a person's disk, the machines that may hold it, and the checkers that watch every one of them.
 *
 * Holds what the shipped agents do against three models: the disk's content, one writer at a time, and that no host ever goes
 * back to an older roster, generation or epoch. A violation fails the run at once, wherever it is found.
 */
import type { DiskId, HostId } from '@diskswarm/core';
import {
  createGenesis,
  createGrant,
  createHostKeys,
  createInvitation,
  createOwner,
  firstRoster,
  type Genesis,
  type Grant,
  grantMember,
  type Owner,
  type Role,
  type Roster,
  type SwarmSecret,
} from '@diskswarm/identity';
import { ModelDisk, OneWriterChecker, type Simulation } from '@diskswarm/sim';
import { Image } from './image.ts';
import { SimulatedHost } from './simulated-host.ts';

/** The name of the disk on every host. */
export const NAME = 'disk';

export interface WorldOptions {
  /** Machines by name; the first one imports the disk. All are writers. */
  readonly hosts: readonly string[];
  readonly sizeBytes: number;
  readonly chunkSizeBytes: number;
}

export class World {
  readonly simulation: Simulation;
  readonly owner: Owner;
  readonly genesis: Genesis;
  readonly image: Image;
  readonly model: ModelDisk;
  readonly writers = new OneWriterChecker();
  /** Rejects when a checker finds a violation outside of what the scenario waits for. */
  readonly failed: Promise<never>;
  /** Storage reports errors in this world. */
  storageFails = false;
  readonly #hosts = new Map<string, SimulatedHost>();
  readonly #grant: Grant;
  #roster: Roster;
  #secret: SwarmSecret;
  #fail: (error: unknown) => void = () => {};
  /** Who opened the disk for writing last, in which epoch. */
  #writer: { readonly host: SimulatedHost; readonly epoch: number } | null = null;

  constructor(simulation: Simulation, { hosts, sizeBytes, chunkSizeBytes }: WorldOptions) {
    this.simulation = simulation;
    const random = simulation.random.fork('people');
    this.owner = createOwner(random);
    this.genesis = createGenesis(this.owner, chunkSizeBytes, random);
    this.image = new Image(sizeBytes, simulation.random.fork('image'));
    this.model = new ModelDisk({ sizeBytes, initial: (offset, length) => this.image.bytes(offset, length) });
    this.failed = new Promise((_, reject) => {
      this.#fail = reject;
    });
    this.failed.catch(() => {}); // Whoever runs the scenario waits for it too.
    for (const name of hosts) this.#hosts.set(name, new SimulatedHost(this, name, createHostKeys(random)));
    const first = this.hosts[0]!;
    this.#grant = createGrant(this.genesis, first.hostId, this.owner);
    const change = firstRoster(this.genesis, first.hostId, this.owner, random);
    this.#roster = change.roster;
    this.#secret = change.secret;
    for (const { hostId } of this.hosts.slice(1)) this.grant(hostId, 'writer');
  }

  get disk(): DiskId {
    return this.genesis.disk;
  }

  get hosts(): SimulatedHost[] {
    return [...this.#hosts.values()];
  }

  get roster(): Roster {
    return this.#roster;
  }

  get secret(): SwarmSecret {
    return this.#secret;
  }

  host(name: string): SimulatedHost {
    return this.#hosts.get(name)!;
  }

  /** The owner lists one more host. */
  grant(host: HostId, role: Role): void {
    const change = { genesis: this.genesis, roster: this.#roster, secret: this.#secret, host, role };
    const next = grantMember(change, this.owner, this.simulation.random.fork(`grant ${host}`));
    this.#roster = next.roster;
    this.#secret = next.secret;
  }

  /** Starts every host, imports the disk at the first one, and lets the others join by invitation, except those that come `late`. */
  async start({ late = [] }: { late?: readonly SimulatedHost[] } = {}): Promise<void> {
    const [first, ...others] = this.hosts;
    await Promise.all(this.hosts.map((host) => host.boot()));
    const { genesis, roster } = this;
    await first!.use((agent, signal) =>
      agent.importDisk(
        {
          name: NAME,
          sizeBytes: this.model.sizeBytes,
          source: this.image,
          records: { genesis: genesis.bytes, roster: roster.bytes, epochs: [this.#grant.bytes] },
        },
        { signal, onProgress: () => {} },
      ),
    );
    for (const host of others) if (!late.includes(host)) await this.join(host);
  }

  /** The host joins by an invitation that was made at the beginning. HostDied when its process dies meanwhile: it may have joined or not. */
  async join(host: SimulatedHost): Promise<void> {
    const { genesis, roster } = this;
    const content = { genesis, roster, epochs: [this.#grant], trackers: [], addresses: [], name: NAME };
    const invitation = createInvitation({ ...content, host: host.hostId }, this.owner);
    await host.use((agent) => agent.join(invitation, null));
  }

  /** A host opened the disk for writing: the others can do so no more, and what it shows was safe at the one before. */
  opened(host: SimulatedHost, epoch: number): void {
    this.check(() => {
      for (const other of this.hosts) {
        if (other !== host && other.mayWrite)
          throw new Error(`${host.name} opens epoch ${epoch} while ${other.name} may still write`);
      }
      const before = this.#writer;
      if (before !== null && before.host !== host) {
        this.writers.fenced(this.disk, before.epoch, before.host.name);
        this.model.beginFlush().completed();
      }
      this.writers.writable(this.disk, epoch, host.name);
      this.#writer = { host, epoch };
    });
  }

  /** A write was acknowledged to a guest of `host`. */
  acknowledged(host: SimulatedHost, epoch: number): void {
    this.check(() => this.writers.acknowledged(this.disk, epoch, host.name));
  }

  /** A host's process died. Only that of the last writer takes content with it. */
  died(host: SimulatedHost, how: 'crash' | 'power cut'): void {
    if (this.#writer?.host !== host) return;
    if (how === 'crash') this.model.crash();
    else this.model.powerCut();
  }

  /** An export was given up because its storage failed: what was not flushed may be gone, as after a power cut. */
  exportFailed(host: SimulatedHost): void {
    if (this.#writer?.host === host) this.model.powerCut();
  }

  /** Lets simulated time pass. */
  pause(ms: number): Promise<void> {
    return new Promise((resolve) => this.simulation.clock.setTimer(ms, resolve));
  }

  /** Fails the run with what `look` throws. */
  check(look: () => void): void {
    try {
      look();
    } catch (error) {
      this.fail(error);
    }
  }

  fail(error: unknown): void {
    this.#fail(error);
  }
}
