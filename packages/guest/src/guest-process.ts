/**
 * QEMU as a child process: start, the two serial lines, its end.
 *
 * The child dies with this process: by the parent-death signal where setpriv is there (also when we are killed), and by
 * an exit hook otherwise. What it prints is kept in bounded tails, for error messages. Knows nothing of the protocol.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createWriteStream, type WriteStream } from 'node:fs';
import type { Duplex } from 'node:stream';
import { CONSOLE_FD, PROTOCOL_FD } from './qemu-args.ts';
import { findTool, requireTool } from './tools.ts';

const MAX_TAIL_CHARS = 16 * 1024;

/** How QEMU ended. */
export interface GuestExit {
  readonly code: number | null;
  readonly signal: string | null;
}

/** Who is told what the guest says; the arrays are views that hold only during the call. */
export interface GuestOutput {
  readonly onProtocol: (bytes: Uint8Array) => void;
  /** Called after each piece of kernel output, with the bounded tail of all of it. */
  readonly onConsole: (tail: string) => void;
}

/** Those that run: one exit hook is for all, because a process may have many guests. */
const running = new Set<ChildProcess>();
function killAll(): void {
  for (const child of running) child.kill('SIGKILL');
}

/** One running QEMU. */
export class GuestProcess {
  readonly exited: Promise<GuestExit>;
  readonly #child: ChildProcess;
  readonly #protocol: Duplex;
  readonly #log: WriteStream | undefined;
  #consoleTail = '';
  #stderrTail = '';

  /** Starts QEMU with `args`; `consoleLog` is a file that the kernel's messages are appended to. */
  constructor(args: readonly string[], consoleLog: string | undefined, output: GuestOutput) {
    const qemu = requireTool('qemu-system-x86_64');
    const setpriv = findTool('setpriv');
    const [file, prefix] = setpriv ? [setpriv, ['--pdeathsig', 'KILL', '--', qemu]] : [qemu, []];
    const stdio = ['ignore', 'ignore', 'pipe', 'pipe', 'pipe'] as const;
    const child = spawn(file, [...prefix, ...args], { stdio: [...stdio] });
    this.#child = child;
    this.#log = consoleLog === undefined ? undefined : createWriteStream(consoleLog, { flags: 'a' });
    // A console log that cannot be written must not end the guest.
    this.#log?.on('error', () => {});
    if (running.size === 0) process.on('exit', killAll);
    running.add(child);

    this.#protocol = child.stdio[PROTOCOL_FD] as unknown as Duplex;
    const console = child.stdio[CONSOLE_FD] as unknown as Duplex;
    for (const stream of [this.#protocol, console, child.stderr!]) stream.on('error', () => {});
    this.#protocol.on('data', output.onProtocol);
    console.on('data', (bytes: Uint8Array) => {
      this.#consoleTail = tail(this.#consoleTail + Buffer.from(bytes).toString('latin1'));
      this.#log?.write(bytes);
      output.onConsole(this.#consoleTail);
    });
    child.stderr!.on('data', (bytes: Uint8Array) => {
      this.#stderrTail = tail(this.#stderrTail + Buffer.from(bytes).toString());
    });

    const { promise, resolve } = Promise.withResolvers<GuestExit>();
    this.exited = promise;
    const finish = (exit: GuestExit): void => {
      running.delete(child);
      if (running.size === 0) process.off('exit', killAll);
      this.#protocol.destroy();
      console.destroy();
      if (this.#log === undefined) resolve(exit);
      else this.#log.end(() => resolve(exit));
    };
    child.on('close', (code, signal) => finish({ code, signal }));
    child.on('error', (error) => {
      this.#stderrTail = tail(`${this.#stderrTail}\n${error.message}`);
      finish({ code: null, signal: null });
    });
  }

  /** QEMU's process id; undefined when it could not be started. */
  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** The last of what the kernel printed. */
  get consoleTail(): string {
    return this.#consoleTail;
  }

  /** The last of what QEMU itself complained about. */
  get stderrTail(): string {
    return this.#stderrTail;
  }

  /** Sends one line to the guest. */
  send(line: string): void {
    if (this.#protocol.writable) this.#protocol.write(`${line}\n`, 'latin1');
  }

  /** Ends QEMU at once, as a power cut would; resolves when it is gone. */
  async kill(): Promise<GuestExit> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#child.kill('SIGKILL');
    return this.exited;
  }
}

function tail(text: string): string {
  return text.length > MAX_TAIL_CHARS ? text.slice(-MAX_TAIL_CHARS) : text;
}
