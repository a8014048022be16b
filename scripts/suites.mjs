/**
 * Runs ava suites of the workspace and counts what passed and failed.
 *
 * A suite is one workspace folder. It is read by its TAP output: each failure is shown when it happens, and once more in
 * a line with its reason at the end. A suite that crashes, hangs or runs no test counts as a failure even when no single
 * test failed. What a suite tests, and how long one test may take, is its own affair (the ava section of its
 * package.json).
 */
import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { root, say, workspaceEnvironment } from './process.mjs';

/** A suite that takes longer is taken to hang. */
const SUITE_LIMIT_MINUTES = 40;
const HEARTBEAT_SECONDS = 60;
const MAX_KEPT_LINES = 200;

/** The folders whose package.json has an ava section, small packages first and the cross-package suites last. */
export function findSuites() {
  const packages = readdirSync(join(root, 'packages')).sort();
  const folders = [...packages.map((name) => join('packages', name)), 'swarm', 'tracker', 'host-agent', 'test'];
  return folders.filter((folder) => {
    const manifest = join(root, folder, 'package.json');
    return existsSync(manifest) && JSON.parse(readFileSync(manifest, 'utf8')).ava !== undefined;
  });
}

/** What a line of a failure says of its reason; undefined where it is about something else. */
function reasonIn(line) {
  const value = /^ +(?:assertion|message|'[^']*'): (.+)$/.exec(line)?.[1];
  return value === "''" || value === '>-' || value === '|-' ? undefined : value;
}

/**
 * Runs one suite. `result` is {folder, passed, failed, seconds}; a suite that ended badly without a failed test has
 * `failed` 1.
 */
export function runSuite(folder, extraArguments = []) {
  const startedAt = Date.now();
  const seconds = () => Math.round((Date.now() - startedAt) / 1000);
  const result = { folder, passed: 0, failed: 0, seconds: 0 };
  const child = spawn('ava', ['--tap', ...extraArguments], {
    cwd: join(root, folder),
    // Each test file has a Node or a thread of its own, which would compile the same sources again.
    env: { ...workspaceEnvironment(), NODE_COMPILE_CACHE: join(root, 'node_modules', '.cache', 'compiled') },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  const lastLines = [];
  const keep = (line) => {
    lastLines.push(line);
    if (lastLines.length > MAX_KEPT_LINES) lastLines.shift();
  };
  const failures = [];
  let inFailure = false;
  let sawSummary = false;
  createInterface({ input: child.stdout }).on('line', (line) => {
    if (/^ok \d+ /.test(line)) {
      inFailure = false;
      if (/ # (SKIP|TODO)\b/i.test(line)) say(`${folder}: ${line}`);
      else result.passed += 1;
      return;
    }
    if (line.startsWith('not ok ')) {
      inFailure = true;
      result.failed += 1;
      failures.push([line]);
    } else if (/^(# |1\.\.|TAP version)/.test(line)) {
      inFailure = false;
      if (line.startsWith('# fail ')) sawSummary = true;
    }
    if (!inFailure) {
      keep(line);
      return;
    }
    say(`${folder}: ${line}`);
    const reason = reasonIn(line);
    if (reason !== undefined) failures.at(-1).push(reason);
  });
  createInterface({ input: child.stderr }).on('line', keep);
  return new Promise((resolve) => {
    let ending = '';
    const heartbeat = setInterval(
      () => say(`${folder}: running for ${seconds()} s, ${result.passed} passed, ${result.failed} failed so far`),
      HEARTBEAT_SECONDS * 1000,
    );
    const endGroup = (signal) => {
      try {
        process.kill(-child.pid, signal);
      } catch {
        // the whole group has ended
      }
    };
    const limit = setTimeout(() => {
      ending = `did not end within ${SUITE_LIMIT_MINUTES} minutes`;
      endGroup('SIGKILL');
    }, SUITE_LIMIT_MINUTES * 60_000);
    const interrupt = () => {
      endGroup('SIGTERM');
      process.exit(130);
    };
    process.on('SIGINT', interrupt).on('SIGTERM', interrupt);
    child.on('error', (error) => {
      ending = error.message;
    });
    child.on('close', (code, signal) => {
      clearInterval(heartbeat);
      clearTimeout(limit);
      process.off('SIGINT', interrupt).off('SIGTERM', interrupt);
      endGroup('SIGTERM');
      if (ending === '' && !sawSummary) {
        // The reporter itself stops this way when no test finished within the suite's timeout.
        ending = `stopped before its summary, most likely at a test that timed out; to see which: cd ${folder} && ava`;
      } else if (ending === '' && result.failed === 0) {
        if (code !== 0) ending = `ended with ${signal ?? `exit code ${code}`} although no test failed`;
        else if (result.passed === 0) ending = 'ran no test';
      }
      if (ending !== '') {
        for (const line of lastLines) say(`${folder}: ${line}`);
        say(`${folder}: ${ending}`);
        result.failed += 1;
      }
      result.seconds = seconds();
      for (const words of failures) say(`${folder}: ${words.join(': ')}`);
      say(
        `${result.failed === 0 ? 'ok    ' : 'FAILED'} ${folder}: ${result.passed} passed, ${result.failed} failed, ${result.seconds} s`,
      );
      resolve(result);
    });
  });
}

/** Runs suites, at most `width` at a time, in the order given. */
export async function runSuites(folders, width) {
  const waiting = [...folders];
  const results = [];
  const lane = async () => {
    for (let folder = waiting.shift(); folder !== undefined; folder = waiting.shift()) {
      results.push(await runSuite(folder));
    }
  };
  await Promise.all(Array.from({ length: width }, lane));
  return results;
}
