/**
 * A guest that runs: wait until it is up, give it commands, stop it.
 *
 * One command is under way at a time; further ones queue. An answer that comes after its time-out is recognised by its
 * tag and dropped. Every wait ends when QEMU ends or the kernel panics, with the end of the console in the error.
 * Leaves the process to guest-process.ts and the wording of lines to protocol.ts.
 */
import { DiskswarmError, type ErrorCode } from '@diskswarm/core';
import { checkName, checkWrite, expectedSha256 } from './content.ts';
import { type GuestExit, GuestProcess } from './guest-process.ts';
import { type GuestEvent, GuestProtocol } from './protocol.ts';
import { type MachineOptions, qemuArgs } from './qemu-args.ts';

const DEFAULT_READY_MS = 60_000;
const DEFAULT_COMMAND_MS = 60_000;
const MAX_QUOTED_OUTPUT = 1_500;
const COMMAND_LINE = /^[\x20-\x7e]{1,512}$/;

/** How to boot a guest. */
export interface BootOptions extends MachineOptions {
  /** A file that the kernel's messages are appended to. */
  readonly consoleLog?: string;
  /** Kills the guest when it aborts. */
  readonly signal?: AbortSignal;
}

/** What a guest says about being up. */
export interface GuestReady {
  /** 1 for the first boot, one more for each reboot. */
  readonly boot: number;
  /** The guest's own clock: seconds from the kernel's start to its "login". */
  readonly uptimeSeconds: number;
  /** From the start of QEMU, or from the reboot command, on the host's clock. */
  readonly elapsedMs: number;
}

/** The guest's answer to a command. */
export interface GuestResult {
  readonly ok: boolean;
  /** The answer without its tag: the command, its first argument, the answer; the exit code last when it failed. */
  readonly words: readonly string[];
  /** The exit code in the guest; 0 when `ok`. */
  readonly exitCode: number;
  /** The line as text. */
  readonly line: string;
}

/** A file as the guest sees it. */
export interface GuestFile {
  /** Lower-case hex. */
  readonly sha256: string;
  readonly sizeBytes: number;
  /** Of the write, on that disk; rises by at least 1 with each. */
  readonly sequence: number;
}

/** How long to wait. */
export interface WaitOptions {
  /** @default 60000 */
  readonly timeoutMs?: number;
}

/** A running guest. Made by {@link bootGuest}; give it back with {@link Guest.stop}. */
export class Guest {
  readonly #process: GuestProcess;
  readonly #protocol = new GuestProtocol();
  readonly #rejecters = new Set<(error: DiskswarmError) => void>();
  readonly #readyListeners = new Set<(ready: GuestReady) => void>();
  readonly #results = new Map<number, (result: GuestResult) => void>();
  #bootStartedMs = performance.now();
  #boots = 0;
  #ready: GuestReady | undefined;
  #tag = 0;
  #queue: Promise<unknown> = Promise.resolve();
  #failure: DiskswarmError | undefined;

