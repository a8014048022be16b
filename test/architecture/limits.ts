/**
 * The bounds of the shipped sources and the rows of docs/LIMITS.md, both as numbers.
 *
 * Read from the text of the sources, so that bounds a file keeps to itself count too. A bound is a top-level constant whose name
 * begins with MAX_, or a property of one whose name ends in _LIMITS. Values are arithmetic over numbers and other constants.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { findImports, maskSource } from './scan.ts';
import { repositoryRoot, type SourceFile, workspaceNameOf, workspaces } from './workspace.ts';

/** A bound in a source, or a row of the document. */
export interface Limit {
  /** `MAX_DISKS`, or `SCHEDULER_LIMITS.wants`. */
  readonly name: string;
  /** Relative to the repository. */
  readonly file: string;
  readonly value: number;
}

/** What users run; tools for tests and benchmarks bound themselves. */
const TOOLS = ['guest', 'nat-world', 'test-servers', 'bench', 'sim', 'test'];

const shipped: readonly SourceFile[] = workspaces
  .filter(({ name }) => !TOOLS.includes(name))
  .flatMap(({ sources }) => sources)
  .filter(({ path: file }) => !file.endsWith('.d.ts') && !file.includes('/src/demo/'));

const CONSTANT = /^(?:export )?const ([A-Z][A-Z0-9_]*)(?::[^=\n]+)? = ([^;]+?)(?: as const)?;/gm;
const PROPERTY = /(\w+):\s*([^,{}]+?)\s*(?=[,}])/g;

interface Definition {
  readonly file: string;
  readonly text: string;
}

/** Every top-level constant in capitals, by name. */
const definitions = new Map<string, Definition[]>();
for (const { path: file, text } of shipped) {
  for (const [, name, value] of maskSource(text).matchAll(CONSTANT)) {
    const known = definitions.get(name as string) ?? [];
    definitions.set(name as string, [...known, { file, text: value as string }]);
  }
}

/** What a name in a file means: a constant of its own, or one that it imports. */
function resolve(name: string, file: string): Definition | undefined {
  const known = definitions.get(name) ?? [];
  const own = known.find((definition) => definition.file === file);
  if (own !== undefined) return own;
  const source = shipped.find((candidate) => candidate.path === file)?.text ?? '';
  const site = findImports(source).find(({ clause }) => clause.split(/\W+/).includes(name));
  const workspace = workspaces.find((candidate) => candidate.name === workspaceNameOf(site?.specifier ?? ''));
  const relative = path.posix.join(path.posix.dirname(file), site?.specifier ?? '');
  return known.find((other) =>
    workspace === undefined ? other.file === relative : other.file.startsWith(workspace.folder),
  );
}

/** The number that `text` in `file` stands for. */
function evaluate(text: string, file: string): number {
  const numbers = text.replace(/\b[A-Z][A-Z0-9_]*\b/g, (name) => {
    const found = resolve(name, file);
    if (found === undefined) throw new Error(`${file}: ${name} is not known`);
    return `(${evaluate(found.text, found.file)})`;
  });
  if (!/^[\d\s_.xa-f()*+/-]+$/.test(numbers)) throw new Error(`${file}: "${text}" is no arithmetic`);
  return Number(new Function(`return (${numbers});`)());
}

/** Every bound of the sources. */
export function sourceLimits(): Limit[] {
  const limits: Limit[] = [];
  for (const [name, places] of definitions) {
    for (const { file, text } of places) {
      if (name.startsWith('MAX_')) limits.push({ name, file, value: evaluate(text, file) });
      if (!/(?:^|_)LIMITS$/.test(name)) continue;
      for (const [, key, value] of text.matchAll(PROPERTY)) {
        limits.push({ name: `${name}.${key}`, file, value: evaluate(value as string, file) });
      }
    }
  }
  return limits;
}

/** The value of another constant of the sources, for rows that name one. */
export function constantOf(name: string, file: string): number | null {
  const found = definitions.get(name)?.find((definition) => definition.file === file);
  return found === undefined ? null : evaluate(found.text, file);
}

const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
  ms: 1,
  s: 1000,
  min: 60_000,
  h: 3_600_000,
};

/** `16 KiB`, `4,096`, `2^31` or `10 s` (in milliseconds) as a number. */
export function parseValue(text: string): number {
  const power = /^2\^(\d+)$/.exec(text);
  if (power !== null) return 2 ** Number(power[1]);
  const [, digits, unit] = /^(\d[\d,.]*)(?: (\w+))?$/.exec(text) ?? [];
  const factor = UNITS[unit ?? ''];
  if (digits === undefined || factor === undefined) throw new Error(`docs/LIMITS.md: "${text}" is no value`);
  return Number(digits.replaceAll(',', '')) * factor;
}

/** The rows of docs/LIMITS.md that name a constant: `NAME` | value | file | … */
export function documentLimits(): Limit[] {
  const text = readFileSync(path.join(repositoryRoot, 'docs', 'LIMITS.md'), 'utf8');
  return [...text.matchAll(/^\| `([A-Z][\w.]*)` \| ([^|]+?) \| `([^`]+)` \|/gm)].map(([, name, value, file]) => ({
    name: name as string,
    file: file as string,
    value: parseValue(value as string),
  }));
}
