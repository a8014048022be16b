/**
 * The migrations of this host: those that leave, those that arrive, and who is told which message.
 *
 * One at a time for each machine. What a restart of the agent finds of a migration is put in order here: a machine that had not been given away goes on,
 * one that was accepted runs here, one that had not arrived is put away.
 */
import { DiskswarmError, type HostId, messageOf, toHex } from '@diskswarm/core';
import {
  type DiskMode,
  decodeMigrationMessage,
  encodeMigrationMessage,
  type MigrationMessage,
  type Prepare,
  type ThrottlePolicy,
} from '@diskswarm/migration';
import type { PeerStream, StreamHandlers } from '@diskswarm/swarm';
import type { Agent } from '../agent/agent.ts';
import type { MigrationPort } from '../agent/agent-options.ts';
import type { ManagedDisk } from '../agent/managed-disk.ts';
import { encodeDefinition } from '../vm/definition.ts';
import type { Vm } from '../vm/vm.ts';
import type { VmManager } from '../vm/vm-manager.ts';
import { DestinationRunner } from './destination-runner.ts';
import { withoutEnd } from './migration-report.ts';
import { answerProbe, PROBE_LABEL } from './rate-probe.ts';
import { SourceRunner } from './source-runner.ts';

/** Machines on their way here at once. */
const MAX_ARRIVALS = 16;
/** Of multifd: enough to fill a link while zstd runs on another core. */
const MEMORY_CHANNELS = 2;

export interface MigrateOptions {
  readonly diskMode: DiskMode;
  readonly maxDowntimeMs: number;
  readonly bytesPerSecond: number | null;
  readonly compress: boolean;
  readonly autoConverge: boolean;
  readonly throttle: ThrottlePolicy;
}

export class Migrations implements MigrationPort {
  readonly #agent: Agent;
  readonly #vms: VmManager;
  readonly #folder: string;
  readonly #leaving = new Map<string, SourceRunner>();
  readonly #arriving = new Map<string, DestinationRunner>();

  /** `folder`: the state folder. */
  constructor(agent: Agent, vms: VmManager, folder: string) {
    this.#agent = agent;
    this.#vms = vms;
    this.#folder = folder;
  }

  /** Puts in order what the agent before left. */
  async start(): Promise<void> {
    for (const vm of this.#vms.list()) {
      const report = withoutEnd(vm.record.report);
      if (report !== null) await vm.note({ report });
      await this.#settle(vm).catch((error: unknown) =>
        this.#agent.env.log.warn(
          { vm: vm.name },
          `machine "${vm.name}" could not be put in order: ${messageOf(error)}`,
        ),
      );
    }
  }

  /** Moves a machine to a connected host; what becomes of it is in the runner's state. VM_STATE, PEER_UNREACHABLE. */
  async leave(vm: Vm, to: HostId, options: MigrateOptions): Promise<SourceRunner> {
    const { version } = await this.#vms.machinery.program();
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
    const channels = options.compress ? MEMORY_CHANNELS : 0;
    const runner = new SourceRunner({
      agent: this.#agent,
      vm,
      to,
      plan: {
        migration: toHex(this.#agent.env.random.bytes(16)),
        diskMode: options.diskMode,
        maxDowntimeMs: options.maxDowntimeMs,
        channels,
        compress: options.compress,
        definition: encodeDefinition(vm.record.definition),
        qemuVersion: version,
        memoryBytes: vm.record.definition.memoryBytes,
      },
      memory: {
        channels,
        compress: options.compress,
        autoConverge: options.autoConverge,
        bytesPerSecond: options.bytesPerSecond,
      },
      throttle: options.throttle,
    });
    this.#leaving.set(vm.name, runner);
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
    const after = Promise.all(over.map(([, runner]) => runner.settled));
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
    runner.start();
  }

  async #settle(vm: Vm): Promise<void> {
    const { state } = vm.record;
    if (state === 'moved' && vm.process !== null) await vm.release('moved', vm.record.reason);
    if (state === 'running' && vm.process !== null) {
      // It was on its way when the agent ended; nothing had been given away, or it would be in doubt.
      await vm.process.qmp.execute('migrate_cancel', {});
      await vm.runOn();
      return;
    }
    if (state !== 'incoming' && state !== 'inDoubt') return;
    const standings = vm.disks().map((disk) => disk.ownership.standing().state);
    const qmp = vm.process?.qmp;
    if (standings.every((standing) => standing === 'writable')) {
      // Accepted here before the agent ended, or never given away.
      if (qmp === undefined) {
        await vm.note({
          state: 'stopped',
          reason: 'QEMU ended while the agent was away; its disks are here: start it again',
        });
        return;
      }
      if (state === 'inDoubt') await qmp.execute('migrate_cancel', {});
      await vm.runOn();
      await vm.note({ state: 'running', reason: '' });
    } else if (state === 'incoming' && standings.includes('writable')) {
      // Some were accepted: the machine had arrived, and the others are offered again.
      this.#settleLater(vm, (standing) => standing === 'writable');
    } else if (state === 'incoming') {
      await vm.release('stopped', 'the agent ended while the machine was on its way here');
      for (const disk of vm.disks()) {
        disk.live.examineOffers(() => {
          disk.live.examineOffers(null);
          return Promise.reject(
            new DiskswarmError('VM_STATE', 'the agent ended while the machine was on its way here'),
          );
        });
      }
    } else if (standings.every((standing) => standing === 'elsewhere')) {
      await vm.release('moved', 'it was given to another host');
    } else {
      await this.#offerTheRest(vm);
      this.#settleLater(vm, (standing) => standing !== 'held');
    }
  }

  /** The agent ended between two offers: a machine goes with all of its disks or with none, and one offer cannot be taken back. */
  async #offerTheRest(vm: Vm): Promise<void> {
    const offered = vm
      .disks()
      .flatMap(({ ownership: { source } }) => (source.phase === 'relinquished' ? [source.relinquish.to] : []));
    const to = offered[0];
    if (to === undefined) return;
    for (const disk of vm.disks()) {
      if (disk.ownership.standing().state !== 'writable') continue;
      const handOver = disk.live.handOver(to);
      await handOver.held();
      await handOver.seal();
      await handOver.relinquish();
    }
  }

  /** In doubt until the verdicts come: they decide. */
  #settleLater(vm: Vm, decided: (standing: string) => boolean): void {
    const wait = async (): Promise<void> => {
      for (const disk of vm.disks())
        await disk.changed.until(() => decided(disk.ownership.standing().state), {
          signal: new AbortController().signal,
        });
      await this.#settle(vm);
    };
    wait().catch((error: unknown) =>
      this.#agent.env.log.warn({ vm: vm.name }, `machine "${vm.name}" stays in doubt: ${messageOf(error)}`),
    );
  }
}
