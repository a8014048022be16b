/**
 * A QEMU that a user started himself on `disk attach` sockets, for tests that let an agent adopt it.
 *
 * It runs in the folder where the agent's own machines would, so that the line to its guest is found wherever it moves.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { createInterface } from 'node:readline';
import type { ExecutionContext } from 'ava';
import { eventually, type Host, type Json } from './processes.ts';

/** A second monitor, which stays its user's. */
const SIDE_MONITOR = 'side-monitor';

export class AdoptedMachine {
  /** What it was started with. */
  readonly args: readonly string[];
  /** Its QMP monitor. */
  readonly qmp: string;
  readonly #child: ChildProcess;
  stderr = '';

  private constructor(child: ChildProcess, qmp: string, args: readonly string[]) {
    this.#child = child;
    this.args = args;
    this.qmp = qmp;
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr = (this.stderr + text).slice(-4000);
    });
  }

  get pid(): number {
    return this.#child.pid!;
  }

  get ended(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /** Starts QEMU with a monitor of its own; resolves when that listens. */
  static async start(t: ExecutionContext, host: Host, args: readonly string[]): Promise<AdoptedMachine> {
    const folder = path.join(host.state, 'machines');
    fs.mkdirSync(folder, { recursive: true, mode: 0o700 });
    const qmp = path.join(folder, 'own-monitor');
    const all = [
      ...args,
      ...['-qmp', 'unix:own-monitor,server=on,wait=off', '-qmp', `unix:${SIDE_MONITOR},server=on,wait=off`],
    ];
    const child = spawn('qemu-system-x86_64', all, { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] });
    const machine = new AdoptedMachine(child, qmp, all);
    t.teardown(() => void child.kill('SIGKILL'));
    await eventually('QEMU listens', () => {
      if (machine.ended) throw new Error(machine.stderr);
      return fs.existsSync(qmp);
    });
    return machine;
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  /** Kills it; resolves when the next one can take its place. */
  async end(): Promise<void> {
    this.kill();
    if (!this.ended) await new Promise((resolve) => this.#child.once('exit', resolve));
    for (const name of [this.qmp, path.join(path.dirname(this.qmp), SIDE_MONITOR)]) fs.rmSync(name, { force: true });
  }

  /** Sends a command over its user's own monitor; resolves with the answer. */
  command(execute: string, args: Json): Promise<string> {
    const socket = net.connect(path.join(path.dirname(this.qmp), SIDE_MONITOR));
    const send = (name: string, more: Json): void =>
      void socket.write(`${JSON.stringify({ execute: name, arguments: more, id: name })}\n`);
    send('qmp_capabilities', {});
    send(execute, args);
    return new Promise((resolve, reject) => {
      createInterface({ input: socket }).on('line', (line) => {
        if (!line.includes(`"id": "${execute}"`)) return;
        socket.destroy();
        if (line.includes('"error"')) reject(new Error(line));
        else resolve(line);
      });
      socket.once('error', reject);
    });
  }

  /** An NBD server that no agent knows. */
  static async serve(t: ExecutionContext, image: string, socket: string): Promise<void> {
    const child = spawn('qemu-nbd', ['-f', 'raw', '-t', '-k', socket, image], { stdio: 'ignore' });
    t.teardown(() => void child.kill('SIGKILL'));
    await eventually('it listens', () => fs.existsSync(socket));
  }

  /** The file that a user would make of /proc/PID/cmdline. */
  argumentFile(folder: string): string {
    const file = path.join(folder, 'qemu-args');
    fs.writeFileSync(file, fs.readFileSync(`/proc/${this.pid}/cmdline`, 'utf8').replaceAll('\0', '\n'));
    return file;
  }
}