  /** Use {@link bootGuest}. */
  constructor(options: BootOptions) {
    this.#process = new GuestProcess(qemuArgs(options), options.consoleLog, {
      onProtocol: (bytes) => {
        for (const event of this.#protocol.feed(bytes)) this.#apply(event);
      },
      onConsole: (tail) => {
        if (tail.includes('Kernel panic - not syncing')) this.#fail('GUEST_FAILED', "The guest's kernel panicked");
      },
    });
    const onAbort = (): void => void this.kill();
    options.signal?.addEventListener('abort', onAbort, { once: true });
    void this.exited.then((exit) => {
      options.signal?.removeEventListener('abort', onAbort);
      this.#fail('GUEST_EXITED', `The guest's QEMU ended (${describe(exit)})`);
    });
  }

  /** Resolves when QEMU has ended, however it did. Never rejects. */
  get exited(): Promise<GuestExit> {
    return this.#process.exited;
  }

  /** QEMU's process id; undefined when it could not be started. */
  get pid(): number | undefined {
    return this.#process.pid;
  }

  /** The last 16 KiB of the kernel's messages. */
  get consoleTail(): string {
    return this.#process.consoleTail;
  }

  /**
   * Waits until the guest is up.
   *
   * @throws DiskswarmError TIMEOUT, GUEST_EXITED, or GUEST_FAILED when it cannot boot.
   */
  async ready(options: WaitOptions = {}): Promise<GuestReady> {
    if (this.#ready !== undefined && this.#failure === undefined) return this.#ready;
    return this.#wait('The guest did not come up', options.timeoutMs ?? DEFAULT_READY_MS, (resolve) => {
      this.#readyListeners.add(resolve);
      return () => this.#readyListeners.delete(resolve);
    });
  }

  /**
   * Gives the guest a command line (`write`, `read`, `check`, `checkall`) once it is up; returns its answer, good or bad.
   *
   * @throws DiskswarmError TIMEOUT, GUEST_EXITED, GUEST_FAILED (panic, reset), or INVALID_ARGUMENT for no command line.
   */
  async command(line: string, options: WaitOptions = {}): Promise<GuestResult> {
    if (!COMMAND_LINE.test(line)) throw new DiskswarmError('INVALID_ARGUMENT', `Not a command line: ${line}`);
    const run = this.#queue.then(() => this.#exchange(line, options.timeoutMs ?? DEFAULT_COMMAND_MS));
    this.#queue = run.catch(() => {});
    return run;
  }

  /**
   * Has the guest write and fsync a file, and holds the hash that it reports against the one computed here.
   *
   * Allows 5 s more per MB than other commands.
   *
   * @throws as {@link Guest.command}, and GUEST_COMMAND_FAILED
   */
  async write(name: string, sizeBytes: number, seed: number, options: WaitOptions = {}): Promise<GuestFile> {
    checkWrite(name, sizeBytes, seed);
    // Emulated guests make some 2 MB of it per second; a tenth of that is still alive.
    const timeoutMs = options.timeoutMs ?? DEFAULT_COMMAND_MS + sizeBytes / 200;
    const result = await this.#demand(`write ${name} ${sizeBytes} ${seed}`, { timeoutMs });
    const [, , sha256 = '', sequence] = result.words;
    if (sha256 !== expectedSha256(name, sizeBytes, seed)) {
      throw this.#error('GUEST_COMMAND_FAILED', `The guest read back other bytes than it wrote to ${name}`, { result });
    }
    return { sha256, sizeBytes, sequence: Number(sequence) };
  }

  /** Has the guest read the newest file of that name past its cache. @throws as {@link Guest.write} */
  async read(name: string, options: WaitOptions = {}): Promise<Omit<GuestFile, 'sequence'>> {
    checkName(name);
    const result = await this.#demand(`read ${name}`, options);
    return { sizeBytes: Number(result.words[2]), sha256: result.words[3] ?? '' };
  }

  /** Has the guest hold every file it ever wrote against its record; returns how many. @throws as {@link Guest.write} */
  async checkAll(options: WaitOptions = {}): Promise<number> {
    const result = await this.#demand('checkall', options);
    return Number(result.words[1]);
  }

  /** Reboots cleanly and waits until the guest is up again. @throws as {@link Guest.write} */
  async reboot(options: WaitOptions = {}): Promise<GuestReady> {
    await this.#demand('reboot', options);
    return this.ready(options);
  }

  /** Syncs, unmounts and powers off; resolves when QEMU has ended by itself. @throws as {@link Guest.write} */
  async poweroff(options: WaitOptions = {}): Promise<GuestExit> {
    await this.#demand('poweroff', options);
    const { promise, resolve } = Promise.withResolvers<undefined>();
    const timer = setTimeout(resolve, options.timeoutMs ?? DEFAULT_COMMAND_MS, undefined);
    const exit = await Promise.race([this.exited, promise]);
    clearTimeout(timer);
    if (exit === undefined) throw this.#error('TIMEOUT', 'QEMU did not end after the power-off');
    if (exit.code !== 0) throw this.#error('GUEST_EXITED', `QEMU failed at the power-off (${describe(exit)})`);
    return exit;
  }

  /** Pulls the plug, as a power cut would. Resolves when QEMU is gone; may be called at any time, and again. */
  async kill(): Promise<GuestExit> {
    return this.#process.kill();
  }

  /** Leaves nothing running, whatever the state; for clean-up. */
  async stop(): Promise<void> {
    await this.kill();
  }

  async #exchange(line: string, timeoutMs: number): Promise<GuestResult> {
    await this.ready({ timeoutMs });
    const tag = ++this.#tag;
    const result = await this.#wait<GuestResult>(`The guest did not answer: ${line}`, timeoutMs, (resolve) => {
      this.#results.set(tag, resolve);
      this.#process.send(`@${tag} ${line}`);
      return () => this.#results.delete(tag);
    });
    if (result.ok && result.words[0] === 'reboot') {
      this.#ready = undefined;
      this.#bootStartedMs = performance.now();
    }
    return result;
  }

  /** A command that must succeed. */
  async #demand(line: string, options: WaitOptions): Promise<GuestResult> {
    const result = await this.command(line, options);
    if (result.ok) return result;
    throw this.#error('GUEST_COMMAND_FAILED', `In the guest, "${line}" failed: ${result.line}`, { result });
  }

  #apply(event: GuestEvent): void {
    if (event.type === 'fatal') {
      this.#fail('GUEST_FAILED', `The guest cannot boot: ${event.reason}`);
    } else if (event.type === 'result') {
      const { ok, words } = event;
      const exitCode = ok ? 0 : Number(words.at(-1));
      this.#results.get(event.tag)?.({ ok, words, exitCode, line: words.join(' ') });
    } else if (event.type !== 'ready') {
      // Ticks and writes of a guest at work are for who listens to its line.
    } else if (this.#ready !== undefined) {
      this.#fail('GUEST_FAILED', 'The guest was reset and booted again unasked');
    } else {
      const elapsedMs = performance.now() - this.#bootStartedMs;
      this.#ready = { boot: ++this.#boots, uptimeSeconds: event.uptimeSeconds, elapsedMs };
      for (const listener of this.#readyListeners) listener(this.#ready);
    }
  }

  async #wait<T>(what: string, timeoutMs: number, listen: (resolve: (value: T) => void) => () => void): Promise<T> {
    if (this.#failure !== undefined) throw this.#failure;
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const timer = setTimeout(() => reject(this.#error('TIMEOUT', `${what} within ${timeoutMs} ms`)), timeoutMs);
    this.#rejecters.add(reject);
    const forget = listen(resolve);
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      this.#rejecters.delete(reject);
      forget();
    }
  }

  /** The first failure ends every wait, now and later. */
  #fail(code: ErrorCode, message: string): void {
    this.#failure ??= this.#error(code, message);
    for (const reject of this.#rejecters) reject(this.#failure);
  }

  #error(code: ErrorCode, message: string, data: Record<string, unknown> = {}): DiskswarmError {
    const qemu = this.#process.stderrTail.trim().slice(-MAX_QUOTED_OUTPUT);
    const console = this.#process.consoleTail.trim().slice(-MAX_QUOTED_OUTPUT);
    const said = [qemu && `QEMU says: ${qemu}`, console && `Its console ends: ${console}`].filter(Boolean);
    return new DiskswarmError(code, [message, ...said].join('. '), { data: { ...data, qemu, console } });
  }
}

function describe(exit: GuestExit): string {
  return exit.signal === null ? `exit code ${exit.code}` : exit.signal;
}

/**
 * Starts a guest; resolves at once, before it is up: see {@link Guest.ready}.
 *
 * @throws DiskswarmError EXTERNAL_TOOL_FAILED without QEMU, INVALID_ARGUMENT for a disk that cannot be named, ABORTED.
 */
export function bootGuest(options: BootOptions): Guest {
  if (options.signal?.aborted) throw new DiskswarmError('ABORTED', 'The guest was not started');
  return new Guest(options);
}
