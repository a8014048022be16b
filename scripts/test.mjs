/**
 * `npm test`: sets a fresh clone up, then lints, checks types and runs every suite of the workspace.
 *
 *   npm test                                  everything
 *   npm test -- packages/store test           only these suites, without lint and types
 *
 * Plain JavaScript for Node 20 and newer. Goes on after a failure so that one run shows all of them; the last line on
 * stdout is "N passed, N failed" over all suites, lint and types counting as one test each. Exit code 1 when anything
 * failed.
 */
import { pnpm, run, say } from './process.mjs';
import { setUp } from './setup.mjs';
import { findSuites, runSuites } from './suites.mjs';

/** Suites that start guests and measure time: one after the other, when the others are done. */
const ALONE = ['test'];

function finish(passed, failed) {
  process.stdout.write(`${passed} passed, ${failed} failed\n`);
  process.exit(failed === 0 ? 0 : 1);
}

const all = findSuites();
const chosen = process.argv.slice(2).map((folder) => folder.replace(/\/+$/, ''));
const unknown = chosen.filter((folder) => !all.includes(folder));
if (unknown.length > 0) {
  say(`test: no such suite: ${unknown.join(' ')}. There are: ${all.join(' ')}`);
  process.exit(2);
}

let passed = 0;
let failed = 0;
try {
  const missing = await setUp('test');
  if (missing.length > 0) say(`test: tests that need ${missing.join(' ')} will fail`);
} catch (error) {
  say(`setup: ${error.message}`);
  finish(0, 1);
}

if (chosen.length === 0) {
  const steps = [
    ['lint', 'biome', ['ci', '.']],
    // turbo looks for pnpm in PATH, where npx puts it
    ['types', 'npx', [...pnpm, 'exec', 'turbo', 'run', 'check', '--concurrency=2', '--output-logs=errors-only']],
  ];
  for (const [name, command, args] of steps) {
    const code = await run(command, args);
    say(`${code === 0 ? 'ok    ' : 'FAILED'} ${name}`);
    if (code === 0) passed += 1;
    else failed += 1;
  }
}
const suites = chosen.length === 0 ? all : chosen;
const results = [
  ...(await runSuites(
    suites.filter((folder) => !ALONE.includes(folder)),
    2,
  )),
  ...(await runSuites(
    suites.filter((folder) => ALONE.includes(folder)),
    1,
  )),
];
for (const result of results) {
  passed += result.passed;
  failed += result.failed;
}
finish(passed, failed);
