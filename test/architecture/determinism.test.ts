/**
 * Everything below the host agent can be run by the simulator: it takes clock, randomness, disk and network from
 * core's interfaces and reaches for none of its own.
 *
 * The rule itself is in biome.json, which knows scopes and types and shows an offence in the editor. Here stand the
 * proof that it is in force in each package, and the few things that a lint rule cannot say.
 */
import { execFile } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'ava';
import { findImports, lineOf, linesMatching, maskSource } from './scan.ts';
import { repositoryRoot, type SourceFile, workspaces } from './workspace.ts';

/** Real I/O is what these are for. */
const REAL_WORKSPACES = ['host-agent', 'guest', 'nat-world', 'test-servers', 'bench', 'test'];

/** The adapters between core's interfaces and the world. */
const REAL_FILES =
  /^(?:packages\/core\/src\/system\/|packages\/sim\/src\/globals\.ts$|swarm\/src\/transport\/|tracker\/src\/server(?:\/|\.ts$))/;

/** Ways around the rule that are no import of a forbidden module and no global of its own. */
const PATTERNS: readonly [string, RegExp][] = [
  ['Math.random', /(?<![\w$.])Math\s*\.\s*random\b/g],
  ['process.hrtime', /(?<![\w$.])process\s*\.\s*(?:hrtime|uptime)\b/g],
  ['AbortSignal.timeout', /(?<![\w$.])AbortSignal\s*\.\s*timeout\b/g],
  [
    'a global by way of globalThis',
    /(?<![\w$.])globalThis\s*\.\s*(?:Date|performance|set(?:Timeout|Interval|Immediate))\b(?!\s*=[^=])/g,
  ],
];
const RANDOM_NAMES = /\b(?:randomBytes|randomInt|randomUUID|randomFill|randomFillSync|getRandomValues|webcrypto)\b/;

/** Each line breaks the rule once, in the order of the lines. */
const OFFENCES = [
  "import fs from 'node:fs';",
  "import { connect } from 'node:net';",
  "import { TLSSocket } from 'node:tls';",
  "import { setTimeout as sleep } from 'node:timers/promises';",
  "import { Worker } from 'node:worker_threads';",
  "import { systemClock } from '@diskswarm/core/system';",
  'export const now = Date.now();',
  'export const later = setTimeout(() => {}, 1);',
  'export const fine = performance.now();',
];

const RULES = ['--only=style/noRestrictedImports', '--only=style/noRestrictedGlobals'];

interface Diagnostic {
  readonly location: { readonly path: string; readonly start: { readonly line: number } };
}

/** Runs the two rules in a folder; resolves to `path:line` of each offence. */
function lint(folder: string, options: readonly string[]): Promise<string[]> {
  const biome = path.join(repositoryRoot, 'node_modules', '.bin', 'biome');
  const args = [
    'lint',
    ...RULES,
    '--reporter=json',
    '--max-diagnostics=none',
    '--diagnostic-level=error',
    ...options,
    '.',
  ];
  return new Promise((resolve, reject) => {
    execFile(biome, args, { cwd: folder, maxBuffer: 1 << 26 }, (error, stdout) => {
      // Exit code 1 says that there were offences.
      if (error !== null && error.code !== 1) return reject(error);
      const { diagnostics } = JSON.parse(stdout) as { diagnostics: Diagnostic[] };
      return resolve(diagnostics.map(({ location }) => `${location.path}:${location.start.line}`));
    });
  });
}

const pureWorkspaces = workspaces.filter(({ name }) => !REAL_WORKSPACES.includes(name));
const pureFiles: readonly SourceFile[] = pureWorkspaces
  .flatMap(({ sources }) => sources)
  .filter((file) => !REAL_FILES.test(file.path) && !file.path.endsWith('.d.ts'));

test('the lint rule is in force in every package below the host agent', async (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'diskswarm-lint-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  copyFileSync(path.join(repositoryRoot, 'biome.json'), path.join(folder, 'biome.json'));
  const expected: string[] = [];
  for (const workspace of workspaces) {
    const file = `${workspace.folder}/src/deep/sample.ts`;
    mkdirSync(path.dirname(path.join(folder, file)), { recursive: true });
    writeFileSync(path.join(folder, file), `${OFFENCES.join('\n')}\n`);
    if (pureWorkspaces.includes(workspace)) expected.push(...OFFENCES.map((_, index) => `${file}:${index + 1}`));
  }
  const found = await lint(folder, ['--vcs-enabled=false']);
  t.deepEqual([...new Set(found)].sort(), expected.sort());
});

test('no source breaks the lint rule', async (t) => {
  t.true(pureFiles.length > 0);
  t.deepEqual(await lint(repositoryRoot, []), []);
});

test('no other way to time, randomness or the real implementations', (t) => {
  const offences: string[] = [];
  for (const file of pureFiles) {
    for (const { specifier, line, clause } of findImports(file.text)) {
      if (/^(?:node:)?crypto$/.test(specifier) && RANDOM_NAMES.test(clause)) {
        offences.push(`${file.path}:${line} takes randomness from ${specifier}`);
      }
    }
    for (const [name, pattern] of PATTERNS) {
      for (const line of linesMatching(file.text, pattern)) offences.push(`${file.path}:${line} uses ${name}`);
    }
  }
  t.deepEqual(offences, []);
});

test('the rule is not switched off in a source', (t) => {
  const offences = workspaces
    .flatMap(({ sources }) => sources)
    .flatMap(({ path: name, text }) =>
      [...text.matchAll(/biome-ignore[^\n]*noRestricted(?:Imports|Globals)/g)]
        .filter((match) => maskSource(text)[match.index] === ' ')
        .map((match) => `${name}:${lineOf(text, match.index)}`),
    );
  t.deepEqual(offences, []);
});
