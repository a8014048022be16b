/**
 * Two hosts, a machine on one or two disks, and the checkers that watch every instant of its moves.
 *
 * At no time do two QEMUs run the guest, nor two hosts take writes of a disk; no guest goes back in time, loses what it was told, or gets an I/O error.
 */
import type { AnnounceResponse } from '@diskswarm/announce';
import { type Address, type DiskId, DiskswarmError, sleep } from '@diskswarm/core';
import {
  createGenesis,
  createGrant,
  createHostKeys,
  createInvitation,
  createOwner,
  firstRoster,
  grantMember,
  type Owner,
} from '@diskswarm/identity';
import { OneWriterChecker, type SeededRandom, type Simulation } from '@diskswarm/sim';
import { relayAddressOf } from '@diskswarm/swarm';
import { MoveHost, PORT } from './move-host.ts';
import { NumberedDisk } from './numbered-disk.ts';
import type { GuestMemory } from './numbered-guest.ts';
import type { SimQemu } from './sim-qemu.ts';

/** The machine's name on both hosts. */
export const VM = 'vm';
const CHUNK_BYTES = 16 * 1024;
const SIZE_BYTES = 24 * CHUNK_BYTES;

interface WorldDisk {
  readonly name: string;
  readonly disk: DiskId;
  readonly numbers: NumberedDisk;
}

export class MoveWorld {
  readonly simulation: Simulation;
  readonly random: SeededRandom;
  readonly home: MoveHost;
  readonly office: MoveHost;
  readonly disks: WorldDisk[] = [];
  /** Rejects when a checker finds a violation. */
  readonly failed: Promise<never>;
  /** Called at every message of a migration, and at every word between an agent and a QEMU. */
  onStep: (step: string) => void = () => {};
  /** Decides about a message of a migration that has arrived; true keeps it from the agent. */
  onMessage: (step: string, deliver: () => void) => boolean = () => false;
  trackerGone = false;
  /** The hosts know a way through a third host (`detour.ts`). */
  detoured = false;
  /** They reach each other without it. */
  straight = true;
  /** Until then something is wrong with the link. */
  calmUs = 0;
  readonly #owner: Owner;
  readonly #writers = new OneWriterChecker();
  readonly #writer = new Map<DiskId, { readonly host: MoveHost; readonly epoch: number }>();
  readonly #newest = new Map<number, number>();
  #runs: SimQemu | null = null;
  #numbers = 10_000;
  #boots = 0;
  #pids = 100;
  #fail: (error: unknown) => void = () => {};

  constructor(simulation: Simulation) {
    this.simulation = simulation;
    this.random = simulation.random.fork('guest');
    const people = simulation.random.fork('people');
    this.#owner = createOwner(people);
    this.failed = new Promise((_, reject) => {
      this.#fail = reject;
    });
    this.failed.catch(() => {}); // Whoever plays waits for it too.
    this.home = new MoveHost(this, 'home', createHostKeys(people));
    this.office = new MoveHost(this, 'office', createHostKeys(people));
  }

  get hosts(): readonly MoveHost[] {
    return [this.home, this.office];
  }

  /** The QEMU whose guest runs; null while none does. */
  get runs(): SimQemu | null {
    return this.#runs;
  }

  other(host: MoveHost): MoveHost {
    return host === this.home ? this.office : this.home;
  }

