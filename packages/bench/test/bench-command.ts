/** `diskswarm bench` as a process of its own, from the sources, for tests. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ExecutionContext } from 'ava';
import { writeReport } from '../src/results/write-report.ts';

export const CLI = fileURLToPath(new URL('../../../host-agent/src/cli.ts', import.meta.url));

export function bench(...args: readonly string[]): ChildProcess {
  return benchIn(process.env, args);
}

/** With another environment. */
export function benchIn(env: NodeJS.ProcessEnv, args: readonly string[]): ChildProcess {
  const command = ['--conditions=source', CLI, 'bench', ...args];
  return spawn(process.execPath, command, { env, stdio: ['ignore', 'pipe', 'pipe'] });
}

/** Its exit code and what it said. */
export async function ended(child: ChildProcess): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const said = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name]!.setEncoding('utf8').on('data', (text: string) => {
      said[name] += text;
    });
  }
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, ...said };
}

/** A folder that ends with the test. */
export async function folderOf(t: ExecutionContext): Promise<string> {
  const path = await mkdtemp(join(os.tmpdir(), 'bench-smoke-'));
  t.teardown(() => rm(path, { recursive: true, force: true }));
  return path;
}

/** A small run of a shipped experiment: everything came to its end with the right content, and can be reported. */
export async function checkSmall(t: ExecutionContext, name: string): Promise<void> {
  const out = join(await folderOf(t), 'runs');
  const { code, stderr } = await ended(bench('run', name, '--smoke', '--out', out));
  t.is(code, 0, stderr);
  t.true(readFileSync(join(out, 'report.md'), 'utf8').includes('| system |'), 'a run ends with its report');
  const report = await writeReport(out, null);
  t.true(report.runs > 0);
  t.is(report.failed, 0, stderr);
  t.false(readFileSync(join(out, 'runs.csv'), 'utf8').includes('over the limit,'), stderr);
  t.true(readFileSync(report.html, 'utf8').includes('<svg'));
}
