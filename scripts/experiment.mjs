/**
 * `npm run experiment -- NAME`: sets a fresh clone up for the researcher's bench and starts `diskswarm bench run` with these arguments.
 *
 * Plain JavaScript for Node 20 and newer. Programs that are missing do not stop it here: the bench names those that the experiment
 * needs before its first run.
 */
import { join } from 'node:path';
import { root, run, say } from './process.mjs';
import { setUp } from './setup.mjs';

try {
  await setUp('bench');
} catch (error) {
  say(`setup: ${error.message}`);
  process.exit(1);
}
const launcher = join(root, 'host-agent', 'bin', 'diskswarm.js');
process.exit(
  await run('node', [launcher, 'bench', 'run', ...process.argv.slice(2)], { stdout: 'inherit', cwd: process.cwd() }),
);