  /** Starts both agents, makes the disks at home, has the office join, and starts the machine. */
  async start(count: number): Promise<void> {
    await Promise.all(this.hosts.map((host) => host.boot()));
    const random = this.simulation.random.fork('disks');
    for (const name of ['a', 'b'].slice(0, count)) {
      const genesis = createGenesis(this.#owner, CHUNK_BYTES, random);
      const grant = createGrant(genesis, this.home.hostId, this.#owner);
      const { roster, secret } = firstRoster(genesis, this.home.hostId, this.#owner, random);
      const change = { genesis, roster, secret, host: this.office.hostId, role: 'writer' } as const;
      const both = grantMember(change, this.#owner, random);
      const numbers = new NumberedDisk(SIZE_BYTES, CHUNK_BYTES);
      this.disks.push({ name, disk: genesis.disk, numbers });
      const records = { genesis: genesis.bytes, roster: both.roster.bytes, epochs: [grant.bytes] };
      const options = { signal: new AbortController().signal, onProgress: () => {} };
      await this.home.running!.agent.importDisk({ name, sizeBytes: SIZE_BYTES, source: numbers, records }, options);
      const content = { genesis, roster: both.roster, epochs: [grant], trackers: [], addresses: [], name };
      await this.office.running!.agent.join(
        createInvitation({ ...content, host: this.office.hostId }, this.#owner),
        null,
      );
    }
    const wanted = { name: VM, disks: this.disks.map(({ name }) => name), memoryBytes: 2 ** 20, cpus: 1, args: [] };
    await this.home.running!.vms.startNew(wanted);
    await this.connected();
  }

  /** Resolves when the hosts see each other over every disk. */
  async connected(): Promise<void> {
    const meets = (host: MoveHost): boolean =>
      host.disks.length === this.disks.length &&
      host.disks.every((disk) => disk.peers.link(this.other(host).hostId) !== undefined && disk.content.head !== null);
    while (!this.hosts.every(meets)) await this.pause(100);
  }

  /** Where a host is found: through a third one while there is no straight way. */
  wayTo(host: MoveHost): Address {
    return this.straight ? host.address : relayAddressOf(host.hostId);
  }

  /** From the start the hosts reach each other through a third one only. */
  goAround(): void {
    this.detoured = true;
    this.straight = false;
  }

  /** The straight way opens, and both hosts hear of it. */
  openStraightWay(): void {
    this.straight = true;
    for (const host of this.hosts)
      for (const { disk } of host.disks)
        host.running?.agent.env.swarm.addPeerAddress(disk, this.other(host).address, 'tracker');
  }

  /** Opens the straight way, unless it is open, and resolves when the hosts are connected by it. */
  async straightened(): Promise<void> {
    if (!this.straight) this.openStraightWay();
    const ways = (host: MoveHost): (string | undefined)[] =>
      host.running?.agent.env.swarm.peers().map(({ address }) => address) ?? [];
    while (!this.hosts.every((host) => ways(host)[0]?.endsWith(`:${PORT}`))) await this.pause(100);
    await this.connected();
  }

  /** What the tracker answers. */
  async announce(host: MoveHost): Promise<AnnounceResponse> {
    await sleep(host.machine.clock, 2);
    if (this.trackerGone) throw new DiskswarmError('PEER_UNREACHABLE', 'the tracker is gone');
    const peers = [this.wayTo(this.other(host))];
    return { intervalSeconds: 60, minIntervalSeconds: 1, seeders: 0, leechers: 2, peers, warning: null };
  }

  /** Something that a fault may strike at. */
  step(what: string): void {
    this.note(what);
    this.onStep(what);
  }

  /** A message of a migration has arrived. */
  deliver(what: string, deliver: () => void): void {
    this.note(what);
    const kept = this.onMessage(what, deliver);
    this.onStep(what);
    if (!kept) deliver();
  }

  /** A QEMU runs its guest from now on. */
  resumed(qemu: SimQemu): void {
    this.check(() => {
      if (this.#runs !== null && this.#runs !== qemu)
        throw new Error(`${qemu.name} runs the guest while ${this.#runs.name} does`);
      const { boot, done } = qemu.guest!.memory;
      const newest = this.#newest.get(boot) ?? 0;
      if (done < newest || boot < this.#boots)
        throw new Error(
          `${qemu.name} runs the guest of boot ${boot} at request ${done}: it came to ${newest}, boot ${this.#boots}`,
        );
    });
    this.#runs = qemu;
  }

  paused(qemu: SimQemu): void {
    if (this.#runs === qemu) this.#runs = null;
  }

  qemuEnded(qemu: SimQemu): void {
    this.paused(qemu);
  }

  progressed({ boot, done }: GuestMemory): void {
    this.#newest.set(boot, Math.max(done, this.#newest.get(boot) ?? 0));
  }

  /** An export takes writes from now on. What it shows was safe at the host before. */
  writable(host: MoveHost, disk: DiskId, epoch: number): void {
    this.check(() => {
      const before = this.#writer.get(disk);
      if (before !== undefined && before.host !== host) {
        for (const { spec, view } of before.host.exports.values())
          if (spec.disk === disk && view.attachment.kind === 'writable')
            throw new Error(`${host.name} opens epoch ${epoch} while ${before.host.name} may still write`);
        this.#writers.fenced(disk, before.epoch, before.host.name);
        this.disks.find((each) => each.disk === disk)!.numbers.beginFlush()();
      }
      this.#writers.writable(disk, epoch, host.name);
      this.#writer.set(disk, { host, epoch });
    });
  }

  fenced(host: MoveHost, disk: DiskId, epoch: number): void {
    this.#writers.fenced(disk, epoch, host.name);
  }

  acknowledged(host: MoveHost, disk: DiskId, epoch: number): void {
    this.check(() => this.#writers.acknowledged(disk, epoch, host.name));
  }

  /** What no flush covered may go with it, where the disk is its own. */
  losesPower(host: MoveHost): void {
    for (const { disk, numbers } of this.disks) {
      if (this.#writer.get(disk)?.host !== host) continue;
      // What was offered is durable already.
      const managed = host.disks.find((each) => each.disk === disk);
      if (managed === undefined || managed.ownership.standing().state === 'writable') numbers.powerCut();
    }
  }

  nextNumber(): number {
    return ++this.#numbers;
  }

  nextBoot(): number {
    return ++this.#boots;
  }

  nextPid(): number {
    return ++this.#pids;
  }

  note(text: string): void {
    this.simulation.note(text);
  }

  later(ms: number, run: () => void): void {
    this.simulation.clock.setTimer(ms, run);
  }

  pause(ms: number): Promise<void> {
    return new Promise((resolve) => this.later(ms, resolve));
  }

  check(look: () => void): void {
    try {
      look();
    } catch (error) {
      this.fail(error);
    }
  }

  fail(error: unknown): void {
    this.note(`FAILED: ${String(error)}`);
    this.#fail(error);
  }
}
