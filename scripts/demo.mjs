/**
 * `npm run demo`: sets a fresh clone up and starts `diskswarm demo` with the arguments given after `--`.
 *
 * Plain JavaScript for Node 20 and newer. Programs that are missing do not stop it: the demo itself chooses what it
 * can show without them.
 */
import { join } from 'node:path';
import { root, run, say } from './process.mjs';
import { setUp } from './setup.mjs';

try {
  await setUp('demo');
} catch (error) {
  say(`setup: ${error.message}`);
  process.exit(1);
}
const launcher = join(root, 'host-agent', 'bin', 'diskswarm.js');
process.exit(
  await run('node', [launcher, 'demo', ...process.argv.slice(2)], { stdout: 'inherit', cwd: process.cwd() }),
);
