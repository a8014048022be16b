/**
 * The workspaces of this repository as they stand on disk: manifest, project references, layer and files.
 *
 * The table of layers is the design's; a workspace that is not in it has no place yet and fails the tests.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** The repository's root folder. */
export const repositoryRoot = fileURLToPath(new URL('../..', import.meta.url));

/** Layer of each workspace by its folder's name. Imports point to a lower number, never across or up. */
const LAYERS: Readonly<Record<string, number>> = {
  core: 0,
  chunk: 1,
  manifest: 1,
  identity: 1,
  journal: 1,
  bitfield: 1,
  announce: 1,
  metrics: 1,
  metainfo: 1,
  trace: 1,
  qmp: 1,
  nbd: 1,
  'test-servers': 1,
  wire: 2,
  store: 2,
  disk: 2,
  scheduler: 2,
  ownership: 2,
  migration: 2,
  sim: 2,
  guest: 2,
  'nat-world': 2,
  swarm: 3,
  tracker: 3,
  'host-agent': 4,
  bench: 5,
  test: 5,
};

/** Packages that exist to test others: they may be devDependencies anywhere above their own imports. */
export const TEST_SUPPORT: readonly string[] = ['sim', 'test-servers'];

/** A source file; `path` is relative to the repository, with forward slashes. */
export interface SourceFile {
  readonly path: string;
  readonly text: string;
}

/** One workspace. */
export interface Workspace {
  /** The last part of its folder and of its name after `@diskswarm/`. */
  readonly name: string;
  /** Relative to the repository. */
  readonly folder: string;
  readonly dependencies: readonly string[];
  readonly devDependencies: readonly string[];
  /** Folders that tsconfig.json refers to, relative to the repository. */
  readonly references: readonly string[];
  /** Shipped sources. */
  readonly sources: readonly SourceFile[];
  /** Tests and what stands beside them. */
  readonly tests: readonly SourceFile[];
}

function readJson<Shape>(file: string): Shape {
  return JSON.parse(readFileSync(path.join(repositoryRoot, file), 'utf8')) as Shape;
}

const SKIPPED = new Set(['node_modules', 'dist', 'fixtures']);

function readSources(folder: string): SourceFile[] {
  if (!existsSync(path.join(repositoryRoot, folder))) return [];
  const files: SourceFile[] = [];
  for (const entry of readdirSync(path.join(repositoryRoot, folder), { withFileTypes: true })) {
    const name = `${folder}/${entry.name}`;
    if (entry.isDirectory() && !SKIPPED.has(entry.name)) files.push(...readSources(name));
    if (entry.isFile() && entry.name.endsWith('.ts')) {
      files.push({ path: name, text: readFileSync(path.join(repositoryRoot, name), 'utf8') });
    }
  }
  return files.sort((a, b) => (a.path < b.path ? -1 : 1));
}

function readWorkspace(folder: string): Workspace {
  const manifest = readJson<Record<'dependencies' | 'devDependencies', Record<string, string> | undefined>>(
    `${folder}/package.json`,
  );
  const project = readJson<{ references?: { path: string }[] }>(`${folder}/tsconfig.json`);
  return {
    name: path.basename(folder),
    folder,
    dependencies: Object.keys(manifest.dependencies ?? {}),
    devDependencies: Object.keys(manifest.devDependencies ?? {}),
    references: (project.references ?? []).map((reference) => path.posix.join(folder, reference.path)),
    sources: folder === 'test' ? [] : readSources(`${folder}/src`),
    tests: readSources(folder === 'test' ? folder : `${folder}/test`),
  };
}

/** All workspaces, read once. */
export const workspaces: readonly Workspace[] = [
  ...readdirSync(path.join(repositoryRoot, 'packages'))
    .sort()
    .map((name) => `packages/${name}`),
  'swarm',
  'tracker',
  'host-agent',
  'test',
]
  .filter((folder) => existsSync(path.join(repositoryRoot, folder, 'package.json')))
  .map(readWorkspace);

/** What the root package provides to every test. */
export const rootDevDependencies: readonly string[] = Object.keys(
  readJson<{ devDependencies: Record<string, string> }>('package.json').devDependencies,
);

/** The layer of a workspace by name; -1 when the design has no place for it. */
export function layerOf(name: string): number {
  return LAYERS[name] ?? -1;
}

/** `@diskswarm/store` or `@diskswarm/core/system` → `store`, `core`; undefined for anything else. */
export function workspaceNameOf(specifier: string): string | undefined {
  return /^@diskswarm\/([^/]+)/.exec(specifier)?.[1];
}

/** The npm package of a bare specifier: `a/b` → `a`, `@s/a/b` → `@s/a`; undefined for relative and built-in ones. */
export function packageNameOf(specifier: string): string | undefined {
  if (/^(?:[./#]|node:|[a-z]+:)/.test(specifier)) return undefined;
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
}
