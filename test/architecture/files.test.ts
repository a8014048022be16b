/** What every source file owes its reader: a name, a header, a bearable length, and nothing left undone. */
import test from 'ava';
import { lineOf, linesMatching } from './scan.ts';
import { type SourceFile, workspaces } from './workspace.ts';

const MAX_LINES = 400;

const sources: readonly SourceFile[] = workspaces.flatMap((workspace) => workspace.sources);
const tests: readonly SourceFile[] = workspaces.flatMap((workspace) => workspace.tests);
const all = [...sources, ...tests];

test('there is something to look at', (t) => {
  t.true(sources.length > 20);
  t.true(tests.length > 5);
});

test(`no file has more than ${MAX_LINES} lines`, (t) => {
  const long = all
    .map(({ path, text }) => ({ path, lines: text.trimEnd().split('\n').length }))
    .filter(({ lines }) => lines > MAX_LINES);
  t.deepEqual(long, []);
});

test('file names are kebab-case', (t) => {
  t.deepEqual(
    all
      .map(({ path }) => path)
      .filter(
        (path) => !/^[a-z0-9]+(?:-[a-z0-9]+)*(?:\.test|\.bench|\.d)?\.ts$/.test(path.split('/').at(-1) as string),
      ),
    [],
  );
});

test('every source starts with a header comment', (t) => {
  t.deepEqual(
    sources.filter(({ text }) => !/^(?:#![^\n]*\n)?\s*\/\*\*/.test(text)).map(({ path }) => path),
    [],
  );
});

test('no test is skipped, singled out, expected to fail or only planned', (t) => {
  const pattern =
    /(?<![\w$.])test(?:\.serial|\.cb)?\.(?:only|skip|todo|failing)\b|(?<![\w$.])test\.serial\.(?:only|skip|todo|failing)\b|(?<![\w$])t\.\w+\.skip\b/g;
  t.deepEqual(
    tests.flatMap(({ path, text }) => linesMatching(text, pattern).map((line) => `${path}:${line}`)),
    [],
  );
});

test('nothing is left for later in the sources', (t) => {
  const marker = new RegExp(
    `\\b(?:${['TO' + 'DO', 'FIX' + 'ME', 'XX' + 'X'].join('|')})\\b|not (?:yet )?${'implemented'}`,
    'g',
  );
  t.deepEqual(
    sources.flatMap(({ path, text }) =>
      [...text.matchAll(marker)].map((match) => `${path}:${lineOf(text, match.index)}`),
    ),
    [],
  );
});
