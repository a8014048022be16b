/**
 * One virtual machine on this host: its record, its process while one runs, and its disks' exports.
 *
 * The record is durable before a process is trusted to exist, and after it ended. A process that ends by itself leaves its disks detached and its last
 * words as the reason. Steps are taken one at a time.
 */
import { DiskswarmError, messageOf, sleep } from '@diskswarm/core';
import type { Agent } from '../agent/agent.ts';
import { ChangeSignal } from '../agent/change-signal.ts';
import type { ManagedDisk } from '../agent/managed-disk.ts';
import { Turns } from '../agent/turns.ts';
import type { Machinery, QemuProcess } from './machinery.ts';
import type { VmDrive } from './qemu-command.ts';
import { encodeVmRecord, type VmRecord, type VmState } from './vm-record.ts';

/** A guest that was asked to power off may take so long before QEMU is told to quit. */
const POWERDOWN_PATIENCE_MS = 60_000;

/** Where a migration leaves a guest that does not run. */
const STOPPED_BY_MIGRATION: readonly string[] = ['paused', 'finish-migrate', 'postmigrate'];
const MAX_RESUME_TRIES = 50;
const RESUME_RETRY_MS = 100;
/** A QEMU that runs nothing any more, and cannot be seen from here, may take so long to quit. */
const RELEASE_PATIENCE_MS = 2_000;

export class Vm {
  readonly name: string;
  readonly changed = new ChangeSignal();
  readonly #agent: Agent;
  readonly machinery: Machinery;
  readonly #folder: string;
  readonly #turns = new Turns();
  #record: VmRecord;
  #process: QemuProcess | null = null;
  /** Set while the process's end is somebody's wish. */
  #ending = false;

  /** `folder`: absolute, of the logs. */
  constructor(agent: Agent, record: VmRecord, folder: string, machinery: Machinery) {
    this.name = record.definition.name;
    this.#agent = agent;
    this.#record = record;
    this.#folder = folder;
    this.machinery = machinery;
  }

  get record(): VmRecord {
    return this.#record;
  }

  /** The process that runs it; null when none does. */
  get process(): QemuProcess | null {
    return this.#process;
  }

  /** Empty where the machine's arguments made no console of ours. */
  get consoleLog(): string {
    return this.#record.definition.adopted === true ? '' : `${this.#folder}/${this.name}.console.log`;
  }

  get qemuLog(): string {
    return `${this.#folder}/${this.name}.qemu.log`;
  }

