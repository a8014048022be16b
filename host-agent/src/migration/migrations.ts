/**
 * The migrations of this host: those that leave, those that arrive, and who is told which message.
 *
 * One at a time for each machine. What a restart of the agent finds of them is put in order by unfinished.ts, before anything new begins.
 */
import { DiskswarmError, type HostId, toHex } from '@diskswarm/core';
import {
  type DiskMode,
  decodeMigrationMessage,
  encodeMigrationMessage,
  type MemoryMode,
  type MigrationMessage,
  type Prepare,
  type ThrottlePolicy,
} from '@diskswarm/migration';
import type { PeerStream, StreamHandlers } from '@diskswarm/swarm';
import type { Agent } from '../agent/agent.ts';
import type { MigrationPort } from '../agent/agent-options.ts';
import type { ManagedDisk } from '../agent/managed-disk.ts';
import { encodeDefinition } from '../vm/definition.ts';
import { assertMovable } from '../vm/movable.ts';
import type { Vm } from '../vm/vm.ts';
import type { VmManager } from '../vm/vm-manager.ts';
import { DestinationRunner } from './destination-runner.ts';
import { MoveCounts } from './move-counts.ts';
import { answerProbe, PROBE_LABEL } from './rate-probe.ts';
import { SourceRunner } from './source-runner.ts';
import { Unfinished } from './unfinished.ts';

/** Machines on their way here at once. */
const MAX_ARRIVALS = 16;
/** Of multifd: enough to fill a link while zstd runs on another core. */
const MEMORY_CHANNELS = 2;

export interface MigrateOptions {
  readonly diskMode: DiskMode;
  readonly memoryMode: MemoryMode;
  readonly maxDowntimeMs: number;
  readonly bytesPerSecond: number | null;
  readonly compress: boolean;
  readonly autoConverge: boolean;
  readonly throttle: ThrottlePolicy;
  /** Nothing of the disks is sent before; it does not reject. @default at once */
  readonly measured?: Promise<unknown>;
}

export class Migrations implements MigrationPort {
  readonly counts = new MoveCounts();
  readonly #agent: Agent;
  readonly #vms: VmManager;
  readonly #folder: string;
  readonly #unfinished: Unfinished;
  readonly #leaving = new Map<string, SourceRunner>();
  readonly #arriving = new Map<string, DestinationRunner>();

  /** `folder`: the state folder. */
  constructor(agent: Agent, vms: VmManager, folder: string) {
    this.#agent = agent;
    this.#vms = vms;
    this.#folder = folder;
    this.#unfinished = new Unfinished(agent, vms);
  }

  /** Finds what the agent before left; before any other host is heard. */
  beforePeers(): void {
    this.#vms.load();
    this.#unfinished.expect();
  }

  /** Puts in order what the agent before left. */
  async start(): Promise<void> {
    await this.#vms.resume();
    await this.#unfinished.settle();
  }

  /** Before anything else of the agent ends: what that breaks is no failure of a move. */
  stop(): void {
    for (const runner of [...this.#leaving.values(), ...this.#arriving.values()]) runner.halt();
  }

  /** Moves a machine to a connected host; what becomes of it is in the runner's state. VM_STATE, PEER_UNREACHABLE. */
  async leave(vm: Vm, to: HostId, options: MigrateOptions): Promise<SourceRunner> {
    const { version } = await this.#vms.machinery.program();
    await assertMovable(vm);
    for (;;) {
      // What ended may still be putting the machine back to work, and somebody else may wait for that too.
      const before = this.#leaving.get(vm.name);
      if (before === undefined) break;
      if (before.state.phase !== 'ended')
        throw new DiskswarmError('VM_STATE', `machine "${vm.name}" is being moved already, to host ${before.to}`, {
          data: { vm: vm.name },
        });
      await before.settled;
      if (this.#leaving.get(vm.name) === before) break;
    }
    for (const disk of vm.disks()) {
      if (disk.peers.link(to) === undefined)
        throw new DiskswarmError(
          'PEER_UNREACHABLE',
          `host ${to} is not connected, or has not joined disk "${disk.name}"; start its agent, and give both a tracker or --peer`,
          { data: { disk: disk.disk, host: to } },
        );
    }
    // Post-copy goes over one plain connection, and zstd is multifd's.
    const postcopy = options.memoryMode === 'postcopy';
    const compress = options.compress && !postcopy;
    const channels = compress ? MEMORY_CHANNELS : 0;
    const runner = new SourceRunner({
      agent: this.#agent,
      vm,
      to,
      plan: {
        migration: toHex(this.#agent.env.random.bytes(16)),
        diskMode: options.diskMode,
        memoryMode: options.memoryMode,
        maxDowntimeMs: options.maxDowntimeMs,
        channels,
        compress,
        definition: encodeDefinition(vm.record.definition),
        qemuVersion: version,
        memoryBytes: vm.record.definition.memoryBytes,
      },
      memory: {
        channels,
        compress,
        autoConverge: options.autoConverge,
        postcopy,
        bytesPerSecond: options.bytesPerSecond,
      },
      throttle: options.throttle,
      measured: options.measured ?? Promise.resolve(),
    });
    this.#leaving.set(vm.name, runner);
    this.counts.leaves(runner);
    runner.start();
    return runner;
  }

  /** The last migration of a machine from here; null when there was none in this run of the agent. */
  leaving(name: string): SourceRunner | null {
    return this.#leaving.get(name) ?? null;
  }

  onMessage(disk: ManagedDisk, from: HostId, bytes: Uint8Array): void {
    const message = decodeMigrationMessage(bytes);
    if (message.kind === 'prepare') this.#arrive(disk, from, message);
    else this.#runnerOf(from, message)?.hear(message);
  }

  onStream(stream: PeerStream): StreamHandlers | null {
    if (stream.label === PROBE_LABEL) return answerProbe(stream, this.#agent.env.clock);
    const runner = this.#arriving.get(stream.label.split('/')[0] ?? '');
    return runner?.from === stream.host ? runner.onStream(stream) : null;
  }

  #runnerOf(from: HostId, { migration }: MigrationMessage): { hear(message: MigrationMessage): void } | null {
    const arriving = this.#arriving.get(migration);
    if (arriving?.from === from) return arriving;
    for (const leaving of this.#leaving.values())
      if (leaving.to === from && leaving.state.plan.migration === migration) return leaving;
    return null;
  }

  #arrive(disk: ManagedDisk, from: HostId, prepare: Prepare): void {
    const over = [...this.#arriving].filter(([, runner]) => runner.state.phase === 'ended');
    const after = Promise.all([this.#unfinished.done, ...over.map(([, runner]) => runner.settled)]);
    for (const [migration] of over) this.#arriving.delete(migration);
    if (this.#arriving.size >= MAX_ARRIVALS || this.#arriving.has(prepare.migration)) {
      const refusal = {
        kind: 'refused',
        migration: prepare.migration,
        code: 'LIMIT_EXCEEDED',
        message: 'too many machines are on their way',
      } as const;
      disk.peers.sendMigration(from, encodeMigrationMessage(refusal));
      return;
    }
    const runner = new DestinationRunner({
      agent: this.#agent,
      vms: this.#vms,
      prepare,
      from,
      disk,
      after,
      folder: this.#folder,
    });
    this.#arriving.set(prepare.migration, runner);
    this.counts.arrives(runner);
    runner.start();
  }
}
