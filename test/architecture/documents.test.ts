/** The documents agree with the code: the list of errors with core's table, and every relative link with a file. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { ERROR_CODES } from '@diskswarm/core';
import test from 'ava';
import { readErrorsDocument, renderErrorsDocument } from './errors-document.ts';
import { linesMatching } from './scan.ts';
import { repositoryRoot, workspaces } from './workspace.ts';

test('docs/ERRORS.md is what `pnpm errors` writes', (t) => {
  t.is(readErrorsDocument(), renderErrorsDocument());
});

test('error codes are upper-case, sorted, and each says what it means', (t) => {
  const codes = Object.keys(ERROR_CODES);
  t.deepEqual(codes, [...codes].sort());
  for (const [code, text] of Object.entries<string>(ERROR_CODES)) {
    t.regex(code, /^[A-Z]+(?:_[A-Z0-9]+)*$/);
    t.true(text.length > 20 && text.endsWith('.'), code);
  }
});

test('every code is raised somewhere outside the table', (t) => {
  const sources = workspaces
    .flatMap((workspace) => workspace.sources)
    .filter(({ path: name }) => !name.endsWith('/error-codes.ts'));
  const text = sources.map((file) => file.text).join('\n');
  t.deepEqual(
    Object.keys(ERROR_CODES).filter((code) => !text.includes(`'${code}'`)),
    [],
  );
});

test('links in the documents lead to files', (t) => {
  const documents = ['docs', 'docs/adr', '.']
    .filter((folder) => existsSync(path.join(repositoryRoot, folder)))
    .flatMap((folder) =>
      readdirSync(path.join(repositoryRoot, folder))
        .filter((name) => name.endsWith('.md'))
        .map((name) => path.posix.join(folder, name)),
    );
  t.true(documents.length > 3);
  const broken: string[] = [];
  for (const document of documents) {
    const text = readFileSync(path.join(repositoryRoot, document), 'utf8').replace(/```[\s\S]*?```|`[^`\n]*`/g, '');
    for (const match of text.matchAll(/\]\(([^)\s]+)\)/g)) {
      const target = (match[1] as string).replace(/#.*$/, '');
      if (target === '' || /^[a-z]+:/.test(target)) continue;
      if (!existsSync(path.join(repositoryRoot, path.dirname(document), target))) broken.push(`${document}: ${target}`);
    }
  }
  t.deepEqual(broken, []);
});

const FOLDERS = /^(?:packages|swarm|tracker|host-agent|test|docs|scripts)\//;

/** Files and folders that a document names and that are not there; a bare name counts when any source has it. */
function absentPaths(document: string): string[] {
  const text = readFileSync(path.join(repositoryRoot, document), 'utf8');
  const files = workspaces.flatMap(({ sources, tests }) => [...sources, ...tests]).map((file) => file.path);
  const named = [...text.matchAll(/`([\w./-]+)`/g)].map((match) => match[1] as string);
  return [...new Set(named)].filter((name) => {
    if (FOLDERS.test(name)) return !existsSync(path.join(repositoryRoot, name));
    return name.endsWith('.ts') && !files.some((file) => file.endsWith(`/${name}`));
  });
}

for (const document of ['docs/ARCHITECTURE.md', 'docs/PROTOCOL.md', 'docs/FORMATS.md', 'docs/LIMITS.md']) {
  test(`files that ${document} names are there`, (t) => {
    t.deepEqual(absentPaths(document), []);
  });
}

test('programs print through their reporters, not through the console', (t) => {
  const offences = workspaces
    .filter(({ name }) => !['bench', 'test', 'host-agent', 'guest', 'nat-world'].includes(name))
    .flatMap(({ sources }) => sources)
    .flatMap(({ path: name, text }) =>
      linesMatching(text, /(?<![\w$.])console\s*\./g).map((line) => `${name}:${line}`),
    );
  t.deepEqual(offences, []);
});
