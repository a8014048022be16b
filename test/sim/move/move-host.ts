/**
 * A machine with the shipped agent, its machines and migrations on it, and modelled QEMUs beside it that outlive the agent.
 *
 * A supervisor starts the agent again whenever it died. Loss of power takes the QEMUs too.
 */
import type { Clock, HostId, Storage } from '@diskswarm/core';
import {
  Agent,
  type LocalAttachment,
  localOpener,
  type ManagedDisk,
  Migrations,
  type ProcessIdentity,
  type QemuCommand,
  VmManager,
} from '@diskswarm/host-agent';
import type { HostKeys } from '@diskswarm/identity';
import { decodeMigrationMessage } from '@diskswarm/migration';
import type { SimHost } from '@diskswarm/sim';
import { HostDied } from '../simulated-host.ts';
import { withDetour } from './detour.ts';
import { type OpenStream, OutletSocket } from './memory-socket.ts';
import type { MoveWorld } from './move-world.ts';
import { simMachinery } from './sim-machinery.ts';
import { SimQemu } from './sim-qemu.ts';

/** Where agents listen. */
export const PORT = 7000;
/** What was told to end has to end within this. */
const STOP_MS = 15_000;
const TRACKER = 'http://tracker.example/announce';

/** The agent and what it runs machines with, in one process. */
export interface Running {
  readonly agent: Agent;
  readonly vms: VmManager;
  readonly migrations: Migrations;
}

export class MoveHost {
  readonly world: MoveWorld;
  readonly name: string;
  readonly keys: HostKeys;
  readonly machine: SimHost;
  /** Open exports by the path of their sockets. */
  readonly exports = new Map<string, LocalAttachment>();
  /** Where the agent listens for memory. */
  readonly outlets = new Map<string, OpenStream>();
  /** How long the supervisor waits before it starts the agent again. */
  restartMs = 300;
  readonly #qemus: SimQemu[] = [];
  readonly #sockets = new Set<OutletSocket>();
  #running: Running | null = null;
  #death = Promise.withResolvers<void>();
  #opened = Promise.withResolvers<void>();
  #powerCuts = 0;

  constructor(world: MoveWorld, name: string, keys: HostKeys) {
    this.world = world;
    this.name = name;
    this.keys = keys;
    this.machine = world.simulation.host(name);
    this.machine.disk.onStop = (how) => this.kill(how);
  }

  get hostId(): HostId {
    return this.keys.hostId;
  }

  get address(): string {
    return `${this.name}:${PORT}`;
  }

  /** Null while the agent is down, or starts. */
  get running(): Running | null {
    return this.#running;
  }

  /** QEMUs that live. */
  machines(): SimQemu[] {
    return this.#qemus.filter(({ alive }) => alive);
  }

  find({ pid }: ProcessIdentity): SimQemu | null {
    return this.machines().find(({ identity }) => identity.pid === pid) ?? null;
  }

  /** Starts a modelled QEMU. */
  spawn(command: QemuCommand): SimQemu {
    const qemu = new SimQemu(this, command, this.world.nextPid());
    this.#qemus.push(qemu);
    this.world.step(`${this.name} starts qemu`);
    return qemu;
  }

  /** QEMU connects to the outlet at a path. */
  connectOutlet(path: string): OutletSocket {
    const open = this.outlets.get(path);
    if (open === undefined) throw new Error('Failed to connect: No such file or directory');
    const socket = new OutletSocket(open, 0);
    this.#sockets.add(socket);
    return socket;
  }

  /** Resolves when the next export has opened. */
  nextExport(): Promise<void> {
    return this.#opened.promise;
  }

  /** Resolves when that run of the agent is over. */
  readonly deathOf = (incarnation: number): Promise<void> =>
    this.machine.incarnation === incarnation ? this.#death.promise : Promise.resolve();

