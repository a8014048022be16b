/**
 * Runs the programs that are measured and measured against: always argument arrays, always ended by pid, never a shell.
 *
 * Everything started here is remembered until it ends, so that `endAll` leaves nothing behind whatever went wrong. Time is
 * taken around the process, with its start-up, unless a row says that it takes the program's own figure.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { createInterface } from 'node:readline';
import { DiskswarmError } from '@diskswarm/core';

const SYSTEM_FOLDERS = ['/usr/local/sbin', '/usr/sbin', '/sbin'];
const MAX_KEPT_CHARS = 4 * 1024 * 1024;
/** Of what a program said before it ended. */
const MAX_LAST_CHARS = 1000;
const STOP_MS = 10_000;
/** After an interrupt nobody needs what a program would still write. */
const INTERRUPTED_STOP_MS = 1500;
/** An agent with a large store on a busy disk takes its time. */
const READY_MS = 180_000;

const running = new Set<ChildProcess>();
let over = false;

/** What a finished program left. */
export interface Finished {
  readonly stdout: string;
  readonly stderr: string;
  /** Wall clock from its start to its end. */
  readonly elapsedMs: number;
}

export interface RunOptions {
  /** Added to this process's environment. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** @default 600000 */
  readonly timeoutMs?: number;
  /** `serve` shows every line to what decides whether the program is ready, also those that come later. @default false */
  readonly everyLine?: boolean;
}

/** A program that stays. */
export interface Service {
  readonly pid: number;
  /** What it said on the line that was waited for; empty when none was. */
  readonly firstLine: string;
  /** True until it ended, by itself or by `stop`. */
  alive(): boolean;
  /** The end of what it wrote to stderr so far. */
  lastWords(): string;
  /** SIGTERM, and SIGKILL when it does not end in time. Idempotent. */
  stop(): Promise<void>;
}

/** Where a program is, or undefined. */
export function findProgram(name: string): string | undefined {
  const folders = [...(process.env.PATH ?? '').split(delimiter), ...SYSTEM_FOLDERS];
  return folders.map((folder) => join(folder, name)).find((file) => isExecutable(file));
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Runs a program to its end; rejects with its last words when it fails or takes too long. */
export async function run(command: readonly string[], options: RunOptions = {}): Promise<Finished> {
  const startedMs = performance.now();
  const child = start(command, options);
  const stdout = collect(child.stdout);
  const stderr = collect(child.stderr);
  const timer = setTimeout(() => child.kill('SIGKILL'), options.timeoutMs ?? 600_000);
  const ending = await new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('close', (code, signal) => resolve(code === 0 ? '' : (signal ?? `exit code ${code}`)));
  });
  clearTimeout(timer);
  const elapsedMs = performance.now() - startedMs;
  if (ending !== '') throw new Error(`${command.join(' ')}: ${ending}\n${(stderr() || stdout()).slice(-2000)}`);
  return { stdout: stdout(), stderr: stderr(), elapsedMs };
}

/** Starts a program that stays, and waits until `isReady` says so of a line on its stdout, or of its being there. */
export async function serve(
  command: readonly string[],
  isReady: ((line: string) => boolean) | (() => Promise<boolean>) | null,
  options: RunOptions = {},
): Promise<Service> {
  const child = start(command, options);
  const stderr = collect(child.stderr);
  const closed = new Promise<void>((resolve) => {
    child.once('close', () => resolve());
    child.once('error', () => resolve());
  });
  const stop = async (): Promise<void> => {
    if (child.pid === undefined || !alive()) return;
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
    child.kill('SIGTERM');
    await closed;
    clearTimeout(timer);
  };
  const alive = (): boolean => child.exitCode === null && child.signalCode === null && child.pid !== undefined;
  let firstLine = '';
  const ready = new Promise<boolean>((resolve) => {
    if (isReady === null || isReady.length === 0) child.stdout?.resume();
    else {
      createInterface({ input: child.stdout as NodeJS.ReadableStream }).on('line', (line) => {
        if (firstLine !== '' && options.everyLine !== true) return;
        if (!(isReady as (line: string) => boolean)(line) || firstLine !== '') return;
        firstLine = line;
        resolve(true);
      });
    }
    if (isReady === null) child.once('spawn', () => resolve(true));
    closed.then(() => resolve(false));
  });
  const polled = isReady !== null && isReady.length === 0 ? until(isReady as () => Promise<boolean>, alive) : ready;
  const timer = setTimeout(() => child.kill('SIGKILL'), READY_MS);
  const came = await polled;
  clearTimeout(timer);
  if (!came) {
    await stop();
    throw new Error(`${command.join(' ')} did not start: ${stderr().slice(-2000)}`);
  }
  return { pid: child.pid as number, firstLine, alive, lastWords: () => stderr().slice(-MAX_LAST_CHARS).trim(), stop };
}

/** Asks again and again, as long as `alive`; for programs that do not say when they are ready. */
async function until(isReady: () => Promise<boolean>, alive: () => boolean = () => true): Promise<boolean> {
  const deadlineMs = performance.now() + READY_MS;
  while (alive() && performance.now() < deadlineMs) {
    if (await isReady()) return true;
    await pause(20);
  }
  return false;
}

/** Lets time pass: to warm up, or between two looks at something that does not tell by itself. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Ends everything that still runs, and lets nothing be started any more: an interrupted bench goes on in the background until it notices. */
export async function endForGood(): Promise<void> {
  over = true;
  await endAll(INTERRUPTED_STOP_MS);
}

/** Ends everything that still runs. Idempotent. */
export async function endAll(stopMs = STOP_MS): Promise<void> {
  const ends = [...running].map((child) => {
    const closed = new Promise<void>((resolve) => child.once('close', () => resolve()));
    const timer = setTimeout(() => child.kill('SIGKILL'), stopMs);
    child.kill('SIGTERM');
    return closed.then(() => clearTimeout(timer));
  });
  await Promise.all(ends);
}

function start(command: readonly string[], { env, cwd }: RunOptions): ChildProcess {
  if (over) throw new DiskswarmError('ABORTED', 'the bench was interrupted');
  const [name = '', ...args] = command;
  const child = spawn(findProgram(name) ?? name, args, {
    env: { ...process.env, ...env },
    ...(cwd === undefined ? {} : { cwd }),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.add(child);
  child.once('close', () => running.delete(child));
  child.once('error', () => running.delete(child));
  return child;
}

/** Collects the end of what a stream carries. */
function collect(stream: NodeJS.ReadableStream | null): () => string {
  let text = '';
  stream?.setEncoding('utf8').on('data', (piece: string) => {
    text = (text + piece).slice(-MAX_KEPT_CHARS);
  });
  return () => text;
}
