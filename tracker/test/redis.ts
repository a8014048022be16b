/** A Redis of the test's own, which forgets everything when it is killed. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';

/** `start` brings it back after `kill`, `resume` after `hang`. */
export interface TestRedis {
  readonly url: string;
  start(): Promise<void>;
  kill(): Promise<void>;
  /** Keeps its connections and answers nobody. */
  hang(): void;
  resume(): void;
}

/** One that was not started yet; it ends with the test. */
export async function makeRedis(t: ExecutionContext): Promise<TestRedis> {
  const folder = await mkdtemp(join(tmpdir(), 'dsredis-'));
  const finder = net.createServer().listen(0, '127.0.0.1');
  await once(finder, 'listening');
  const { port } = finder.address() as net.AddressInfo;
  finder.close();
  const options = ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder, '--save', '', '--appendonly', 'no'];
  let child: ReturnType<typeof spawn> | null = null;
  const kill = async (): Promise<void> => {
    const running = child;
    child = null;
    if (running === null) return;
    const ended = once(running, 'close');
    running.kill('SIGKILL');
    await ended;
  };
  t.teardown(async () => {
    await kill();
    await rm(folder, { recursive: true, force: true });
  });
  return {
    url: `redis://127.0.0.1:${port}`,
    kill,
    hang: () => void child?.kill('SIGSTOP'),
    resume: () => void child?.kill('SIGCONT'),
    start: async () => {
      child = spawn('redis-server', options, { stdio: ['ignore', 'pipe', 'inherit'] });
      let said = '';
      for await (const text of child.stdout!) {
        said += String(text);
        if (said.includes('Ready to accept connections')) break;
      }
    },
  };
}
