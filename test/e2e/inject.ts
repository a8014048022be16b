/**
 * Makes system calls of a running process fail, or end it, by strace: a disk whose syncs fail, a death at a chosen sync.
 */
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import type { ExecutionContext } from 'ava';
import { type Daemon, eventually } from './processes.ts';

/** strace counts calls for each thread alone: with one of them, `when=N` means the Nth of the process. */
export const ONE_POOL_THREAD = { UV_THREADPOOL_SIZE: '1' };

/** Tampers with system calls of a process until `stop`; `what` is strace's inject expression. Resolves when every thread is held. */
export async function inject(t: ExecutionContext, pid: number, what: string): Promise<{ stop(): Promise<void> }> {
  const calls = what.slice(0, what.indexOf(':'));
  const child = spawn('strace', ['-f', '-p', String(pid), '-e', `trace=${calls}`, '-e', `inject=${what}`], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const exited = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const stop = async (): Promise<void> => {
    child.kill('SIGINT');
    await exited;
  };
  t.teardown(stop);
  const threads = fs.readdirSync(`/proc/${pid}/task`).length;
  await eventually('strace holds every thread', () => traced(pid) >= threads);
  return { stop };
}

/** Waits for what a daemon was asked; true when it died over it. Being asked by somebody else, it may die a little later. */
export async function diesOver(daemon: Daemon, asked: Promise<unknown>): Promise<boolean> {
  const death = daemon.exited.then(() => true);
  const done = asked.then(
    () => false,
    () => Promise.race([death, new Promise<boolean>((resolve) => setTimeout(resolve, 2000, false))]),
  );
  return Promise.race([death, done]);
}

/** Threads of a process that somebody traces. */
function traced(pid: number): number {
  return fs
    .readdirSync(`/proc/${pid}/task`)
    .filter((thread) => /TracerPid:\s+[1-9]/.test(fs.readFileSync(`/proc/${pid}/task/${thread}/status`, 'utf8')))
    .length;
}
