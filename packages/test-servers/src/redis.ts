/** A Redis of the test's own, which forgets everything when it is killed. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from './ports.ts';

/** Of a test, ava's or another's: what ends when it does. */
export interface TestScope {
  teardown(end: () => Promise<void>): void;
}

/** `start` brings it back after `kill`, `resume` after `hang`. */
export interface TestRedis {
  readonly url: string;
  start(): Promise<void>;
  kill(): Promise<void>;
  /** Keeps its connections and answers nobody. */
  hang(): void;
  resume(): void;
}

/** Starts one; it ends with the test. */
export async function startRedis(t: TestScope): Promise<TestRedis> {
  const folder = await mkdtemp(join(tmpdir(), 'dsredis-'));
  let port = await freePort();
  let child: ChildProcess | null = null;
  const kill = async (): Promise<void> => {
    const running = child;
    child = null;
    if (running === null || running.exitCode !== null) return;
    const ended = once(running, 'exit');
    running.kill('SIGKILL');
    await ended;
  };
  t.teardown(async () => {
    await kill();
    await rm(folder, { recursive: true, force: true });
  });
  const start = async (): Promise<void> => {
    const place = ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder];
    child = spawn('redis-server', [...place, '--save', '', '--appendonly', 'no'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let said = '';
    for await (const text of child.stdout!) {
      said += String(text);
      if (said.includes('Ready to accept connections')) return;
    }
    throw new Error(`redis-server ended: ${said}`);
  };
  for (let tries = 1; ; tries++) {
    try {
      await start();
      break;
    } catch (error) {
      // Somebody else was faster at that port.
      if (tries === 5 || !String(error).includes('in use')) throw error;
      port = await freePort();
    }
  }
  return {
    url: `redis://127.0.0.1:${port}`,
    kill,
    hang: () => void child?.kill('SIGSTOP'),
    resume: () => void child?.kill('SIGCONT'),
    start,
  };
}
