/**
 * One host of the demonstration: a state folder, its agent process, and the commands that a person would type there.
 *
 * Figures for the live view come from the control socket directly, because a process per glance would cost more than the
 * thing it looks at. Everything else is a command of the CLI.
 */
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { DiskswarmError } from '@diskswarm/core';
import { callAgent } from '../control/client.ts';
import type { AttachmentInfo, DiskInfo, DiskStatus, MigrationStatus, Progress, VmInfo } from '../control/methods.ts';
import { type Daemon, runCommand, startDaemon } from './processes.ts';

/** The disk's name on every host. */
const DISK = 'desktop';
/** The fleet's, and so of its one clone on each host. */
const FLEET = 'fleet';
/** The machine's, for the live move. */
const VM = 'desktop';
const LOOK_EVERY_MS = 100;
const PATIENCE_MS = 30_000;

/** What a host is started with. */
export interface HostOptions {
  readonly name: string;
  /** The folder of the run. */
  readonly folder: string;
  /** Runs the agent inside a network; empty for this machine's own. */
  readonly prefix: readonly string[];
  /** Where the agent listens; port 0. */
  readonly listen: string;
  readonly trackerUrl: string;
  /** More arguments of `diskswarm agent`. */
  readonly agentArgs: readonly string[];
  /** Owner file and passphrase. */
  readonly env: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

export class DemoHost {
  readonly name: string;
  readonly stateDir: string;
  readonly #options: HostOptions;
  #daemon: Daemon | null = null;
  #hostId = '';

  constructor(options: HostOptions) {
    this.#options = options;
    this.name = options.name;
    this.stateDir = path.join(options.folder, options.name);
  }

  /** Known once started. */
  get hostId(): string {
    return this.#hostId;
  }