  /** The machine's disks on this host, in the order of its drives; DISK_NOT_FOUND. */
  disks(): ManagedDisk[] {
    return this.#record.definition.disks.map((id) => {
      const found = this.#agent.disks.find(({ disk }) => disk === id);
      if (found === undefined)
        throw new DiskswarmError('DISK_NOT_FOUND', `this host does not know disk ${id} of machine "${this.name}"`, {
          data: { disk: id, vm: this.name },
        });
      return found;
    });
  }

  /** Those of its disks that this host knows. */
  knownDisks(): ManagedDisk[] {
    const { disks } = this.#record.definition;
    return this.#agent.disks.filter(({ disk }) => disks.includes(disk));
  }

  /** Attaches the disks and starts QEMU. Whatever fails leaves nothing running and nothing attached. */
  start(): Promise<void> {
    return this.#turns.run(async () => {
      this.#assertIdle();
      const attached: ManagedDisk[] = [];
      try {
        const drives: VmDrive[] = [];
        for (const [index, disk] of this.disks().entries()) {
          const info = await disk.attach({ readOnly: false, socket: null });
          attached.push(disk);
          drives.push({ node: `disk${index}`, socket: info.socket, exportName: info.exportName });
        }
        await this.#launch(drives, 'running');
      } catch (error) {
        await this.#unlaunch(messageOf(error));
        for (const disk of attached) await disk.detach().catch(() => {});
        throw error;
      }
    });
  }

  /** Starts QEMU paused, waiting for its memory, on exports that are there. */
  startIncoming(drives: readonly VmDrive[]): Promise<QemuProcess> {
    return this.#turns.run(async () => {
      this.#assertIdle();
      await this.#launch(drives, 'incoming');
      return this.#process!;
    });
  }

  /** Makes a QEMU that somebody else started the process of this machine; its exports are there. */
  takeOver(running: QemuProcess, qmpSocket: string): Promise<void> {
    return this.#turns.run(async () => {
      this.#assertIdle();
      await this.#save({ state: 'running', reason: '', process: running.identity, foreign: true, qmpSocket });
      this.#adopt(running);
    });
  }

  /** Takes up a machine that ran when the agent ended; one that is gone is recorded as stopped. */
  resume(): Promise<void> {
    return this.#turns.run(async () => {
      const { process: identity, foreign, qmpSocket, state } = this.#record;
      if (identity === null && foreign !== true) return;
      const { clock } = this.#agent.env;
      const reconnect = (): Promise<QemuProcess | null> =>
        this.machinery.reconnect(identity, { qmpSocket, clock, log: foreign === true ? '' : this.qemuLog });
      if (state === 'moved' || state === 'stopped') {
        // The agent ended between the note and the end of the process, which may wait for exports that are gone, deaf to its monitor.
        if (identity !== null) await this.machinery.end(identity, clock);
        else await (await reconnect())?.quit();
        await this.#sweep();
        await this.#forgetProcess();
        return;
      }
      await this.#sweepMemory();
      const found = await reconnect().catch(async (error: unknown) => {
        if (foreign === true) await this.#save({ reason: lostMonitor(this.name, qmpSocket, error) });
        throw error;
      });
      if (found !== null && foreign === true) await this.#save({ reason: '' });
      if (found !== null) this.#adopt(found);
      else
        await this.#gone(
          state === 'incoming' ? 'it ended while the agent was away' : 'QEMU ended while the agent was away',
        );
    });
  }

  /** Ends the machine: the guest is asked to power off, unless `force`. */
  stop({ force, signal }: { force: boolean; signal: AbortSignal }): Promise<void> {
    return this.#turns.run(async () => {
      const running = this.#process;
      if (running === null)
        throw new DiskswarmError('VM_STATE', `machine "${this.name}" does not run`, { data: { vm: this.name } });
      this.#ending = true;
      try {
        if (!force) {
          await running.qmp.execute('system_powerdown', {}).catch(() => {});
          const { clock } = this.#agent.env;
          await Promise.race([running.exited, sleep(clock, POWERDOWN_PATIENCE_MS, { signal })]);
        }
        await running.quit();
      } finally {
        this.#ending = false;
      }
      await this.#gone('');
    });
  }

  /** Records `state` and ends the process, if one runs; the exports are left to the caller. */
  release(state: VmState, reason: string): Promise<void> {
    return this.#turns.run(async () => {
      const running = this.#process;
      await this.#save({ state, reason });
      this.#ending = true;
      try {
        // What it wrote is this agent's already. Asked to quit, it would flush its disks and wait for exports that answer no more.
        if (running?.identity === null) await running.quit(RELEASE_PATIENCE_MS);
        else await running?.kill();
        // Its monitor was not to be had when the agent began.
        const { process: identity } = this.#record;
        if (running === null && identity !== null) await this.machinery.end(identity, this.#agent.env.clock);
      } finally {
        this.#ending = false;
      }
      this.#process = null;
      await this.#sweep();
      await this.#forgetProcess();
    });
  }

  /** An incoming machine is this host's now. */
  note(change: Partial<Pick<VmRecord, 'state' | 'reason' | 'report'>>): Promise<void> {
    return this.#save(change);
  }

  /**
   * The guest goes on, however far a migration of QEMU had come; QEMU may still be winding that up.
   *
   * Where it failed, QEMU 7.2 may have let the guest go on with its disks put away, and aborts when the guest writes; `cont` brings them back.
   */
  async runOn(): Promise<void> {
    const qmp = this.#process?.qmp;
    if (qmp === undefined) return;
    const { status: migration } = await qmp.execute('query-migrate', {});
    for (let tries = 0; ; tries++) {
      const { status } = await qmp.execute('query-status', {});
      const mayBeAway = status === 'running' && migration === 'failed';
      if (!mayBeAway && !STOPPED_BY_MIGRATION.includes(status)) return;
      try {
        await qmp.execute('cont', {});
        return;
      } catch (error) {
        if (tries === MAX_RESUME_TRIES) throw error;
        await sleep(this.#agent.env.clock, RESUME_RETRY_MS);
      }
    }
  }

  /** Lets the process be: it goes on, and the next agent finds it. */
  leave(): void {
    this.#ending = true;
    this.#process?.qmp.close();
  }

  async #launch(drives: readonly VmDrive[], state: VmState): Promise<void> {
    const { definition, qmpSocket, consoleSocket } = this.#record;
    const process = await this.machinery.launch(
      { definition, drives, qmpSocket, consoleSocket, consoleLog: this.consoleLog, incoming: state === 'incoming' },
      {
        clock: this.#agent.env.clock,
        log: this.qemuLog,
        spawned: (identity) => this.#save({ state, reason: '', process: identity }),
      },
    );
    this.#adopt(process);
  }

  /** A process that was recorded and came to nothing is ended, and recorded no more. */
  async #unlaunch(reason: string): Promise<void> {
    const { process: identity } = this.#record;
    if (identity === null) return;
    await this.machinery.end(identity, this.#agent.env.clock);
    await this.#sweep();
    await this.#forgetProcess({ state: 'stopped', reason });
  }

  #adopt(process: QemuProcess): void {
    this.#process = process;
    this.changed.fire();
    void process.exited.then((words) => {
      if (this.#process !== process || this.#ending) return;
      void this.#turns
        .run(() => this.#gone(words))
        .catch((error: unknown) =>
          this.#agent.env.log.warn(
            { vm: this.name },
            `the end of machine "${this.name}" could not be recorded: ${String(error)}`,
          ),
        );
    });
  }

  /** The process is gone: nothing of it is left attached. */
  async #gone(reason: string): Promise<void> {
    this.#process = null;
    for (const disk of this.disks()) if (disk.attachment.attachment !== null) await disk.detach().catch(() => {});
    if (this.#ending) return; // The agent ends as well, with disks still attached: the next one finds the process gone.
    await this.#sweep();
    await this.#forgetProcess({ state: 'stopped', reason });
  }

  /** Removes the sockets that a QEMU which was killed left in the file system. */
  async #sweep(): Promise<void> {
    const { foreign, qmpSocket, consoleSocket } = this.#record;
    for (const socket of foreign === true ? [] : [qmpSocket, consoleSocket])
      await this.machinery.remove(socket).catch(() => {});
    await this.#sweepMemory();
  }

  /** The same for the sockets of a migration: there is none. */
  async #sweepMemory(): Promise<void> {
    for (const way of ['in', 'out']) {
      const socket = await this.#agent.env.socketFor(`vm-${this.name}.${way}`);
      await this.machinery.remove(socket).catch(() => {});
    }
  }

  /** No process runs it any more; the next one's monitor is ours. */
  async #forgetProcess(change: Partial<VmRecord> = {}): Promise<void> {
    const { foreign, ...record } = this.#record;
    if (foreign === true)
      this.#record = { ...record, qmpSocket: await this.#agent.env.socketFor(`vm-${this.name}.qmp`) };
    await this.#save({ ...change, process: null });
  }

  async #save(change: Partial<VmRecord>): Promise<void> {
    this.#record = { ...this.#record, ...change };
    await this.#agent.env.meta.commit({ [`vm/${this.name}`]: encodeVmRecord(this.#record) });
    this.changed.fire();
  }

  #assertIdle(): void {
    if (this.#process === null && this.#record.state !== 'inDoubt') return;
    const why =
      this.#record.state === 'inDoubt'
        ? `is in doubt: ${this.#record.reason}`
        : `runs already${this.#process?.identity ? `, as process ${this.#process.identity.pid}` : ''}`;
    throw new DiskswarmError('VM_STATE', `machine "${this.name}" ${why}`, { data: { vm: this.name } });
  }
}

function lostMonitor(name: string, socket: string, error: unknown): string {
  return (
    `it was adopted, and its monitor at ${socket} does not answer the agent any more (${messageOf(error)}). When nobody else is connected to it, ` +
    `\`diskswarm vm adopt ${name}\` takes it over again`
  );
}
