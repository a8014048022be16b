/**
 * Starts `diskswarm` as other processes do: daemons that stay, and single commands that answer with a document.
 *
 * Everything goes through the launcher and its --json contract, so that what the demo shows is what a user gets. Daemons are
 * in process groups of their own: Ctrl-C reaches only the demo, which then stops them in its order. Where setpriv exists they
 * also end when the demo is killed.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { DiskswarmError, ERROR_CODES, type ErrorCode } from '@diskswarm/core';

const LAUNCHER = fileURLToPath(new URL('../../bin/diskswarm.js', import.meta.url));
const SETPRIV = '/usr/bin/setpriv';
const READY_MS = 30_000;
const STOP_MS = 10_000;
const MAX_ANSWER_CHARS = 4 * 1024 * 1024;
const MAX_STDERR_CHARS = 4_000;

/** How to run the launcher. */
export interface RunOptions {
  /** Added to this process's environment. */
  readonly env: Readonly<Record<string, string>>;
  /** A command that runs it, such as `ip netns exec NAME`; empty for none. */
  readonly prefix: readonly string[];
  readonly signal: AbortSignal;
}

/** A running agent or tracker. */
export interface Daemon {
  readonly pid: number;
  /** Its first line. */
  readonly ready: Readonly<Record<string, unknown>>;
  /** SIGTERM, and SIGKILL when it does not end. Idempotent. */
  stop(): Promise<void>;
}

/** Starts `diskswarm ARGS` and waits for its ready line. @throws DiskswarmError INTERNAL, ABORTED, or what it says itself. */
export async function startDaemon(args: readonly string[], { env, prefix, signal }: RunOptions): Promise<Daemon> {
  const command = [...prefix, process.execPath, LAUNCHER, ...args, '--json'];
  if (existsSync(SETPRIV)) command.unshift(SETPRIV, '--pdeathsig', 'TERM', '--');
  const child = spawn(command[0] as string, command.slice(1), {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  const stderr = keepTail(child);
  const exited = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const stop = async (): Promise<void> => {
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
    child.kill('SIGTERM');
    await exited;
    clearTimeout(timer);
  };
  try {
    const ready = await firstLine(child, signal, () => `diskswarm ${args[0]} did not start: ${stderr()}`);
    return { pid: child.pid as number, ready, stop };
  } catch (error) {
    if (child.pid !== undefined) await stop();
    throw error;
  }
}

/** Runs `diskswarm ARGS` to its end and returns its last document. @throws DiskswarmError with the code that it printed. */
export async function runCommand(
  args: readonly string[],
  { env, prefix, signal }: RunOptions,
  onLine: (document: Record<string, unknown>) => void = () => {},
): Promise<Record<string, unknown>> {
  if (signal.aborted) throw aborted();
  // In front: what is behind -- is not ours.
  const command = [...prefix, process.execPath, LAUNCHER, '--json', ...args];
  const child = spawn(command[0] as string, command.slice(1), {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  const stderr = keepTail(child);
  const onAbort = (): void => void child.kill('SIGTERM');
  signal.addEventListener('abort', onAbort, { once: true });
  let last: Record<string, unknown> | null = null;
  const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream });
  lines.on('line', (line) => {
    last = parse(line);
    if (last !== null) onLine(last);
  });
  const code = await new Promise<number | null>((resolve) => {
    child.once('error', () => resolve(null));
    child.once('close', resolve);
  });
  signal.removeEventListener('abort', onAbort);
  if (signal.aborted) throw aborted();
  const answer = last as Record<string, unknown> | null;
  if (code === 0 && answer !== null) return answer;
  throw (
    errorIn(answer) ?? new DiskswarmError('INTERNAL', `diskswarm ${args.join(' ')} ended with ${code}: ${stderr()}`)
  );
}

function firstLine(child: ChildProcess, signal: AbortSignal, what: () => string): Promise<Record<string, unknown>> {
  return new Promise((resolve, reject) => {
    const fail = (): void => reject(signal.aborted ? aborted() : new DiskswarmError('INTERNAL', what()));
    const timer = setTimeout(fail, READY_MS);
    signal.addEventListener('abort', fail, { once: true });
    const settle = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', fail);
    };
    child.once('error', fail);
    child.once('close', () => {
      settle();
      fail();
    });
    createInterface({ input: child.stdout as NodeJS.ReadableStream }).on('line', (line) => {
      settle();
      const document = parse(line);
      const error = errorIn(document);
      if (error !== null) reject(error);
      else if (document?.event === 'ready') resolve(document);
    });
  });
}

/** Collects the end of what a child writes to stderr. */
function keepTail(child: ChildProcess): () => string {
  let text = '';
  child.stderr?.setEncoding('utf8').on('data', (piece: string) => {
    text = (text + piece).slice(-MAX_STDERR_CHARS);
  });
  return () => text.trim();
}

function parse(line: string): Record<string, unknown> | null {
  if (line.length > MAX_ANSWER_CHARS) return null;
  try {
    return JSON.parse(line) as Record<string, unknown>;
  } catch {
    return null;
  }
}

function errorIn(document: Record<string, unknown> | null): DiskswarmError | null {
  const error = document?.error as { code: string; message: string; data: Record<string, unknown> } | undefined;
  if (error === undefined) return null;
  const code = Object.hasOwn(ERROR_CODES, error.code) ? (error.code as ErrorCode) : 'INTERNAL';
  return new DiskswarmError(code, error.message, { data: error.data });
}

function aborted(): DiskswarmError {
  return new DiskswarmError('ABORTED', 'the demonstration was stopped');
}