  /** Where its agent listens. Known once started. */
  get address(): string {
    return String(this.#daemon?.ready.listen);
  }

  /** Starts the agent; `peer` is one that it knows without a tracker, `agentArgs` are added to its arguments. */
  async start(more: { peer?: DemoHost; agentArgs?: readonly string[] } = {}): Promise<void> {
    const { listen, trackerUrl, agentArgs, prefix } = this.#options;
    const args = ['agent', '--listen', listen, '--tracker', trackerUrl, ...agentArgs, ...(more.agentArgs ?? [])];
    if (more.peer !== undefined) args.push('--peer', more.peer.address);
    this.#daemon = await startDaemon(args, { ...this.#runOptions, prefix });
    this.#hostId = String((await this.#run(['host', 'id'])).hostId);
  }

  /** Stops the agent. Idempotent. */
  async stop(): Promise<void> {
    const daemon = this.#daemon;
    this.#daemon = null;
    await daemon?.stop();
  }

  /** Makes the owner's key; once per run. */
  async initOwner(): Promise<void> {
    await this.#run(['owner', 'init']);
  }

  async import(image: string): Promise<DiskInfo & { importedBytes: number }> {
    return (await this.#run(['disk', 'import', image, '--name', DISK])) as never;
  }

  /** Grants `guest` the disk and has it join. */
  async invite(guest: DemoHost, role: 'reader' | 'writer'): Promise<void> {
    const granted = await this.#run(['disk', 'grant', DISK, '--host', guest.hostId, '--role', role]);
    await guest.join(String(granted.invitation));
  }

  /** One line by which so many hosts join. */
  async tokenFor(uses: number): Promise<string> {
    return String((await this.#run(['disk', 'grant', DISK, '--token', '--uses', String(uses)])).line);
  }

  async join(line: string): Promise<void> {
    await this.#run(['disk', 'join', line]);
  }

  /** Makes the newest generation a template. */
  async publish(): Promise<void> {
    await this.#run(['disk', 'publish', DISK]);
  }

  /** Makes a clone of the template and attaches it; its NBD URI. */
  async startFleet(): Promise<string> {
    const { members } = await this.#run(['fleet', 'start', DISK, '--count', '1', '--name', FLEET]);
    return String((members as { uri: string }[])[0]?.uri);
  }

  async take(): Promise<void> {
    await this.#run(['disk', 'take', DISK]);
  }

  async attach(options: { readOnly: boolean } = { readOnly: false }): Promise<AttachmentInfo> {
    return (await this.#run(['disk', 'attach', DISK, ...(options.readOnly ? ['--read-only'] : [])])) as never;
  }

  async detach(): Promise<void> {
    await this.#run(['disk', 'detach', DISK]);
  }

  async seal(): Promise<{ sequence: number; epoch: number; changedPieces: number }> {
    return (await this.#run(['disk', 'seal', DISK])) as never;
  }

  async pull(onProgress: (progress: Progress) => void): Promise<void> {
    await this.#run(['disk', 'pull', DISK], (line) => {
      if (line.event === 'progress') onProgress(line as unknown as Progress);
    });
  }

  async export(file: string): Promise<void> {
    await this.#run(['disk', 'export', DISK, file]);
  }

  async waitFor(what: 'complete' | 'safe', timeoutSeconds: number): Promise<DiskInfo> {
    return (await this.#run(['disk', 'wait', DISK, `--${what}`, '--timeout', String(timeoutSeconds)])) as never;
  }

  /** Lets machines from elsewhere run here with these arguments of QEMU. */
  async allow(args: readonly string[]): Promise<void> {
    await this.#run(['vm', 'allow', '--', ...args]);
  }

  /** The agent runs the machine, with these arguments of QEMU besides its own. */
  async startVm(args: readonly string[]): Promise<void> {
    await this.#run(['vm', 'start', VM, '--disk', DISK, '--memory', '128M', '--', ...args]);
  }

  /** Moves the running machine; resolves when it runs there. */
  async migrate(to: DemoHost, options: readonly string[], onStatus: (status: MigrationStatus) => void): Promise<void> {
    const args = ['vm', 'migrate', VM, '--to', to.hostId, ...options];
    await this.#run(args, (line) => {
      if (line.event === 'migration') onStatus(line as unknown as MigrationStatus);
    });
  }

  /** Resolves when nothing depends on this host any more. */
  async migrationOver(onStatus: (status: MigrationStatus) => void): Promise<MigrationStatus> {
    return (await this.#run(['vm', 'migrate-status', VM, '--watch'], (line) => {
      if (line.event === 'migration') onStatus(line as unknown as MigrationStatus);
    })) as never;
  }

  /** Resolves when `other` is connected, with the disk. TIMEOUT. */
  async connected(other: DemoHost): Promise<void> {
    await this.#eventually(`${other.name} is connected to ${this.name}`, async () => {
      const { peers } = await callAgent(this.stateDir, 'peer.ls', {}, { signal: this.#options.signal });
      return peers.some(({ hostId, disks }) => hostId === other.hostId && disks.length > 0);
    });
  }

  /** Resolves when the machine is off. TIMEOUT. */
  async vmStopped(): Promise<void> {
    await this.#eventually(`the machine at ${this.name} is off`, async () => (await this.vm()).state === 'stopped');
  }

  /** The machine, as this host knows it. */
  async vm(): Promise<VmInfo> {
    return callAgent(this.stateDir, 'vm.info', { name: VM }, { signal: this.#options.signal });
  }

  async info(): Promise<DiskInfo> {
    return (await this.#run(['disk', 'info', DISK])) as never;
  }

  /** Where the second serial line of a machine on this host is, whose socket has this name. */
  socketOf(name: string): string {
    return path.join(this.stateDir, 'machines', name);
  }

  /** Figures of the disk, without a process in between. */
  status(): Promise<DiskStatus> {
    return this.#statusOf(DISK);
  }

  /** The same of the fleet's clone. */
  cloneStatus(): Promise<DiskStatus> {
    return this.#statusOf(`${FLEET}-1`);
  }

  async #statusOf(name: string): Promise<DiskStatus> {
    const { disks } = await callAgent(this.stateDir, 'status', {}, { signal: this.#options.signal });
    return disks.find((disk) => disk.name === name) as DiskStatus;
  }

  async #eventually(what: string, holds: () => Promise<boolean>): Promise<void> {
    const { signal } = this.#options;
    for (
      const until = performance.now() + PATIENCE_MS;
      !(await holds());
      await pause(LOOK_EVERY_MS, undefined, { signal })
    )
      if (performance.now() > until) throw new DiskswarmError('TIMEOUT', `${what}: not within ${PATIENCE_MS / 1000} s`);
  }

  get #runOptions(): Parameters<typeof runCommand>[1] {
    const { env, signal } = this.#options;
    return { env: { ...env, DISKSWARM_STATE: this.stateDir }, prefix: [], signal };
  }

  #run(args: readonly string[], onLine?: (line: Record<string, unknown>) => void): Promise<Record<string, unknown>> {
    return runCommand(args, this.#runOptions, onLine);
  }
}
