/** The scanner that the other architecture tests stand on: text is not taken for code, nor code for text. */
import test from 'ava';
import { findImports, linesMatching, maskSource } from './scan.ts';

test('comments, strings, templates and regular expressions are blanked, code in templates is not', (t) => {
  const source = [
    "const a = 'Date.now()'; // Date.now()",
    '/* Date.now() */ const b = `Date.now() ${Date.now()} Date.now()`;',
    'const c = /Date.now()[/]/.test(a) ? 4 / 2 / 1 : `${`${{ x: Date.now() }.x}`}`;',
    "const d = 'it\\'s Date.now()';",
    'const e = Date.now();',
  ].join('\n');
  t.is(maskSource(source).length, source.length);
  t.deepEqual(linesMatching(source, /Date\.now/g), [2, 3, 5]);
});

test('a division is not taken for a regular expression', (t) => {
  t.deepEqual(linesMatching('const x = (a + b) / 2; Date.now(); const y = z[0] / 3;', /Date/g), [1]);
});

test('every form of import is found, with its line', (t) => {
  const source = `// import x from 'not-this';
import fs from 'node:fs';
import type { Socket } from 'node:net';
import {
  one,
  type Two,
} from '@diskswarm/core';
import 'side-effect';
export * from './other.ts';
export { a as b } from "./third.ts";
export type { C } from './fourth.ts';
const text = "import y from 'nor-this'";
const lazy = await import('blake3');
const native = createRequire(import.meta.url)('@napi-rs/blake-hash') as typeof import('@napi-rs/blake-hash');
export const from = 1;
`;
  t.deepEqual(
    findImports(source).map(({ specifier, line, typeOnly }) => [specifier, line, typeOnly]),
    [
      ['node:fs', 2, false],
      ['node:net', 3, true],
      ['@diskswarm/core', 4, false],
      ['side-effect', 8, false],
      ['./other.ts', 9, false],
      ['./third.ts', 10, false],
      ['./fourth.ts', 11, true],
      ['blake3', 13, false],
      ['@napi-rs/blake-hash', 14, false],
      ['@napi-rs/blake-hash', 14, false],
    ],
  );
});
