/**
 * Makes a fresh clone ready: npm packages, build, and the Debian packages of a purpose.
 *
 *   node scripts/setup.mjs [build|demo|test|bench]      (build when nothing is said)
 *
 * Plain JavaScript for Node 20 and newer. Cheap when everything is there: packages are installed only when the
 * lockfile or a manifest changed since the last time.
 */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { installMissingPackages, purposes } from './debian-packages.mjs';
import { pnpm, root, run, say } from './process.mjs';

const STAMP = join(root, 'node_modules', '.diskswarm-setup');

/** A digest of everything that decides what node_modules must hold. */
function dependencyDigest() {
  const folders = ['.', 'swarm', 'tracker', 'host-agent', 'test'];
  for (const name of readdirSync(join(root, 'packages')).sort()) folders.push(join('packages', name));
  const patches = readdirSync(join(root, 'patches')).sort();
  const files = [
    ...folders.map((folder) => join(folder, 'package.json')),
    'pnpm-lock.yaml',
    'pnpm-workspace.yaml',
    ...patches.map((name) => join('patches', name)),
  ];
  const hash = createHash('sha256');
  for (const file of files) {
    if (existsSync(join(root, file))) hash.update(`${file}\0`).update(readFileSync(join(root, file)));
  }
  return hash.digest('hex');
}

async function installDependencies() {
  const digest = dependencyDigest();
  if (existsSync(STAMP) && readFileSync(STAMP, 'utf8') === digest) return;
  say('setup: installing npm packages with pnpm (Node 24 is one of them)');
  const code = await run('npx', [...pnpm, 'install', '--frozen-lockfile'], { env: process.env });
  if (code !== 0) throw new Error(`pnpm install ended with exit code ${code}`);
  writeFileSync(STAMP, digest);
}

async function build() {
  say('setup: building');
  const code = await run('tsc', ['-b']);
  if (code !== 0) throw new Error(`the build ended with exit code ${code}`);
}

/**
 * Sets the repository up for `purpose`. Rejects when packages cannot be installed or the sources do not build;
 * resolves to the Debian packages that are still missing, which the caller may be able to do without.
 */
export async function setUp(purpose) {
  await installDependencies();
  await build();
  return await installMissingPackages(purpose);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const purpose = process.argv[2] ?? 'build';
  if (!purposes.includes(purpose)) {
    say(`usage: node scripts/setup.mjs [${purposes.join('|')}]`);
    process.exit(2);
  }
  try {
    const missing = await setUp(purpose);
    say(missing.length === 0 ? 'setup: done' : `setup: done, without ${missing.join(' ')}`);
  } catch (error) {
    say(`setup: ${error.message}`);
    process.exit(1);
  }
}
