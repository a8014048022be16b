#!/usr/bin/env node
/**
 * Launcher of the `diskswarm` command: finds a Node that can run the agent and hands over to dist/cli.js.
 *
 * Plain JavaScript that any Node from 18 on understands, because it must be able to say that the Node which started
 * it is too old. It knows no commands and no options. When it starts another Node it passes arguments, standard
 * streams and signals through, and ends as that one ends.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const NEEDED = [24, 12];
const here = dirname(fileURLToPath(import.meta.url));
const cli = join(here, '..', 'dist', 'cli.js');

/** True when this process is new enough for the sources. */
function isNewEnough() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  return major > NEEDED[0] || (major === NEEDED[0] && minor >= NEEDED[1]);
}

/** The Node that the workspace installed, or undefined. */
function findInstalledNode() {
  const require = createRequire(join(here, '..', '..', 'package.json'));
  const name = `node-${process.platform === 'win32' ? 'win' : process.platform}-${process.arch}`;
  try {
    const binary = join(dirname(require.resolve(`${name}/package.json`)), 'bin', 'node');
    return existsSync(binary) ? binary : undefined;
  } catch {
    return undefined;
  }
}

/** Ends with exit code 1 and says why: as a document on stdout when --json asks for it, in words otherwise. */
function refuse(message) {
  const code = 'EXTERNAL_TOOL_FAILED';
  if (process.argv.includes('--json')) console.log(JSON.stringify({ error: { code, message, data: {} } }));
  console.error(`diskswarm: ${message}`);
  process.exit(1);
}

if (!existsSync(cli)) {
  refuse('not built yet: run `npx --yes pnpm@12.21.0 build` in the repository first');
}
if (isNewEnough()) {
  await import('../dist/cli.js');
} else {
  const node = findInstalledNode();
  if (node === undefined) {
    refuse(`needs Node ${NEEDED.join('.')} or newer, this is ${process.versions.node}`);
  }
  const child = spawn(node, [cli, ...process.argv.slice(2)], { stdio: 'inherit' });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('error', (error) => refuse(error.message));
  child.on('exit', (code, signal) => {
    if (signal === null) process.exit(code ?? 1);
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
}