  /** The agent dies in the middle of whatever it does, and with the power also everything else; it is started again. */
  kill(how: 'crash' | 'power cut'): void {
    if (how === 'power cut') {
      this.#powerCuts++;
      this.world.losesPower(this);
      this.machine.powerCut();
      for (const qemu of this.machines()) qemu.end('the machine lost power');
    } else this.machine.crash();
    this.#running = null;
    for (const qemu of this.machines()) qemu.agentDied();
    for (const socket of this.#sockets) socket.cut();
    this.#sockets.clear();
    this.outlets.clear();
    this.exports.clear();
    this.#death.resolve();
    this.#death = Promise.withResolvers();
    const { incarnation } = this.machine;
    this.world.later(this.restartMs, () => {
      if (this.machine.incarnation === incarnation) this.boot().catch((error: unknown) => this.world.fail(error));
    });
  }

  /** The agent is told to end, as by a supervisor that starts it again. */
  async stop(): Promise<void> {
    const { running } = this;
    const { incarnation } = this.machine;
    if (running === null) return;
    this.#running = null;
    running.migrations.stop();
    running.vms.stop();
    const ended = await Promise.race([running.agent.stop().then(() => true), this.world.pause(STOP_MS)]);
    if (this.machine.incarnation !== incarnation) return;
    if (ended !== true) throw new Error(`the agent at ${this.name} does not end`);
    this.kill('crash');
  }

  /** Starts the agent, as run.ts does. */
  async boot(): Promise<void> {
    const { machine, world, name } = this;
    const { storage, clock, random, incarnation } = machine;
    const transport = world.detoured ? withDetour(this, machine.transport) : machine.transport;
    const note = (_: object, message: string): void => {
      if (machine.incarnation === incarnation) world.note(`${name} says: ${message}`);
    };
    const agent = new Agent({
      storage,
      clock,
      random,
      transport,
      trackerClient: { announce: () => world.announce(this) },
      keys: this.keys,
      opener: this.#opener({ storage, clock }),
      log: { info: note, warn: note, error: note },
      bootId: `boot ${this.#powerCuts}`,
      socketFor: async (what) => `/run/${what}.sock`,
      listen: this.address,
      addressesOf: (listen) => [listen],
      segmentOf: null,
      trackers: [TRACKER],
      peers: [world.wayTo(world.other(this))],
      uploadBytesPerSecond: null,
      downloadBytesPerSecond: null,
    });
    const vms = new VmManager(agent, '/machines', simMachinery(this));
    const migrations = new Migrations(agent, vms, '/state');
    agent.migrations = {
      beforePeers: () => migrations.beforePeers(),
      onMessage: (disk, from, bytes) => {
        const message = decodeMigrationMessage(bytes);
        const copy = bytes.slice();
        if ('message' in message) world.note(`${message.code}: ${message.message}`);
        world.deliver(`${name} hears ${message.kind}`, () => {
          if (machine.incarnation === incarnation) migrations.onMessage(disk, from, copy);
        });
      },
      onStream: (stream) => migrations.onStream(stream),
    };
    const started = async (): Promise<Running> => {
      await agent.start();
      await migrations.start();
      return { agent, vms, migrations };
    };
    const running = await Promise.race([started(), this.deathOf(incarnation)]);
    if (machine.incarnation === incarnation && running !== undefined) this.#running = running;
  }

  /** The agent that runs, or the next one. */
  async up(): Promise<Running> {
    while (this.#running === null) await this.world.pause(50);
    return this.#running;
  }

  /** Does something with the agent; HostDied when it dies first. */
  async use<Result>(work: (running: Running) => Promise<Result>): Promise<Result> {
    const running = await this.up();
    const died = this.deathOf(this.machine.incarnation).then(() => {
      throw new HostDied(this.name);
    });
    return Promise.race([work(running), died]);
  }

  /** The disks of this machine, as the agent that runs has them. */
  get disks(): readonly ManagedDisk[] {
    return this.#running?.agent.disks ?? [];
  }

  #opener(process: { storage: Storage; clock: Clock }): ReturnType<typeof localOpener> {
    return localOpener(process, (attachment) => {
      const { disk, epoch, socketPath } = attachment.spec;
      this.exports.set(socketPath, attachment);
      if (attachment.view.attachment.kind === 'writable') this.world.writable(this, disk, epoch);
      const { activate, close, fence } = attachment;
      attachment.activate = async (base) => {
        await activate.call(attachment, base);
        this.world.writable(this, disk, epoch);
      };
      attachment.fence = async () => {
        await fence.call(attachment);
        this.world.fenced(this, disk, epoch);
      };
      attachment.close = async () => {
        if (this.exports.get(socketPath) === attachment) this.exports.delete(socketPath);
        await close.call(attachment);
      };
      const opened = this.#opened;
      this.#opened = Promise.withResolvers();
      opened.resolve();
    });
  }
}
