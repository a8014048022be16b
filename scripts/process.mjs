/**
 * Runs the programs that set-up and tests are made of, and knows where the repository and its Node are.
 *
 * Plain JavaScript for Node 20 and newer: it runs before anything is installed. Everything it starts writes its
 * messages to stderr, so that stdout stays free for a result.
 */
import { spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The repository's root folder. */
export const root = join(dirname(fileURLToPath(import.meta.url)), '..');

/** The pnpm that the lockfile was written with, as arguments of npx. */
export const pnpm = ['--yes', 'pnpm@12.21.0'];

const SYSTEM_FOLDERS = ['/usr/local/sbin', '/usr/sbin', '/sbin'];

/** The environment of the caller with the workspace's own programs, Node 24 among them, in front. */
export function workspaceEnvironment() {
  const path = [join(root, 'node_modules', '.bin'), process.env.PATH ?? '', ...SYSTEM_FOLDERS].join(delimiter);
  return { ...process.env, PATH: path, TURBO_TELEMETRY_DISABLED: '1' };
}

/** The full path of a program in PATH or in the system's sbin folders; undefined when there is none. */
export function findProgram(name) {
  for (const folder of [...(process.env.PATH ?? '').split(delimiter), ...SYSTEM_FOLDERS]) {
    if (folder === '') continue;
    try {
      accessSync(join(folder, name), constants.X_OK);
      return join(folder, name);
    } catch {
      // not in this folder
    }
  }
  return undefined;
}

/** Prints one line for a person. */
export function say(line) {
  process.stderr.write(`${line}\n`);
}

/**
 * Runs a program in the repository with its output on stderr and resolves to its exit code: 127 when it could not
 * be started, 128 when a signal ended it. `stdout: 'inherit'` hands it this process's stdout instead.
 */
export function run(command, args, { env = workspaceEnvironment(), stdout = 2, cwd = root } = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd, env, stdio: ['inherit', stdout, 'inherit'] });
    const forward = (signal) => child.kill(signal);
    process.on('SIGINT', forward).on('SIGTERM', forward);
    const settle = (code) => {
      process.off('SIGINT', forward).off('SIGTERM', forward);
      resolve(code);
    };
    child.on('error', (error) => {
      say(`${command}: ${error.message}`);
      settle(127);
    });
    child.on('exit', (code) => settle(code ?? 128));
  });
}
