/**
 * One QEMU process: started so that it outlives the agent, found again after the agent's restart, watched until it ends.
 *
 * The process has a session of its own, and its output goes to files, so that neither a signal to the agent nor the agent's death reaches it. Which
 * process it is, is told by pid and start time, never by pid alone. Leaves to others: what runs in it, its disks, its durable record.
 */
import { spawn } from 'node:child_process';
import fs from 'node:fs/promises';
import path from 'node:path';
import { type Clock, DiskswarmError, messageOf, sleep } from '@diskswarm/core';
import { QmpClient } from '@diskswarm/qmp';
import { identityOf, livenessOf, type ProcessIdentity } from '../state/process-identity.ts';
import { type QemuCommand, qemuArguments } from './qemu-command.ts';
import { QEMU } from './qemu-program.ts';
import { qmpOverSocket, someoneListens } from './qmp-socket.ts';

/** QEMU opens its monitor at once; on a loaded machine it takes seconds. */
const START_PATIENCE_MS = 30_000;
const RETRY_MS = 20;
/** From the end of the monitor until the process is gone. */
const EXIT_POLL_MS = 20;
/** The same for a process that cannot be seen. */
const LISTENER_POLL_MS = 500;
/** Of QEMU's last words that are kept as the reason. */
const REASON_BYTES = 2000;

export class VmProcess {
  /** Null for a process of somebody else that cannot be seen from here: it lives as long as something listens at its monitor's socket. */
  readonly identity: ProcessIdentity | null;
  readonly qmp: QmpClient;
  readonly qmpSocket: string;
  readonly #clock: Clock;
  readonly #log: string;
  readonly #exited: Promise<string>;

  private constructor(options: {
    identity: ProcessIdentity | null;
    qmp: QmpClient;
    qmpSocket: string;
    clock: Clock;
    log: string;
  }) {
    this.identity = options.identity;
    this.qmp = options.qmp;
    this.qmpSocket = options.qmpSocket;
    this.#clock = options.clock;
    this.#log = options.log;
    this.#exited = this.#watch();
  }

  /**
   * Starts QEMU in the folder of `log`, so that relative paths of its arguments are each host's own; resolves when its monitor works. `spawned` makes
   * durable which process it is, before anything else happens. QMP_CLOSED with QEMU's words when it ends before.
   */
  static async launch(
    command: QemuCommand,
    { clock, log, spawned }: { clock: Clock; log: string; spawned: (identity: ProcessIdentity) => Promise<void> },
  ): Promise<VmProcess> {
    await fs.rm(command.qmpSocket, { force: true });
    const output = await fs.open(log, 'w', 0o600);
    // The log of the console is made here, so that nobody else can read it.
    if (command.definition.adopted !== true) await (await fs.open(command.consoleLog, 'a', 0o600)).close();
    let failure: Error | null = null;
    try {
      const child = spawn(QEMU, qemuArguments(command), {
        detached: true,
        stdio: ['ignore', output.fd, output.fd],
        cwd: path.dirname(log),
      });
      child.once('error', (error) => {
        failure = error;
      });
      child.unref();
      if (child.pid === undefined) await new Promise((resolve) => child.once('error', resolve));
      if (child.pid === undefined)
        throw new DiskswarmError('EXTERNAL_TOOL_FAILED', `${QEMU} could not be started: ${messageOf(failure)}`, {
          data: { tool: QEMU },
          cause: failure,
        });
      const identity = identityOf(child.pid);
      try {
        await spawned(identity);
      } catch (error) {
        child.kill('SIGKILL'); // Nobody would find it again.
        throw error;
      }
      const qmp = await connect(command.qmpSocket, identity, clock, log);
      return new VmProcess({ identity, qmp, qmpSocket: command.qmpSocket, clock, log });
    } finally {
      await output.close();
    }
  }

  /** A QEMU that somebody else started, with a conversation that is open; what it prints is not ours to read. */
  static adopt(options: {
    identity: ProcessIdentity | null;
    qmp: QmpClient;
    qmpSocket: string;
    clock: Clock;
  }): VmProcess {
    return new VmProcess({ ...options, log: '' });
  }

  /** The machine of an agent that ended; null when it is gone. */
  static async reconnect(
    identity: ProcessIdentity | null,
    { qmpSocket, clock, log }: { qmpSocket: string; clock: Clock; log: string },
  ): Promise<VmProcess | null> {
    if (!(await isAlive(identity, qmpSocket))) return null;
    try {
      return new VmProcess({ identity, qmp: await connect(qmpSocket, identity, clock, log), qmpSocket, clock, log });
    } catch (error) {
      if (!(await isAlive(identity, qmpSocket))) return null;
      throw error;
    }
  }

  /** Kills the machine of an agent that ended, whatever it does; resolves when it is gone. */
  static async end(identity: ProcessIdentity, clock: Clock): Promise<void> {
    kill(identity);
    while (livenessOf(identity) === 'alive') await sleep(clock, EXIT_POLL_MS);
  }

  /** Resolves with QEMU's last words when the process is gone. */
  get exited(): Promise<string> {
    return this.#exited;
  }

  /** Ends QEMU: it flushes and quits, or is killed when it does not within `graceMs`. Resolves when it is gone. */
  async quit(graceMs = 5000): Promise<void> {
    void this.qmp.execute('quit', {}).catch(() => {});
    await Promise.race([this.#exited, sleep(this.#clock, graceMs)]);
    await this.kill();
  }

  /** Kills it at once; one that cannot be seen from here is left to itself. */
  async kill(): Promise<void> {
    if (this.identity === null) return;
    kill(this.identity);
    await this.#exited;
  }

  async #watch(): Promise<string> {
    await this.qmp.closed;
    const everyMs = this.identity === null ? LISTENER_POLL_MS : EXIT_POLL_MS;
    while (await isAlive(this.identity, this.qmpSocket)) await sleep(this.#clock, everyMs);
    return lastWords(this.#log);
  }
}

async function isAlive(identity: ProcessIdentity | null, socket: string): Promise<boolean> {
  return identity === null ? someoneListens(socket) : livenessOf(identity) === 'alive';
}

function kill(identity: ProcessIdentity): void {
  if (livenessOf(identity) !== 'alive') return;
  try {
    process.kill(identity.pid, 'SIGKILL');
  } catch {
    // It ended by itself just now.
  }
}

async function connect(
  socket: string,
  identity: ProcessIdentity | null,
  clock: Clock,
  log: string,
): Promise<QmpClient> {
  const untilUs = clock.nowUs() + START_PATIENCE_MS * 1000;
  for (;;) {
    const open = await fs.stat(socket).then(
      () => true,
      () => false,
    );
    try {
      if (open) return await QmpClient.open(qmpOverSocket(socket), { clock });
    } catch (error) {
      if (clock.nowUs() > untilUs) throw error;
    }
    if (!(await isAlive(identity, socket)))
      throw new DiskswarmError('QMP_CLOSED', `QEMU ended at once: ${await lastWords(log)}`, { data: { log } });
    if (clock.nowUs() > untilUs)
      throw new DiskswarmError('TIMEOUT', `QEMU opened no monitor within ${START_PATIENCE_MS / 1000} s; see ${log}`);
    await sleep(clock, RETRY_MS);
  }
}

async function lastWords(log: string): Promise<string> {
  const text = await fs.readFile(log, 'utf8').catch(() => '');
  return text.trim().slice(-REASON_BYTES);
}
