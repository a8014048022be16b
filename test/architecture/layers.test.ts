/**
 * Imports point down the layers, never across or up, and what is imported is declared.
 *
 * Each test collects every offence and compares with none, so that a failure names all the places at once.
 */
import path from 'node:path';
import test from 'ava';
import { findImports } from './scan.ts';
import { layerOf, packageNameOf, rootDevDependencies, TEST_SUPPORT, workspaceNameOf, workspaces } from './workspace.ts';

test('every workspace has a layer and sources', (t) => {
  t.deepEqual(
    workspaces.filter(({ name }) => layerOf(name) < 0).map(({ folder }) => folder),
    [],
  );
  t.true(workspaces.length >= 21);
});

test('sources import only workspaces of a lower layer', (t) => {
  const offences: string[] = [];
  for (const workspace of workspaces) {
    for (const file of workspace.sources) {
      for (const { specifier, line } of findImports(file.text)) {
        const target = workspaceNameOf(specifier);
        if (target === undefined) continue;
        if (layerOf(target) < 0 || layerOf(target) >= layerOf(workspace.name) || TEST_SUPPORT.includes(target)) {
          if (workspace.name !== 'bench') offences.push(`${file.path}:${line} imports ${specifier}`);
        }
      }
    }
  }
  t.deepEqual(offences, []);
});

test('the simulation and its fakes know core only', (t) => {
  const sim = workspaces.find(({ name }) => name === 'sim');
  t.deepEqual(
    sim?.dependencies.filter((name) => name.startsWith('@diskswarm/')),
    ['@diskswarm/core'],
  );
});

test('declared dependencies point down too', (t) => {
  const offences: string[] = [];
  for (const { name, folder, dependencies, devDependencies } of workspaces) {
    for (const dependency of dependencies) {
      const target = workspaceNameOf(dependency);
      if (target !== undefined && (layerOf(target) < 0 || layerOf(target) >= layerOf(name))) {
        offences.push(`${folder} depends on ${dependency}`);
      }
    }
    for (const dependency of devDependencies) {
      const target = workspaceNameOf(dependency);
      const below = target !== undefined && layerOf(target) >= 0 && layerOf(target) < layerOf(name);
      if (target !== undefined && !below && !(TEST_SUPPORT.includes(target) && name !== 'core')) {
        offences.push(`${folder} depends on ${dependency} for its tests`);
      }
    }
  }
  t.deepEqual(offences, []);
});

test('project references are exactly the declared workspace dependencies', (t) => {
  for (const { name, folder, dependencies, references } of workspaces) {
    if (name === 'test') continue;
    const declared = dependencies.map(workspaceNameOf).filter((target) => target !== undefined);
    t.deepEqual(references.map((reference) => path.basename(reference)).sort(), declared.sort(), folder);
  }
});

test('what a file imports is declared by its workspace', (t) => {
  const offences: string[] = [];
  for (const workspace of workspaces) {
    const { dependencies, devDependencies } = workspace;
    const forTests = [...dependencies, ...devDependencies, ...rootDevDependencies, `@diskswarm/${workspace.name}`];
    const check = (files: typeof workspace.sources, allowed: readonly string[]): void => {
      for (const file of files) {
        for (const { specifier, line } of findImports(file.text)) {
          const name = packageNameOf(specifier);
          if (name !== undefined && !allowed.includes(name)) offences.push(`${file.path}:${line} imports ${specifier}`);
        }
      }
    };
    check(workspace.sources, dependencies);
    check(workspace.tests, forTests);
  }
  t.deepEqual(offences, []);
});

test('relative imports stay inside their package, and sources do not import tests', (t) => {
  const offences: string[] = [];
  for (const { folder, name, sources, tests } of workspaces) {
    for (const file of [...sources, ...tests]) {
      const home = sources.includes(file) ? `${folder}/src/` : `${folder}/`;
      for (const { specifier, line } of findImports(file.text)) {
        if (!specifier.startsWith('.')) continue;
        const target = path.posix.join(path.posix.dirname(file.path), specifier);
        const ownManifest = target === `${folder}/package.json`;
        if (!target.startsWith(home) && !ownManifest) offences.push(`${file.path}:${line} imports ${specifier}`);
        else if (name !== 'test' && /\.[jt]s$/.test(specifier) && specifier.endsWith('.js')) {
          offences.push(`${file.path}:${line} imports ${specifier}: sources end in .ts`);
        }
      }
    }
  }
  t.deepEqual(offences, []);
});
